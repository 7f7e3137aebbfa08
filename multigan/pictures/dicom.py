"""DICOM files as pictures, shown as a viewer shows them: rescaled, in their window, white where they say white is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from multigan.errors import first_line

ENDINGS = (".dcm", ".dicom")


def is_dicom(value: bytes | Path) -> bool:
    """Whether a file, or its content, is DICOM: by its ending, or by the mark after the preamble."""
    return value[128:132] == b"DICM" if isinstance(value, bytes) else value.suffix.lower() in ENDINGS


def open_dicom(value: bytes | Path) -> Image.Image:
    """A DICOM file of one frame as a picture: grey of 16 bits, or colour.

    Raises:
        ValueError: It cannot be read, has several frames, or pydicom is missing.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("DICOM pictures need pip install 'multigan[dicom]'") from error
    if isinstance(value, Path) and not value.is_file():
        raise ValueError("there is no such file")
    try:
        found = pydicom.dcmread(io.BytesIO(value) if isinstance(value, bytes) else value)
        values = found.pixel_array
    except Exception as error:  # pydicom and its decoders raise whatever they like
        raise ValueError(f"not a DICOM picture that can be read ({first_line(error)})") from error
    if int(found.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"{found.NumberOfFrames} frames: expected one; save each as a file of its own")
    if values.ndim == 3:
        return Image.fromarray(values.astype(numpy.uint8))
    return Image.fromarray((shares(values, found) * 65535).round().astype(numpy.uint16))


def shares(values: numpy.ndarray, found: Any) -> numpy.ndarray:
    """Stored values ``(H, W)`` as brightness from 0 to 1: DICOM PS3.3, C.7.6.3.1.2, C.11.1 and C.11.2.1.2.1."""
    slope, intercept = float(found.get("RescaleSlope", 1)), float(found.get("RescaleIntercept", 0))
    bits, signed = int(found.BitsStored), int(found.PixelRepresentation)
    center, width = (first(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None or width < 1:
        low = (-(2 ** (bits - 1)) if signed else 0) * slope + intercept
        high = (2 ** (bits - signed) - 1) * slope + intercept
    else:
        low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    share: numpy.ndarray = numpy.clip((values * slope + intercept - low) / max(high - low, 1e-12), 0, 1)
    return numpy.asarray(1 - share if found.PhotometricInterpretation == "MONOCHROME1" else share)


def first(value: Any) -> float | None:
    """The first of several values, where there are several windows."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
