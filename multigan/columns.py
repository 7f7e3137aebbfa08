"""For modalities: finding columns in a dataset, and the files in its cells."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import datasets

from multigan.errors import UserError

AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset

LABEL_NAMES = ("label", "labels", "class", "fine_label", "category", "target", "digit", "cls", "coarse_label")
# Bytes of a file's name that are not UTF-8 have no place in a column of text: Python's own stand-ins for them are
# moved into the private use area.
STAND_INS, PRIVATE = range(0xDC80, 0xDD00), 0xF780


def name_of(file: Path) -> str:
    """A path as a cell of a dataset; `path_of` has it back."""
    return str(file).translate({code: PRIVATE + place for place, code in enumerate(STAND_INS)})


def path_of(name: str | Path) -> Path:
    """The path in a cell of a dataset."""
    path = Path(name)
    if os.path.lexists(path):
        return path
    return Path(str(name).translate({PRIVATE + place: code for place, code in enumerate(STAND_INS)}))


def columns(dataset: AnyDataset) -> list[str]:
    """The names of the columns."""
    return list(dataset.column_names or next(iter(dataset)))


def column_key(name: str) -> str:
    """A column's name as it is compared: in lower case, without spaces around it."""
    return name.strip().casefold()


def named(dataset: AnyDataset, name: str, flag: str) -> str:
    """The column of that name, or else of that name in other case.

    Raises:
        UserError: There is none.
    """
    known = columns(dataset)
    alike = [column for column in known if column_key(column) == column_key(name)]
    found = [name] if name in known else alike
    if not found:
        raise UserError(f"{flag} is {name!r}, and the dataset has only: {', '.join(known)}")
    return found[0]


def usual(dataset: AnyDataset, names: tuple[str, ...]) -> list[str]:
    """The columns that have one of the usual names, in the order of these names."""
    known = columns(dataset)
    return [column for name in names for column in known if column_key(column) == name]


def find_column(
    dataset: AnyDataset, name: str | None, flag: str, kind: type, usual_names: tuple[str, ...], what: str
) -> str:
    """Find the column of examples: the one named, else the only one of the feature's type, else one of a usual name.

    Args:
        dataset: Any dataset.
        name: As the user named it.
        flag: The setting that names it.
        kind: The feature of `datasets` for such examples.
        usual_names: Usual names, the likeliest first.
        what: The examples, in the plural, for errors.

    Raises:
        UserError: There is none, or there are several.
    """
    if name is not None:
        return named(dataset, name, flag)
    features = dataset.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, kind)]
    found = found or usual(dataset, usual_names)[:1]
    if len(found) != 1:
        problem = f"several columns of {what} ({', '.join(found)})" if found else f"no column of {what}"
        raise UserError(f"{problem} among: {', '.join(columns(dataset))}; name it with --model.{flag}")
    return found[0]


def column_names(name: str, known: Iterable[str]) -> list[str]:
    """The columns that a setting names: one, or several with commas between them."""
    return [name] if name in known else name.split(",")


def find_label_columns(dataset: AnyDataset, name: str | None) -> list[str]:
    """The columns of classes: those named, else the first candidate, if any."""
    if name is not None:
        parts = [name] if column_key(name) in map(column_key, columns(dataset)) else name.split(",")
        return [named(dataset, part, "label_column") for part in parts]
    return label_candidates(dataset)[:1]


def label_candidates(dataset: AnyDataset) -> list[str]:
    """The columns that could be of classes, the likeliest first: of type ClassLabel, then those of a usual name."""
    declared = [column for column, feature in (dataset.features or {}).items() if class_feature(feature)]
    return list(dict.fromkeys(declared + usual(dataset, LABEL_NAMES)))


def class_feature(feature: Any) -> datasets.ClassLabel | None:
    """The declaration of classes of a column, also where its cells are lists of them."""
    if isinstance(feature, datasets.List | datasets.LargeList):
        feature = feature.feature
    return feature if isinstance(feature, datasets.ClassLabel) else None
