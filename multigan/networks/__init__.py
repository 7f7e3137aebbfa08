"""Building blocks that more than one modality uses."""
