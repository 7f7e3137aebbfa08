"""The modalities that come with multigan, registered in pyproject.toml as a stranger's would be."""
