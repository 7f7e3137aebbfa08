"""Reads pictures from arrays: .npz with labels, .npy without, and the slices of NIfTI volumes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy
import pyarrow
from PIL import Image

from multigan.data.listing import pick_split, shown, split_of
from multigan.data.tables import dataset_of
from multigan.errors import UserError, first_line

ENDINGS = (".npz", ".npy")
VOLUMES = (".nii", ".nii.gz")
PICTURES = ("images", "image", "x", "data", "arr", "arr_0")  # names of arrays, without the split
LABELS = ("labels", "label", "y", "target", "targets")


def read(file: Path, split: str) -> datasets.Dataset:
    """The pictures of a split, as columns ``image`` (PNG) and, where there are labels, ``label``.

    The names of arrays may name a split, at either end: ``train_images``, ``y_test``. Whole numbers up to 255 are 8
    bits, up to 65,535 they are 16 bits, decided for the whole file.

    Raises:
        UserError: It cannot be read, or holds something else.
        NoSplitError: It has no such split.
    """
    try:
        with file.open("rb") as opened:
            loaded = numpy.load(opened)
            arrays = dict(loaded) if isinstance(loaded, Mapping) else {"images": loaded}
        found = {parted(name): array for name, array in arrays.items()}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error
    pictures = {part: array for (part, name), array in found.items() if name in PICTURES and array.ndim in (3, 4)}
    labels = {part: array for (part, name), array in found.items() if name in LABELS}
    if not pictures:
        there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise UserError(f"{shown(file)} has no array of pictures (N, H, W) or (N, H, W, C), named images or x: {there}")
    whole_is_train = set(pictures) == {None} and split_of(split) == "train"
    part = None if whole_is_train else pick_split(filter(None, pictures), split, shown(file))
    whole = all(array.dtype.kind in "bui" and array.size and array.min() >= 0 for array in pictures.values())
    most = max(int(array.max()) for array in pictures.values()) if whole else 2**16
    if most > 65535:
        kinds = ", ".join(sorted({str(array.dtype) for array in pictures.values()}))
        raise UserError(
            f"the pictures in {shown(file)} are {kinds}: expected whole numbers from 0 to 255, or to 65,535"
        )
    pictures = {name: array * numpy.uint8(255) if array.dtype == bool else array for name, array in pictures.items()}
    for array in pictures.values():
        channels = channels_of(array)
        if channels not in (1, 3, 4) or (most > 255 and channels != 1):
            raise UserError(
                f"the pictures in {shown(file)} are {array.shape}: expected 1, 3 or 4 channels; of 16 bits, 1"
            )
    cells = [png(array, 8 if most < 256 else 16) for array in pictures[part]]
    columns = {"image": pictures_column(cells)}
    if part in labels:
        columns["label"] = labels_of(labels[part], len(cells), file)
    dataset = dataset_of(pyarrow.table(columns), [file], part)
    return dataset.cast_column("image", datasets.Image(decode=False))


def read_volumes(files: Sequence[Path], labels: Mapping[Path, str], say: Callable[[str], object]) -> datasets.Dataset:
    """The axial slices of NIfTI volumes, as columns ``image`` (PNG of 16 bits) and, with labels, ``label``.

    The front of a patient is up and the right is on the right (the neurological convention). Black and white are the
    least and the greatest value of the volume, or ``cal_min`` and ``cal_max`` where the file has them. Slices of one
    value are left out.

    Raises:
        UserError: nibabel is missing, or a file is no volume that can be read.
    """
    cells, names, empty = [], [], 0
    for file in files:
        slices = axial_slices(file)
        pictures = [png(one, 16) for one in slices if one.min() < one.max()]
        empty += len(slices) - len(pictures)
        cells += pictures
        names += [labels.get(file)] * len(pictures)
    if not cells:
        raise UserError(f"all slices of {shown(files[0])} are of one value")
    if empty:
        say(f"slices left out, as they are of one value: {empty:,} of {empty + len(cells):,}")
    columns = {"image": pictures_column(cells)}
    if labels:
        columns["label"] = pyarrow.array(names, "string")
    return dataset_of(pyarrow.table(columns), files).cast_column("image", datasets.Image(decode=False))


def axial_slices(file: Path) -> numpy.ndarray:
    """A volume as uint16 ``(slices, height, width)``, from the lowest."""
    try:
        import nibabel
    except ImportError as error:
        raise UserError("NIfTI volumes need pip install 'multigan[nifti]'") from error
    try:
        loaded: Any = nibabel.load(file)
        image = nibabel.as_closest_canonical(loaded)  # type: ignore[no-untyped-call] # right, front, up are positive
        values, header = image.get_fdata(dtype=numpy.float32), image.header
        low, high = float(header["cal_min"]), float(header["cal_max"])
    except Exception as error:  # nibabel raises whatever its formats do
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error
    if values.ndim != 3 or not numpy.isfinite(values).all():
        raise UserError(f"{shown(file)} is {values.shape}: expected three dimensions of finite numbers")
    if not high > low:
        low, high = float(values.min()), float(values.max())
    share = numpy.clip((values - low) / max(high - low, 1e-30), 0, 1)
    return numpy.asarray((share.transpose(2, 1, 0)[:, ::-1] * 65535).round(), numpy.uint16)


def pictures_column(cells: list[bytes]) -> pyarrow.Array:
    """Encoded pictures as `datasets` keeps them."""
    return pyarrow.array([{"bytes": cell, "path": None} for cell in cells], datasets.Image().pa_type)


def parted(name: str) -> tuple[str | None, str]:
    """The split that the name of an array names, and the rest of it."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    splits = [word for word in words if split_of(word)]
    return (split_of(splits[0]) if splits else None), "_".join(word for word in words if word not in splits)


def channels_of(array: numpy.ndarray) -> int:
    """Channels of pictures ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``."""
    if array.ndim == 3:
        return 1
    return int(array.shape[1] if channels_first(array[0]) else array.shape[3])


def channels_first(picture: numpy.ndarray) -> bool:
    """Whether a picture of three axes is ``(C, H, W)``."""
    return picture.shape[0] in (1, 3, 4) and picture.shape[2] not in (1, 3, 4)


def png(array: numpy.ndarray, bits: int) -> bytes:
    """A picture ``(H, W)`` or ``(H, W, C)``, or with the channels first, as PNG."""
    if array.ndim == 3 and channels_first(array):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    file = io.BytesIO()
    Image.fromarray(numpy.ascontiguousarray(array.astype(f"uint{bits}"))).save(file, "PNG", compress_level=1)
    return file.getvalue()


def labels_of(array: numpy.ndarray, count: int, file: Path) -> pyarrow.Array:
    """Labels ``(N,)`` or ``(N, 1)``, numbers or texts, as a column."""
    if array.size != count or array.dtype.kind not in "buifUS":
        raise UserError(
            f"the labels in {shown(file)} are {array.dtype} {array.shape}: expected {count}, one for each picture"
        )
    labels = array.reshape(-1)
    if labels.dtype.kind == "S":
        labels = numpy.char.decode(labels, "utf-8", "replace")
    return pyarrow.array(labels, {"f": "float64", "U": "string"}.get(labels.dtype.kind, "int64"))
