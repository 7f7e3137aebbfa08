"""Data: from a dataset's name to batches of encoded samples."""
