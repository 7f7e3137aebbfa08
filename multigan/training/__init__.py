"""Training: from a configuration to a run, its folder and its checkpoints."""
