"""How good samples are, measured on features: of any modality that can make some."""
