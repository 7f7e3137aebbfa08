"""The version of multigan; hatch reads it, too."""

__version__ = "0.2.0"
