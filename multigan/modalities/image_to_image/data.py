"""Rows and inputs as pixels: what each task reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import datasets
import numpy
from PIL import Image

from multigan.columns import AnyDataset
from multigan.errors import UserError, first_line
from multigan.modalities.image_to_image import label_maps, pairs
from multigan.modalities.image_to_image.config import ImageToImageConfig
from multigan.pictures.decoding import (
    SCANNED,
    STREAM_LOOKED_AT,
    find_image_column,
    flatten,
    is_colour,
    is_transparent,
    pixels,
    scan,
    to_pixels,
    upright,
)

PAIR = "pair"  # the column of the number of a true pair, where some are known
SMALLEST_INPUT = 8  # pixels a side
PAIR_COLUMNS = pairs.INPUT, pairs.TARGET, pairs.LEFT_TO_RIGHT, pairs.RIGHT_TO_LEFT


def fit(config: ImageToImageConfig, dataset: AnyDataset) -> tuple[ImageToImageConfig, list[str]]:
    """Find out what the pictures are: their column, their channels, the classes of label maps."""
    task, count = config.task, f"{len(dataset):,}" if hasattr(dataset, "__len__") else "a stream of"
    many = "s" if count != "1" else ""
    learned: dict[str, Any] = {}
    notes = []
    if task in ("paired", "labels"):
        columns = [name for name in PAIR_COLUMNS if name in dataset.column_names]
        of_input, of_target = colours(dataset.select_columns(columns))
        learned["channels"] = config.channels or (3 if of_target else 1)
        kind = f"{count} pair{many}"
        if task == "paired":
            learned["input_channels"] = config.input_channels or (3 if of_input else 1)
        elif not config.classes:
            found = label_maps.find(dataset, columns)
            learned["classes"] = found.names
            notes.append(found.note)
    elif task == "unpaired":
        if isinstance(dataset, datasets.IterableDataset):
            raise UserError("task unpaired draws pictures of A and of B apart, which a stream does not allow")
        domains = numpy.asarray(dataset[pairs.DOMAIN][:])
        colour = scan(dataset, pairs.IMAGE).colour
        learned |= {"image_column": pairs.IMAGE, "channels": config.channels or (3 if colour else 1)}
        kind = f"{count} picture{many}, {(domains == 0).sum():,} of A and {(domains == 1).sum():,} of B"
    else:
        column = find_image_column(dataset, config.image_column)
        colour = task == "colorize" or scan(dataset, column).colour
        learned |= {"image_column": column, "channels": config.channels or (3 if colour else 1)}
        kind = f"{count} picture{many}"
    config = replace(config, **learned)
    brought = " x ".join(map(str, config.load_sides))
    cut = "" if config.load_sides == config.sides else f", cut to {' x '.join(map(str, config.sides))}"
    grey = "colour" if config.channels == 3 else "grey"
    return config, [f"{kind}, each as {brought}{cut}, {grey}", *notes]


def colours(rows: AnyDataset) -> tuple[bool, bool]:
    """Whether any input, and any target, of the first pairs can show colour.

    Raises:
        UserError: None of them can be read.
    """
    first = rows.take(STREAM_LOOKED_AT if isinstance(rows, datasets.IterableDataset) else min(SCANNED, len(rows)))
    found, read = [False, False], False
    for row in first:
        for side, picture in enumerate(halves(row)):
            found[side], read = found[side] or is_colour(picture), True
        if all(found):
            break
    if not read:
        raise UserError("none of the pairs can be read: expected two pictures of one size in each")
    return found[0], found[1]


def halves(row: dict[str, Any]) -> list[Image.Image]:
    """The input and the target of a row; nothing if it cannot be read, which is said where it is encoded."""
    try:
        return list(pairs.opened(row))
    except (OSError, ValueError):
        return []


def encode(config: ImageToImageConfig, row: dict[str, Any]) -> dict[str, Any]:
    """A row as ``real`` ``(C, H, W)`` and what the task takes beside it."""
    channels, sides = config.channels or 3, config.load_sides
    if config.task not in ("paired", "labels"):
        assert config.image_column
        encoded: dict[str, Any] = {"real": pixels(row[config.image_column], sides, channels, config.fit)}
        if config.task == "unpaired":
            domain, pair = int(row[pairs.DOMAIN]), row.get(PAIR)
            # What is of no pair, or has something else under that name, has a key that the other side has not.
            key = pair if isinstance(pair, int) else -1 - domain
            encoded |= {"domain": numpy.array(domain, numpy.int64), "key": numpy.array(key, numpy.int64)}
        return encoded
    given, target = pairs.opened(row)
    real = to_pixels(target, sides, channels, config.fit)
    if config.task == "labels":
        return {"real": real, "input": label_maps.encode(given, config.classes, sides, config.fit)}
    return {"real": real, "input": to_pixels(given, sides, config.input_channels or 3, config.fit)}


def read_input(config: ImageToImageConfig, value: Any, mask: Any) -> dict[str, numpy.ndarray]:
    """An input at its own size: ``picture`` ``(C, H, W)``, ``hole`` ``(1, H, W)``, or ``classes`` ``(H, W)``.

    Raises:
        ValueError: It has other channels than the model takes, no hole, or a mask of another size.
        OSError: It cannot be read.
    """
    picture = upright(value)
    sides = picture.height, picture.width
    if min(sides) < SMALLEST_INPUT:
        raise ValueError(f"{sides[0]} x {sides[1]} pixels: expected at least {SMALLEST_INPUT} a side")
    if config.task == "labels":
        return {"classes": label_maps.encode(picture, config.classes, sides)}
    channels = {"colorize": 1, "paired": config.input_channels or 3}.get(config.task, config.channels or 3)
    if channels == 1 and is_colour(picture) and config.task != "colorize" and not grey_in_colour(picture):
        raise ValueError("the picture has colours, and the model takes grey pictures: convert it first")
    if config.task != "inpaint":
        return {"picture": to_pixels(picture, sides, channels)}
    hole, shown = numpy.zeros(sides, bool), flatten(picture)
    if is_transparent(picture):
        rgba = picture.convert("RGBA")
        hole, shown = numpy.asarray(rgba.getchannel("A")) < 128, rgba.convert("RGB")
    if mask is not None:
        try:
            covered = upright(mask)
        except (OSError, ValueError) as error:
            raise ValueError(f"the mask {mask}: {getattr(error, 'strerror', None) or first_line(error)}") from error
        if covered.size != picture.size:
            raise ValueError(
                f"the mask has {covered.height} x {covered.width} pixels, and the picture {sides[0]} x {sides[1]}"
            )
        hole = hole | (numpy.asarray(flatten(covered).convert("L")) >= 128)
    elif not is_transparent(picture):
        raise ValueError("nothing to fill: expected transparent pixels, or --mask FILE, a picture that is white there")
    if not hole.any():
        raise ValueError("nothing to fill: the hole is empty")
    if hole.all():
        raise ValueError("nothing to go by: the hole is the whole picture")
    return {"picture": to_pixels(shown, sides, channels), "hole": hole[None].astype(numpy.uint8)}


def grey_in_colour(picture: Image.Image) -> bool:
    """Whether the channels of a colour picture are all the same, so that it is grey."""
    red, green, blue = (numpy.asarray(band) for band in flatten(picture).convert("RGB").split())
    return bool((red == green).all() and (green == blue).all())
