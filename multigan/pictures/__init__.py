"""Pictures as files, cells of datasets, pixels and samples: what the modalities of pictures share."""

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif"),
    *(".bmp", ".gif", ".tga", ".tif", ".tiff", ".ppm", ".pgm", ".dcm", ".dicom"),
)
"""Endings of the names of picture files, in lower case."""
