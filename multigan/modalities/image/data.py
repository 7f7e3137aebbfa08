"""Rows of a dataset as pixels: finding the columns, decoding any picture, the built-in digits."""

import io
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy
import pyarrow
from PIL import Image, ImageOps

from multigan.errors import UserError

AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset

IMAGE_NAMES = ("image", "img", "picture", "photo", "file", "pixel_values", "pixels", "png", "jpg", "webp")
LABEL_NAMES = ("label", "labels", "class", "fine_label", "category", "target", "digit", "cls", "coarse_label")
MOST_CLASSES = 100_000
STREAM_LOOKED_AT = 256  # pictures of a stream that are opened to see whether they are grey

# A photograph of 180 million pixels is a picture; PIL would warn of an attack at half of that.
Image.MAX_IMAGE_PIXELS = 200_000_000


def columns(dataset: AnyDataset) -> list[str]:
    """The names of the columns."""
    return list(dataset.column_names or next(iter(dataset)))


def named(dataset: AnyDataset, name: str, flag: str) -> str:
    """The name, if the dataset has such a column.

    Raises:
        UserError: It has not.
    """
    if name not in columns(dataset):
        raise UserError(f"{flag} is {name!r}, and the dataset has only: {', '.join(columns(dataset))}")
    return name


def find_image_column(dataset: AnyDataset, name: str | None) -> str:
    """The column of pictures: the one named, else the only one of type Image, else one of a usual name.

    Raises:
        UserError: There is none, or there are several.
    """
    if name is not None:
        return named(dataset, name, "image_column")
    features = dataset.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    found = found or [column for column in IMAGE_NAMES if column in columns(dataset)][:1]
    if len(found) != 1:
        problem = f"several columns of pictures ({', '.join(found)})" if found else "no column of pictures"
        raise UserError(f"{problem} among: {', '.join(columns(dataset))}; name it with --model.image_column")
    return found[0]


def find_label_column(dataset: AnyDataset, name: str | None) -> str | None:
    """The column of classes: the one named, else the first of type ClassLabel, else one of a usual name, else None."""
    if name is not None:
        return named(dataset, name, "label_column")
    features = dataset.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    return next(iter(found + [column for column in LABEL_NAMES if column in columns(dataset)]), None)


def class_names(dataset: AnyDataset, column: str | None) -> tuple[str, ...]:
    """The names of the classes of a column: as the dataset declares them, else the values that it holds, sorted.

    Raises:
        UserError: A stream that does not declare its classes, or a column of something other than classes.
    """
    if column is None:
        return ()
    feature = (dataset.features or {}).get(column)
    if isinstance(feature, datasets.ClassLabel):
        return tuple(feature.names)
    if isinstance(dataset, datasets.IterableDataset):
        raise UserError(f"a streamed dataset must declare the classes of {column!r}: name them with --model.classes")
    try:
        values = set(dataset.unique(column))
    except (pyarrow.ArrowException, TypeError) as error:
        raise UserError(f"column {column!r} does not hold classes: expected names, or numbers from 0") from error
    if all(isinstance(value, int) and value >= 0 for value in values):
        if max(values, default=0) > MOST_CLASSES:
            raise UserError(f"column {column!r} holds numbers up to {max(values)}: those are no classes")
        return tuple(str(number) for number in range(max(values, default=-1) + 1))
    if all(isinstance(value, str) for value in values):
        return tuple(sorted(values))
    raise UserError(f"column {column!r} holds {sorted(values, key=str)[:3]}: expected class names, or numbers from 0")


def class_number(value: Any, classes: tuple[str, ...]) -> int:
    """A label, as a number or a name, as a number.

    Raises:
        ValueError: It is not one of the classes.
    """
    number = value if isinstance(value, int) else classes.index(value) if value in classes else -1
    if not 0 <= number < len(classes):
        raise ValueError(f"label {value!r} is not one of the {len(classes)} classes {', '.join(classes[:10])}")
    return number


def channels(dataset: AnyDataset, column: str) -> int:
    """1 where all pictures are grey (of a stream: the first few hundred), else 3. Opens them without decoding."""
    if isinstance(dataset, datasets.IterableDataset):
        dataset = dataset.take(STREAM_LOOKED_AT)
    for row in dataset.select_columns(column):
        try:
            with open_picture(row[column]) as picture:
                if is_colour(picture):
                    return 3
        except (OSError, ValueError):
            continue  # a broken picture is reported where it is decoded
    return 1


def is_colour(picture: Image.Image) -> bool:
    """Whether a picture's own format can show colour."""
    return picture.mode not in ("1", "L", "LA", "La", "I", "F") and not picture.mode.startswith("I;16")


def open_picture(value: Any) -> Image.Image:
    """A cell of a dataset as a picture: encoded bytes, a path, a PIL image or an array ``(H, W)`` or ``(H, W, C)``.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: The cell is empty or of an unknown kind.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes | str | Path):
        try:
            return Image.open(io.BytesIO(value) if isinstance(value, bytes) else value)
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from error
    if isinstance(value, Image.Image):
        return value.copy()  # what is opened here is closed
    if value is None:
        raise ValueError("the cell is empty")
    array = numpy.asarray(value)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    shaped = array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4)))
    if not shaped or array.dtype.kind not in "ui" or array.min() < 0 or array.max() > 255:
        raise ValueError(
            f"an array of {array.dtype} {array.shape} is no picture: expected whole numbers from 0 to 255, (H, W) or "
            "(H, W, C) with 1, 3 or 4 channels"
        )
    return Image.fromarray(array.astype(numpy.uint8))


def pixels(value: Any, resolution: int, channels: int) -> numpy.ndarray:
    """Any picture -> uint8 ``(channels, resolution, resolution)``: upright, on white, scaled, the middle taken.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: The cell is empty or of an unknown kind.
    """
    with open_picture(value) as opened:
        picture = ImageOps.exif_transpose(opened)
    picture = flatten(picture).convert("L" if channels == 1 else "RGB")
    picture = ImageOps.fit(picture, (resolution, resolution), Image.Resampling.BICUBIC)
    array = numpy.asarray(picture)
    return array[None] if channels == 1 else numpy.ascontiguousarray(array.transpose(2, 0, 1))


def flatten(picture: Image.Image) -> Image.Image:
    """Eight bits a channel, and transparent parts white."""
    if picture.mode == "F":
        raise ValueError("a picture of fractions says nothing of its range: save it with 8 or 16 bits")
    if picture.mode.startswith("I"):  # 16 bits
        return Image.fromarray((numpy.asarray(picture, numpy.float64) / 257).round().clip(0, 255).astype(numpy.uint8))
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture


def digits() -> datasets.Dataset:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels of 17 greys, with their classes.

    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = (loaded.images * (255 / 16)).round().astype(numpy.uint8)
    features = datasets.Features(
        image=datasets.Array2D((8, 8), "uint8"), label=datasets.ClassLabel(names=[str(digit) for digit in range(10)])
    )
    return datasets.Dataset.from_dict({"image": images, "label": loaded.target}, features=features)
