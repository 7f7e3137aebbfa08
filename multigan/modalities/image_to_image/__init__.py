"""Pictures from pictures."""
