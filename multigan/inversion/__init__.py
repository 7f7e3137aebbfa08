"""Inversion: from a picture or a sound back to the latent that a generator makes it from, as well as it can."""
