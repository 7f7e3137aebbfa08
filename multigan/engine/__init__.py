"""The adversarial game. It knows torch and accelerate, and nothing of modalities, datasets or configuration files."""
