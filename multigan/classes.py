"""For modalities: the classes of a dataset, and of each of its rows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import datasets
import numpy
import pyarrow

from multigan.columns import AnyDataset, class_feature, column_names, columns, find_label_columns
from multigan.errors import UserError
from multigan.modality import JOINED, ClassConditionalConfig

Config = TypeVar("Config", bound=ClassConditionalConfig)

MOST_CLASSES = 100_000
MOST_COMBINATIONS = 100  # that are generated in turn when no label is asked for
UNLABELLED = -1  # the label of a row that has none
# What a column says that is named after a class: whether a row has it.
YES, NO = ("1", "true", "yes"), ("0", "-1", "false", "no")
BLOCK = 1000


def with_classes(config: Config, dataset: AnyDataset) -> Config:
    """The configuration with the classes of a dataset: the column, the names and, if rows can have several, the
    combinations.

    Raises:
        UserError: Classes are needed, or the user named a column, and it cannot serve.
    """
    found = find_label_columns(dataset, config.label_column)
    if config.conditional and not found:
        raise UserError(
            f"conditional needs classes, and the dataset has only: {', '.join(columns(dataset))}; put each class into "
            "a folder of its own, or name a column with --model.label_column"
        )
    column = ",".join(found) or None
    try:
        if found and (len(found) > 1 or is_list(dataset, found[0]) or config.combinations):
            return with_combinations(config, dataset, found)
        names = config.classes or class_names(dataset, column)
        if config.conditional and not names:
            raise UserError(f"conditional needs classes, and all cells of column {column!r} are empty")
        return replace(config, label_column=column, classes=names)
    except UserError:
        if config.conditional or config.label_column or config.classes:
            raise
        return replace(config, label_column=None)  # a column of some other kind, which only has the name of one


def with_combinations(config: Config, dataset: AnyDataset, found: list[str]) -> Config:
    """The configuration with the classes of a dataset whose rows can have several.

    Raises:
        UserError: The names are ambiguous, or there are none.
    """
    column = ",".join(found)
    if isinstance(dataset, datasets.IterableDataset):
        names = config.classes or declared(dataset, found)
        return replace(config, label_column=column, classes=names, combinations=config.combinations or names)
    by_column = {name: values(dataset, name, several=len(found) > 1) for name in found}
    known = [value for some in by_column.values() for value in some if value in (config.classes or some)]
    shared = [value for value, count in Counter(known).items() if count > 1]
    if shared:
        both = " and ".join(repr(name) for name in found if shared[0] in by_column[name])
        raise UserError(f"the columns {both} both have {shared[0]!r}: each class needs a name of its own")
    joined = [value for value in known if JOINED in value]
    if joined:
        raise UserError(f"the class {joined[0]!r} has a {JOINED}, which joins the classes of a combination: rename it")
    names = config.classes or tuple(known)
    if config.conditional and not names:
        raise UserError(f"conditional needs classes, and all cells of column {column!r} are empty")
    seen: Counter[str] = Counter()
    for block in dataset.select_columns(found).iter(BLOCK):
        rows = with_class_names(dict(block), dataset.features)
        for cells in zip(*(rows[name] for name in found), strict=True):
            labels = row_classes(dict(zip(found, cells, strict=True)), found, names)
            seen[JOINED.join(label for label in names if label in (labels or ()))] += 1
    del seen[""]
    order = {name: number for number, name in enumerate(names)}
    common = sorted(seen, key=lambda one: (-seen[one], [order[name] for name in one.split(JOINED)]))
    combinations = config.combinations or tuple(common[:MOST_COMBINATIONS])
    return replace(config, label_column=column, classes=names, combinations=combinations)


def is_list(dataset: AnyDataset, column: str) -> bool:
    """Whether the cells of a column are lists."""
    return isinstance((dataset.features or {}).get(column), datasets.List | datasets.LargeList)


def declared(dataset: datasets.IterableDataset, found: Iterable[str]) -> tuple[str, ...]:
    """The classes that columns of a stream declare.

    Raises:
        UserError: They declare none.
    """
    names: list[str] = []
    for column in found:
        feature = class_feature((dataset.features or {}).get(column))
        if feature is None:
            raise UserError(
                f"a streamed dataset must declare the classes of {column!r}: name them with --model.classes"
            )
        names += feature.names
    return tuple(names)


def class_names(dataset: AnyDataset, column: str | None) -> tuple[str, ...]:
    """The names of the classes of a column: of the values that occur, in declared order, or sorted.

    Numbers are names as well: labels 1, 2 and 3 are three classes. A label that is empty is of no class.

    Raises:
        UserError: A stream that does not declare its classes, or a column of something other than classes.
    """
    if column is None:
        return ()
    if isinstance(dataset, datasets.IterableDataset):
        return declared(dataset, [column])
    return values(dataset, column)


def values(dataset: datasets.Dataset, column: str, several: bool = False) -> tuple[str, ...]:
    """The classes in a column, as `class_names`; of ``several`` columns, one that only says yes or no is a class.

    Raises:
        UserError: It is a column of something other than classes.
    """
    feature = class_feature(dataset.features[column])
    try:
        if is_list(dataset, column):
            blocks = dataset.select_columns(column).iter(BLOCK)
            cells = {one for block in blocks for cell in block[column] for one in cell or ()}
        else:
            cells = set(dataset.unique(column))
    except (pyarrow.ArrowException, TypeError) as error:
        raise UserError(f"column {column!r} does not hold classes: expected names, or numbers from 0") from error
    cells -= {None, ""}
    if feature is not None:
        known = {number: name for number, name in enumerate(feature.names) if number in cells}
        cells = set(known.values())
    if several and cells and all(str(value).lower() in YES + NO for value in cells):
        return (column,)
    if feature is not None:
        return tuple(known.values())
    if not all(isinstance(value, str) or (isinstance(value, int) and value >= 0) for value in cells):
        raise UserError(f"column {column!r} holds {sorted(cells, key=str)[:3]}: expected names, or numbers from 0")
    if len(cells) > MOST_CLASSES:
        raise UserError(f"column {column!r} has {len(cells):,} values: too many for classes")
    return tuple(sorted(map(str, cells), key=by_number))


def by_number(name: str) -> tuple[bool, int, str]:
    """An order of names in which numbers come first, and by size."""
    whole = name.removeprefix("-").isdecimal()
    return not whole, int(name) if whole else 0, name


def with_class_names(rows: dict[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    """A row, or columns of rows, with the names of classes where `datasets` has numbers; None for no class."""
    for column in rows.keys() & features.keys():
        feature = class_feature(features[column])
        if feature is not None:
            rows[column] = name_cells(rows[column], dict(enumerate(feature.names)))
    return rows


def name_cells(cell: Any, names: Mapping[int, str]) -> Any:
    """A cell, or a list of cells, with names for numbers."""
    return [name_cells(one, names) for one in cell] if isinstance(cell, list) else names.get(cell)


def row_classes(row: Mapping[str, Any], found: Iterable[str], names: Iterable[str]) -> list[str] | None:
    """The classes of a row by name, also those not among ``names``; None where its cells are empty.

    A column that is named like a class says whether the row has it.
    """
    labels: list[str] = []
    empty = True
    for column in found:
        cell = row[column]
        if cell is None or cell == "":
            continue
        empty = False
        if isinstance(cell, list | tuple):
            labels += map(str, cell)
        elif column not in names or str(cell).lower() not in YES + NO:
            labels.append(str(cell))
        elif str(cell).lower() in YES:
            labels.append(column)
    return None if empty else labels


def labelled(encoded: dict[str, Any], row: Mapping[str, Any], config: ClassConditionalConfig) -> dict[str, Any] | None:
    """An encoded row with its ``label`` where there is a column of classes: a number or, where rows can have several,
    int8 ``(classes,)`` of 0 and 1.

    Returns:
        None, to leave the row out, where it has none of the classes of the configuration but others.

    Raises:
        ValueError: It has no label, and the networks are given the class.
    """
    if config.label_column is None:
        return encoded
    several = bool(config.combinations)
    found = column_names(config.label_column, row)
    labels = row_classes(row, found, config.classes if several else ())
    if labels is None and config.conditional:
        raise ValueError(f"the cell of {config.label_column!r}, its class, is empty")
    places = [config.classes.index(name) for name in labels or () if name in config.classes]
    unknown = labels is None or bool(labels and not places)
    if unknown and config.conditional:
        return None
    if not several:
        return {**encoded, "label": UNLABELLED if unknown else places[0]}
    label = numpy.full(len(config.classes), UNLABELLED if unknown else 0, numpy.int8)
    label[places] = 1
    return {**encoded, "label": label}
