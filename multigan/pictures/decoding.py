"""Decodes any picture: cells of a dataset as PIL images and as pixels."""

import contextlib
import io
import struct
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy
from PIL import Image, ImageOps, UnidentifiedImageError

from multigan.columns import AnyDataset, find_column, path_of
from multigan.pictures.dicom import is_dicom, open_dicom

IMAGE_NAMES = ("file", "image", "img", "picture", "photo", "pixel_values", "pixels", "png", "jpg", "webp")
STREAM_LOOKED_AT = 256  # pictures of a stream that are inspected before training
SCANNED = 20_000  # pictures that are inspected once colour has been found
SIXTEEN_BITS = ("PNG", "PPM")  # formats whose 16 bits Pillow may show as 32
HEIC = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")  # brands, from the ninth byte on
# What Pillow raises besides, of damaged headers, and of a PNG that breaks off in the middle.
BROKEN = (struct.error, TypeError, RuntimeError, OverflowError, SyntaxError)

with contextlib.suppress(ImportError):  # the extra heic
    from pillow_heif import register_heif_opener

    register_heif_opener()

# A photograph of 180 million pixels is a picture; PIL would warn of an attack at half of that.
Image.MAX_IMAGE_PIXELS = 200_000_000


def find_image_column(dataset: AnyDataset, name: str | None) -> str:
    """The column of pictures: see `find_column`."""
    return find_column(dataset, name, "image_column", datasets.Image, IMAGE_NAMES, "pictures")


class Scan(NamedTuple):
    """What is known of pictures from their headers.

    Attributes:
        looked_at: How many were opened.
        colour: Whether any of them can show colour.
        transparent: How many have transparency.
        several: How many have further frames, pages or layers, of which the first alone is taken.
        sizes: (height, width) that occur, the smallest area first.
    """

    looked_at: int
    colour: bool
    transparent: int
    several: int
    sizes: tuple[tuple[int, int], ...]


def scan(dataset: AnyDataset, column: str) -> Scan:
    """Read the headers of pictures: until colour is found, and of SCANNED more.

    Of a stream, the first few hundred.
    """
    if isinstance(dataset, datasets.IterableDataset):
        dataset = dataset.take(STREAM_LOOKED_AT)
    colour, looked_at, transparent, several = False, 0, 0, 0
    sizes: set[tuple[int, int]] = set()
    for row in dataset.select_columns(column):
        if colour and looked_at >= SCANNED:
            break
        try:
            with open_picture(row[column]) as picture:
                colour = colour or is_colour(picture)
                transparent += is_transparent(picture)
                looked_at += 1
                sizes.add((picture.height, picture.width))
                several += has_frames(picture)
        except (OSError, ValueError, *BROKEN):
            continue  # a broken picture is reported where it is decoded
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    return Scan(looked_at, colour, transparent, several, tuple(by_area))


def is_colour(picture: Image.Image) -> bool:
    """Whether a picture's own format can show colour."""
    return picture.mode not in ("1", "L", "LA", "La", "I", "F") and not picture.mode.startswith("I;16")


def is_transparent(picture: Image.Image) -> bool:
    """Whether a picture's own format has transparency."""
    alpha = picture.info.get("transparency")  # of a palette: of each of its colours
    opaque = alpha is None or (isinstance(alpha, bytes) and min(alpha, default=255) == 255)
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or not opaque


def has_frames(picture: Image.Image) -> bool:
    """Whether a file has several frames or pages; not what a camera adds to a photograph (MPO)."""
    with contextlib.suppress(Exception):  # a broken file is reported where it is decoded
        return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
    return False


def open_picture(value: Any) -> Image.Image:
    """A cell of a dataset as a picture: encoded bytes, a path, a PIL image or an array ``(H, W)`` or ``(H, W, C)``.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: The cell is empty or of an unknown kind.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes | str | Path):
        value = value if isinstance(value, bytes) else path_of(value)
        if is_dicom(value):
            return open_dicom(value)
        try:
            return Image.open(io.BytesIO(value) if isinstance(value, bytes) else value)
        except UnidentifiedImageError as error:
            content = value if isinstance(value, bytes) else value.read_bytes()
            if content[4:8] == b"ftyp" and content[8:12] in HEIC:
                raise ValueError("HEIC pictures need pip install 'multigan[heic]'") from error
            raise
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


def pixels(value: Any, sides: tuple[int, int], channels: int, fit: str = "crop", bits: int = 8) -> numpy.ndarray:
    """Any picture -> uint8, or uint16, ``(channels, *sides)``: upright, scaled, cropped, padded or stretched.

    Transparency is composited on white, or kept in a fourth channel; what cannot be seen is white.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: The cell is empty or of an unknown kind.
    """
    return to_pixels(upright(value), sides, channels, fit, bits)


def upright(value: Any) -> Image.Image:
    """A cell of a dataset as a decoded picture, turned as its Exif data says.

    Raises:
        OSError: It is broken, or not a picture.
        ValueError: The cell is empty or of an unknown kind.
    """
    try:
        with open_picture(value) as opened:
            kind = opened.format
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except BROKEN as error:
        raise ValueError(f"the picture is broken: {error}") from error
    picture.format = kind
    return picture


def to_pixels(
    picture: Image.Image, sides: tuple[int, int], channels: int, fit: str = "crop", bits: int = 8
) -> numpy.ndarray:
    """As `pixels`, of a picture from `upright`.

    Raises:
        ValueError: Its numbers have no defined range.
    """
    if bits == 16:
        array = numpy.asarray(fitted(sixteen_bits(picture), sides, fit)).round().clip(0, 65535).astype(numpy.uint16)
    elif channels == 4:
        array = numpy.array(fitted(picture.convert("RGBA"), sides, fit))
        array[array[..., 3] == 0] = 255, 255, 255, 0
    else:
        array = numpy.asarray(fitted(flatten(picture).convert("L" if channels == 1 else "RGB"), sides, fit))
    return array[None] if array.ndim == 2 else numpy.ascontiguousarray(array.transpose(2, 0, 1))


def fitted(picture: Image.Image, sides: tuple[int, int], fit: str) -> Image.Image:
    """A picture of these sides, height and width."""
    size = sides[1], sides[0]
    if fit == "stretch":
        return picture.resize(size, Image.Resampling.BICUBIC)
    if fit == "pad":
        white: Any = {"L": 255, "F": 65535.0, "RGB": (255, 255, 255), "RGBA": (255, 255, 255, 0)}[picture.mode]
        return ImageOps.pad(picture, size, Image.Resampling.BICUBIC, white)
    return ImageOps.fit(picture, size, Image.Resampling.BICUBIC)


def sixteen_bits(picture: Image.Image) -> Image.Image:
    """Grey from 0 to 65,535, as floats, which can be scaled."""
    if picture.mode.startswith("I") and (picture.mode != "I" or picture.format in SIXTEEN_BITS):
        return Image.fromarray(numpy.asarray(picture, numpy.float32))
    return Image.fromarray(numpy.asarray(flatten(picture).convert("L"), numpy.float32) * 257)


def flatten(picture: Image.Image) -> Image.Image:
    """Eight bits per channel, transparent parts on white."""
    if picture.mode == "F":
        raise ValueError("float images have no defined range: save it with 8 or 16 bits per channel")
    if picture.mode == "I" and picture.format not in SIXTEEN_BITS:
        raise ValueError("images of 32-bit numbers have no defined range: save it with 8 or 16 bits per channel")
    if picture.mode.startswith("I"):  # 16 bits
        return Image.fromarray((numpy.asarray(picture, numpy.float64) / 257).round().clip(0, 255).astype(numpy.uint8))
    if is_transparent(picture):
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture
