"""Samples as pictures: PNG files, PIL images, and a grid to look at."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch import Tensor

from multigan.files import write_numbered

STRIP = 256  # rows of pixels that are converted at once
GAP = 2  # white pixels between the pictures of a grid


def pictures(samples: Tensor, bits: int = 8) -> list[Image.Image]:
    """``(N, C, H, W)`` in [-1, 1] -> N PIL images: grey of 8 or 16 bits, RGB or RGBA."""
    most = 2**bits - 1
    pixels = numpy.empty((len(samples), *samples.shape[2:], samples.shape[1]), f"uint{bits}")
    # In strips: between samples and pixels are several arrays of floats, of which a large picture needs gigabytes.
    for top in range(0, samples.shape[2], STRIP):
        strip = samples[:, :, top : top + STRIP]
        values = ((strip.double() if bits == 16 else strip) + 1) * (most / 2)
        kind = torch.uint8 if bits == 8 else torch.int32
        pixels[:, top : top + STRIP] = values.round().clamp(0, most).to(kind).permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture) for picture in pixels]


def save(batches: Iterable[Tensor], folder: Path, bits: int = 8) -> list[Path]:
    """Write one PNG per sample: see `write_numbered`."""

    def write(batch: Tensor, names: list[Path]) -> None:
        for picture, name in zip(pictures(batch, bits), names, strict=True):
            picture.save(name, compress_level=1)

    return write_numbered(batches, folder, ".png", write)


def grid(samples: Tensor, path: Path, columns: int | None = None) -> list[Path]:
    """Write all samples into one PNG, nearly square unless ``columns`` is given, each at least 48 pixels wide."""
    columns = columns or math.ceil(math.sqrt(len(samples)))
    zoom = max(1, math.ceil(48 / samples.shape[-1]))
    large = samples.clamp(-1, 1).repeat_interleave(zoom, 2).repeat_interleave(zoom, 3)
    # Not torchvision's make_grid: importing torchvision takes longer than importing torch.
    columns = min(columns, len(large))
    cells = torch.nn.functional.pad(large, (0, GAP, 0, GAP), value=1.0)
    cells = torch.cat([cells, torch.ones_like(cells[:1]).expand(-len(cells) % columns, -1, -1, -1)])
    rows = cells.view(-1, columns, *cells.shape[1:]).permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2, 3)
    (picture,) = pictures(torch.nn.functional.pad(rows, (GAP, 0, GAP, 0), value=1.0)[None])
    file = path.with_name(path.name + ".png")
    picture.save(file)
    return [file]
