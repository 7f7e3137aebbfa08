"""Label maps: pictures with one number or one colour per class, as class numbers.

The classes of a dataset are names: ``"7"`` is what a grey picture or a palette has as 7, and ``"#ff8000"`` is a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import datasets
import numpy
from PIL import Image, ImageOps

from multigan.columns import AnyDataset
from multigan.errors import UserError
from multigan.modalities.image_to_image.pairs import opened
from multigan.pictures.decoding import BROKEN, SCANNED, STREAM_LOOKED_AT, upright

MOST = 256  # classes, so that a number is a byte
SHOWN = 8  # classes that a message names
NUMBERED = ("1", "L", "LA", "P", "PA", "I", "F")  # modes whose pixels are numbers


class Found(NamedTuple):
    """The classes of label maps.

    Attributes:
        names: Numbers in increasing order, or colours as ``#rrggbb``, sorted.
        note: A line for the user.
    """

    names: tuple[str, ...]
    note: str


def find(dataset: AnyDataset, column: str | Sequence[str]) -> Found:
    """The numbers, or colours, that occur in the label maps of a dataset.

    If any map has colours, all are read as colours: greys are colours then, and a palette is what it looks like. The
    first 20,000 maps are looked at, of a stream 256; maps that are broken are left out, as they are reported where they
    are encoded.

    Args:
        dataset: Any dataset.
        column: The column of label maps; or the columns that `multigan.modalities.image_to_image.pairs.opened` reads,
            whose inputs are the maps.

    Raises:
        UserError: There are none that can be read, or more than 256 classes.
    """
    names = [column] if isinstance(column, str) else list(column)
    stream = isinstance(dataset, datasets.IterableDataset)
    count = STREAM_LOOKED_AT if stream else min(SCANNED, len(dataset))
    by_number: set[int] = set()
    by_colour: set[int] = set()
    looked_at, coloured, lossy = 0, False, 0
    for row in dataset.select_columns(names).take(count):
        try:
            picture = upright(row[column]) if isinstance(column, str) else opened(row)[0]
            colours = codes(picture, True)
            numbers = None if is_coloured(picture) else codes(picture, False)
        except (OSError, ValueError, *BROKEN):
            continue
        looked_at += 1
        lossy += picture.format in ("JPEG", "MPO")
        coloured = coloured or numbers is None
        by_colour.update(numpy.unique(colours).tolist())
        by_number.update(() if numbers is None else numpy.unique(numbers).tolist())
        if len(by_colour if coloured else by_number) > MOST:
            what = "colours" if coloured else "numbers"
            hint = "; JPEG changes colours: save them as PNG" if lossy else ""
            raise UserError(f"label maps need one {what[:-1]} per class, and there are more than {MOST} {what}{hint}")
    if not looked_at:
        raise UserError(f"no label map in column {', '.join(names)} can be read")
    kind = "colour" if coloured else "number"
    known = tuple(f"#{code:06x}" if coloured else str(code) for code in sorted(by_colour if coloured else by_number))
    some = ", ".join(known[:SHOWN]) + ", ..." * (len(known) > SHOWN)
    partly = f", in {looked_at:,} label maps that were looked at" if stream or count < len(dataset) else ""
    return Found(known, f"{len(known)} class{'es' * (len(known) != 1)} by {kind}: {some}{partly}")


def encode(value: Any, names: Sequence[str], sides: tuple[int, int], fit: str = "crop") -> numpy.ndarray:
    """A label map as class numbers, uint8 ``(height, width)``: places in ``names``.

    Args:
        value: A cell of a dataset, or a picture.
        names: The classes, as `find` gives them; in any order.
        sides: Height and width in pixels. Pixels are taken, never mixed.
        fit: crop, stretch or pad, as of pictures; padding is class ``len(names)``, so that there is one more.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: It has a number or a colour that is none of the names, or cannot be read.
    """
    picture = value if isinstance(value, Image.Image) else upright(value)
    coloured = names[0].startswith("#")
    if not coloured and is_coloured(picture):
        raise ValueError(f"the label map has colours ({picture.mode}): expected numbers, such as {names[0]}")
    found = codes(picture, coloured)
    known, places = lookup(tuple(names))
    at = numpy.searchsorted(known, found).clip(0, len(known) - 1)
    unknown = known[at] != found
    if unknown.any():
        row, column = (int(place[0]) for place in unknown.nonzero())
        code = int(found[row, column])
        name = f"colour #{code:06x}" if coloured else f"number {code}"
        some = ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)
        raise ValueError(f"the label map has {name} at row {row}, column {column}: expected one of {some}")
    return fitted(Image.fromarray(places[at]), sides, fit, len(names))


def fitted(picture: Image.Image, sides: tuple[int, int], fit: str, padding: int) -> numpy.ndarray:
    """Class numbers of these sides, uint8 ``(height, width)``."""
    size = sides[1], sides[0]
    if fit == "stretch":
        resized = picture.resize(size, Image.Resampling.NEAREST)
    elif fit == "pad":
        if padding >= MOST:
            raise ValueError(f"with fit pad, label maps can have {MOST - 1} classes, and there are {padding}")
        try:
            resized = ImageOps.pad(picture, size, Image.Resampling.NEAREST, padding)
        except ValueError as error:  # Pillow's, of a side that would be 0
            width, height = picture.size
            raise ValueError(
                f"{height} x {width} pixels (height x width) are too long and thin to be padded to {sides[0]} x "
                f"{sides[1]}: expected fit crop or stretch"
            ) from error
    else:
        resized = ImageOps.fit(picture, size, Image.Resampling.NEAREST)
    return numpy.array(resized)


@lru_cache(maxsize=4)
def lookup(names: tuple[str, ...]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The codes of names, int64 and sorted, and the place in ``names`` of each, uint8."""
    known = numpy.array([int(name[1:], 16) if name.startswith("#") else int(name) for name in names], numpy.int64)
    order = known.argsort()
    return known[order], order.astype(numpy.uint8)


def is_coloured(picture: Image.Image) -> bool:
    """Whether a label map's pixels are colours, and not numbers."""
    return picture.mode not in NUMBERED and not picture.mode.startswith("I;16")


def codes(picture: Image.Image, coloured: bool) -> numpy.ndarray:
    """The pixels of a label map, int64 ``(H, W)``: their numbers, or as ``0xrrggbb``; transparency does not count.

    Raises:
        ValueError: They are no whole numbers.
    """
    if coloured and picture.mode not in ("I", "F") and not picture.mode.startswith("I;16"):
        values = numpy.asarray(picture.convert("RGBA").convert("RGB"), numpy.int64)
        return numpy.asarray(values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2])
    if picture.mode == "F":
        raise ValueError("the label map has fractions: expected whole numbers")
    values = numpy.asarray(picture, numpy.int64)
    values = values[..., 0] if values.ndim == 3 else values
    return values * 0x010101 if coloured else values  # greys of more than 8 bits are colours that no map has
