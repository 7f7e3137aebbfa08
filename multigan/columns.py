"""For modalities: finding the columns of examples and of classes in a dataset."""

from typing import Any, TypeAlias

import datasets
import pyarrow

from multigan.errors import UserError

AnyDataset: TypeAlias = datasets.Dataset | datasets.IterableDataset

LABEL_NAMES = ("label", "labels", "class", "fine_label", "category", "target", "digit", "cls", "coarse_label")
MOST_CLASSES = 100_000


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


def find_column(dataset: AnyDataset, name: str | None, flag: str, kind: type, usual: tuple[str, ...], what: str) -> str:
    """The column of examples: the one named, else the only one of the feature's type, else one of a usual name.

    Args:
        dataset: Any dataset.
        name: As the user named it.
        flag: The setting that names it.
        kind: The feature of `datasets` for such examples.
        usual: Usual names, the likeliest first.
        what: The examples, in the plural, for errors.

    Raises:
        UserError: There is none, or there are several.
    """
    if name is not None:
        return named(dataset, name, flag)
    features = dataset.features or {}
    found = [column for column, feature in features.items() if isinstance(feature, kind)]
    found = found or [column for column in usual if column in columns(dataset)][:1]
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
            raise UserError(f"column {column!r} has numbers up to {max(values)}: too large for class ids")
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


def find_classes(
    dataset: AnyDataset, label_column: str | None, classes: tuple[str, ...], conditional: bool
) -> tuple[str | None, tuple[str, ...]]:
    """The column of classes, None where there is none, and their names.

    Args:
        dataset: Any dataset.
        label_column: As the user named it.
        classes: As the user named them.
        conditional: Whether classes are needed.

    Raises:
        UserError: They are needed, or the user named a column, and it cannot serve.
    """
    column = find_label_column(dataset, label_column)
    if conditional and column is None:
        found = ", ".join(columns(dataset))
        raise UserError(
            f"conditional needs classes, and the dataset has only: {found}; name one with --model.label_column"
        )
    if classes:
        return column, classes
    try:
        return column, class_names(dataset, column)
    except UserError:
        if conditional or label_column:
            raise
        return None, ()  # a column of some other kind, which only has the name of one
