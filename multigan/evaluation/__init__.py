"""Evaluation: how good generated samples are, measured on features beside real, held-out samples."""
