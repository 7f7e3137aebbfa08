"""The built-in datasets: photograph crops, their edges, facades with label maps, digits and styled digits.

All are the same on any machine, are made from what scikit-learn brings along or from random numbers, and have the
splits train and test. `datasets` caches them on disk until this file changes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import datasets
import numpy
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from multigan.modalities.image_to_image import facade
from multigan.pictures.digits import digits as all_digits

SIDE = 64  # pixels of a crop and of a facade
STRIDE = 12  # pixels from one crop to the next
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
TRAIN_FACADES, TEST_FACADES = 1_000, 200
TEST_DIGITS = 360  # of 1,797: the last ones, which other people wrote
DIGIT_SIDE = 32
# What a grey from 0 to 255 is in a styled digit: paper, then orange, then violet ink.
INK = ((0, (250, 240, 214)), (110, (240, 140, 60)), (255, (64, 16, 110)))
LINE = 90.0  # steepness, in grey levels per pixel, from which a line is black
LEAST = 0.01  # mean darkness of a drawing that can be told from white paper
FAINT = 0.12  # share of that under which there is no line

PICTURE = datasets.Image(decode=False)
PAIR = datasets.Features(input=PICTURE, target=PICTURE)


def made(
    rows: Callable[..., Iterator[dict[str, Any]]],
    features: datasets.Features,
    train: dict[str, Any],
    test: dict[str, Any],
) -> datasets.DatasetDict:
    """The splits of a dataset, with rows from a generator that is called with ``train`` or ``test``."""
    source = Path(__file__).read_bytes() + Path(facade.__file__).read_bytes()
    splits = {}
    for split, options in (("train", train), ("test", test)):
        fingerprint = hashlib.sha256(source + f"{rows.__name__} {options}".encode()).hexdigest()[:16]
        splits[split] = datasets.Dataset.from_generator(
            rows, features=features, gen_kwargs=options, split=split, fingerprint=fingerprint
        )
    return datasets.DatasetDict(splits)


def cell(picture: Image.Image) -> dict[str, Any]:
    """A picture as a cell: a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return {"bytes": file.getvalue(), "path": None}


# --- photographs ---


def photographs() -> datasets.DatasetDict:
    """Crops of scikit-learn's two photographs, a temple and a flower: ``image``, colour, 64 x 64 pixels, not scaled.

    2,170 crops of the left three quarters to train on and 558 of the right quarters to test with. Crops of one split
    overlap; no pixel is in both.
    """
    return made(photograph_rows, datasets.Features(image=PICTURE), {"split": "train"}, {"split": "test"})


def edges_to_photographs() -> datasets.DatasetDict:
    """The crops of `photographs` as ``target``, and as ``input`` their `edges`, grey."""
    return made(edge_rows, PAIR, {"split": "train"}, {"split": "test"})


def photograph_rows(split: str) -> Iterator[dict[str, Any]]:
    for part in parts(split):
        for crop in crops(part):
            yield {"image": cell(crop)}


def edge_rows(split: str) -> Iterator[dict[str, Any]]:
    for part in parts(split):
        for drawn, crop in zip(crops(edges(part)), crops(part), strict=True):
            if numpy.asarray(drawn).mean() > 255 * (1 - LEAST):
                continue
            yield {"input": cell(drawn), "target": cell(crop)}


def parts(split: str) -> Iterator[Image.Image]:
    """The part of each photograph that a split has, height 427 pixels."""
    for name in PHOTOGRAPHS:
        # The file itself: sklearn.datasets.load_sample_images reads it too, but is slow to import.
        file = distribution("scikit-learn").locate_file(f"sklearn/datasets/images/{name}")
        with Image.open(str(file)) as photograph:
            width, height = photograph.size
            border = width * 3 // 4
            box = (0, 0, border, height) if split == "train" else (border, 0, width, height)
            yield photograph.convert("RGB").crop(box)


def crops(picture: Image.Image) -> Iterator[Image.Image]:
    """All crops of a picture at a fixed stride, row by row."""
    for top in range(0, picture.height - SIDE + 1, STRIDE):
        for left in range(0, picture.width - SIDE + 1, STRIDE):
            yield picture.crop((left, top, left + SIDE, top + SIDE))


def edges(picture: Image.Image) -> Image.Image:
    """A picture's edges as dark lines on white: grey, of the same size; each line is as dark as the edge is steep.

    The steepness is that of Sobel's filter after some smoothing, in the colour that changes most; only its ridges are
    lines. What is drawn at a place depends on six pixels around it.
    """
    smooth = picture.convert("RGB").filter(ImageFilter.GaussianBlur(1))
    values = numpy.pad(numpy.asarray(smooth, numpy.float32), ((1, 1), (1, 1), (0, 0)), "edge")
    down = values[:-2] - values[2:]
    down = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 4
    across = values[:, :-2] - values[:, 2:]
    across = (across[:-2] + 2 * across[1:-1] + across[2:]) / 4
    steepness = numpy.hypot(down, across)
    channel = steepness.argmax(-1)[..., None]
    down, across, steepness = (numpy.take_along_axis(array, channel, -1)[..., 0] for array in (down, across, steepness))
    # A ridge is no less steep than both of its neighbours across the edge.
    around = numpy.pad(steepness, 1)
    height, width = steepness.shape
    beside = {
        (y, x): around[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in ((0, 1), (1, 1), (1, 0), (1, -1))
    }
    opposite = {
        (y, x): around[1 - y : 1 - y + height, 1 - x : 1 - x + width] for y, x in ((0, 1), (1, 1), (1, 0), (1, -1))
    }
    eighth = numpy.round(numpy.arctan2(down, across) / (numpy.pi / 4)).astype(int) % 4
    ridge = numpy.zeros_like(steepness, bool)
    for number, way in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ridge |= (eighth == number) & (steepness >= beside[way]) & (steepness > opposite[way])
    darkness = numpy.where(ridge, ((steepness / LINE - FAINT) / (1 - FAINT)).clip(0, 1) ** 0.6, 0)
    return Image.fromarray((255 * (1 - darkness)).round().astype(numpy.uint8))


# --- facades ---


def facades() -> datasets.DatasetDict:
    """Synthetic facades: ``target``, colour, and ``input``, its exact label map as a palette picture; 64 x 64 pixels.

    1,000 to train on and 200 to test with. The classes are `multigan.modalities.image_to_image.facade.CLASSES`.
    """
    train = {"first": 0, "count": TRAIN_FACADES}
    return made(facade_rows, PAIR, train, {"first": TRAIN_FACADES, "count": TEST_FACADES})


def facade_rows(first: int, count: int) -> Iterator[dict[str, Any]]:
    for number in range(first, first + count):
        classes, picture = facade.facade(number)
        label_map = Image.fromarray(classes, "P")
        label_map.putpalette([value for colour in facade.CLASSES.values() for value in colour])
        yield {"input": cell(label_map), "target": cell(Image.fromarray(picture))}


# --- digits ---


def digits() -> datasets.DatasetDict:
    """The digits of scikit-learn: ``image``, 8 x 8 pixels, and ``label``. 1,437 to train on and 360 to test with."""
    every = all_digits()
    border = len(every) - TEST_DIGITS
    return datasets.DatasetDict(train=every.select(range(border)), test=every.select(range(border, len(every))))


def styled_digits() -> datasets.DatasetDict:
    """Digits, and other digits `styled`: ``image``, 32 x 32 pixels, ``domain``, ``label`` and ``pair``.

    Domain 0 has grey digits, white on black, and domain 1 styled ones in colour. To train on there are 719 and 718, of
    different digits, so that there is no pair. To test with, 360 digits are in both: rows of the same ``pair``, the
    digit's place in scikit-learn's dataset, are a pair.
    """
    integer = datasets.Value("int64")
    features = datasets.Features(image=PICTURE, domain=integer, label=all_digits().features["label"], pair=integer)
    return made(styled_rows, features, {"split": "train"}, {"split": "test"})


def styled_rows(split: str) -> Iterator[dict[str, Any]]:
    every = all_digits()
    border = len(every) - TEST_DIGITS
    images, labels = numpy.array(every["image"][:], numpy.uint8), every["label"][:]
    for domain in (0, 1):
        numbers = range(domain, border, 2) if split == "train" else range(border, len(every))
        for number in numbers:
            picture = enlarged(images[number])
            styled_or_not = styled(picture) if domain else picture
            yield {"image": cell(styled_or_not), "domain": domain, "label": labels[number], "pair": number}


def enlarged(pixels: NDArray[numpy.uint8]) -> Image.Image:
    """A digit of 8 x 8 pixels as a picture of 32 x 32."""
    return Image.fromarray(pixels).resize((DIGIT_SIDE, DIGIT_SIDE), Image.Resampling.BICUBIC)


def styled(picture: Image.Image) -> Image.Image:
    """A light digit on black as violet ink with an orange rim on cream paper, its strokes two pixels thicker.

    Args:
        picture: Any size; its greys count.
    """
    thick = numpy.asarray(picture.convert("L").filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.SMOOTH))
    greys = [grey for grey, _ in INK]
    channels = [numpy.interp(thick, greys, [colour[channel] for _, colour in INK]) for channel in range(3)]
    return Image.fromarray(numpy.stack(channels, -1).round().astype(numpy.uint8))
