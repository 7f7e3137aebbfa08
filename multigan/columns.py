"""For modalities: finding the columns of examples and of classes in a dataset."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import pyarrow

from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig

AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset

LABEL_NAMES = ("label", "labels", "class", "fine_label", "category", "target", "digit", "cls", "coarse_label")
MOST_CLASSES = 100_000
UNLABELLED = -1  # the label of a row that has none
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


def same(name: str) -> str:
    """A column's name without what does not count: case, and spaces around it."""
    return name.strip().casefold()


def named(dataset: AnyDataset, name: str, flag: str) -> str:
    """The column of that name, if the dataset has one.

    Raises:
        UserError: It has not.
    """
    known = columns(dataset)
    found = [column for column in known if column == name] or [one for one in known if same(one) == same(name)]
    if not found:
        raise UserError(f"{flag} is {name!r}, and the dataset has only: {', '.join(known)}")
    return found[0]


def usual(dataset: AnyDataset, names: tuple[str, ...]) -> list[str]:
    """The columns with usual names, in the order of these names."""
    known = columns(dataset)
    return [column for name in names for column in known if same(column) == name]


def find_column(
    dataset: AnyDataset, name: str | None, flag: str, kind: type, usual_names: tuple[str, ...], what: str
) -> str:
    """The column of examples: the one named, else the only one of the feature's type, else one of a usual name.

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


def find_label_column(dataset: AnyDataset, name: str | None) -> str | None:
    """The column of classes: the one named, else the first of type ClassLabel, else one of a usual name, else None."""
    if name is not None:
        return named(dataset, name, "label_column")
    features = dataset.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    return next(iter(found + usual(dataset, LABEL_NAMES)), None)


def class_names(dataset: AnyDataset, column: str | None) -> tuple[str, ...]:
    """The names of the classes of a column: of the values that occur, in declared order, or sorted.

    Numbers are names as well: labels 1, 2 and 3 are three classes. A label that is empty is of no class.

    Raises:
        UserError: A stream that does not declare its classes, or a column of something other than classes.
    """
    if column is None:
        return ()
    feature = (dataset.features or {}).get(column)
    if isinstance(dataset, datasets.IterableDataset):
        if isinstance(feature, datasets.ClassLabel):
            return tuple(feature.names)
        raise UserError(f"a streamed dataset must declare the classes of {column!r}: name them with --model.classes")
    try:
        values = {value for value in dataset.unique(column) if value is not None and value != ""}
    except (pyarrow.ArrowException, TypeError) as error:
        raise UserError(f"column {column!r} does not hold classes: expected names, or numbers from 0") from error
    if isinstance(feature, datasets.ClassLabel):
        return tuple(name for number, name in enumerate(feature.names) if number in values)
    if not all(isinstance(value, str) or (isinstance(value, int) and value >= 0) for value in values):
        raise UserError(f"column {column!r} holds {sorted(values, key=str)[:3]}: expected names, or numbers from 0")
    if len(values) > MOST_CLASSES:
        raise UserError(f"column {column!r} has {len(values):,} values: too many for classes")
    return tuple(sorted(map(str, values), key=by_number))


def by_number(name: str) -> tuple[bool, int, str]:
    """An order of names in which numbers come first, and by size."""
    whole = name.removeprefix("-").isdecimal()
    return not whole, int(name) if whole else 0, name


def with_class_names(rows: dict[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    """A row, or columns of rows, with the names of classes where `datasets` has numbers; None for no class."""
    for column, feature in features.items():
        if isinstance(feature, datasets.ClassLabel) and column in rows:
            names, cell = dict(enumerate(feature.names)), rows[column]
            rows[column] = [names.get(one) for one in cell] if isinstance(cell, list) else names.get(cell)
    return rows


def labelled(encoded: dict[str, Any], row: Mapping[str, Any], config: ClassConditionalConfig) -> dict[str, Any] | None:
    """An encoded row with its ``label``, a number, where there is a column of classes.

    Returns:
        None, to leave the row out, where it is of a class that is not among those of the configuration.

    Raises:
        ValueError: It has no label, and the networks are given the class.
    """
    if config.label_column is None:
        return encoded
    value = row[config.label_column]
    if value is None or value == "":
        if config.conditional:
            raise ValueError(f"the cell of {config.label_column!r}, its class, is empty")
        return {**encoded, "label": UNLABELLED}
    if str(value) not in config.classes:
        return None if config.conditional else {**encoded, "label": UNLABELLED}
    return {**encoded, "label": config.classes.index(str(value))}


def find_classes(
    dataset: AnyDataset, label_column: str | None, classes: tuple[str, ...], conditional: bool
) -> tuple[str | None, tuple[str, ...]]:
    """The column of classes, None where there is none, and their names.

    Args:
        dataset: Any dataset.
        label_column: As the user named it.
        classes: As the user named them: these alone, in this order.
        conditional: Whether classes are needed.

    Raises:
        UserError: They are needed, or the user named a column, and it cannot serve.
    """
    column = find_label_column(dataset, label_column)
    if conditional and column is None:
        found = ", ".join(columns(dataset))
        raise UserError(
            f"conditional needs classes, and the dataset has only: {found}; put each class into a folder of its own, "
            "or name a column with --model.label_column"
        )
    if classes:
        return column, classes
    try:
        names = class_names(dataset, column)
        if conditional and not names:
            raise UserError(f"conditional needs classes, and all cells of column {column!r} are empty")
        return column, names
    except UserError:
        if conditional or label_column:
            raise
        return None, ()  # a column of some other kind, which only has the name of one
