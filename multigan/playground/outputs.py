"""Samples as a browser shows them: pictures, sounds and texts, by the files that a modality writes."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigan.modality import Modality

if TYPE_CHECKING:
    from torch import Tensor

MEDIA = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".txt": "text/plain; charset=utf-8",
}


def to_browser(
    modality: Modality, samples: Tensor, labels: Sequence[str], mark: Callable[[Path, int], object]
) -> list[dict[str, Any]]:
    """Samples ``(N, *S)`` as ``{"type": media type, "data": base64 or text}``, one a sample.

    What is neither a file for each that browsers show nor text is one picture of all, as `Modality.preview` makes it.

    Args:
        modality: Of the model.
        samples: On the CPU.
        labels: The class name of each, or empty.
        mark: Called with each file and its place.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder, preview = Path(scratch) / "samples", Path(scratch) / "preview"
        folder.mkdir()
        files = modality.save(iter([samples]), folder, labels)
        if len(files) == len(samples) and all(is_media(file) for file in files):
            for place, file in enumerate(files):
                mark(file, place)
            return [encoded(file) for file in files]
        outputs = modality.to_outputs(samples)
        if all(isinstance(output, str) for output in outputs):
            return [{"type": "text/plain", "data": output} for output in outputs]
        shown = modality.preview(samples, preview, labels).files
        return [encoded(file) | {"of": len(samples)} for file in shown if is_media(file)][:1]


def is_media(file: Path) -> bool:
    """Whether it is a picture or a sound that browsers show."""
    return MEDIA.get(file.suffix.lower(), "text").split("/")[0] in ("image", "audio")


def encoded(file: Path) -> dict[str, Any]:
    """A file for the page."""
    return {"type": MEDIA[file.suffix.lower()], "data": base64.b64encode(file.read_bytes()).decode()}
