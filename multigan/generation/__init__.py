"""Generation: trained generators, their folders and the latents they start from."""
