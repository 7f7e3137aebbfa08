"""The adversarial engine. It depends on torch and accelerate, and knows no modality, dataset or configuration file."""
