"""For modalities: the classes of a dataset, and of each of its rows."""

import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import datasets
import numpy
import pyarrow

from multigan.columns import AnyDataset, class_feature, column_names, columns, find_label_columns, label_candidates
from multigan.errors import UserError
from multigan.modality import JOINED, ClassConditionalConfig

Config = TypeVar("Config", bound=ClassConditionalConfig)

MOST_CLASSES = 100_000
MOST_COMBINATIONS = 100  # that are generated in turn when no label is asked for
UNLABELLED = -1  # the label of a row that has none
# What a column says that is named after a class: whether a row has it.
YES, NO = ("1", "true", "yes"), ("0", "-1", "false", "no")
BLOCK = 1000


def class_name(cell: Any) -> str | None:
    """The name of the class in a cell; None for an empty cell or NaN.

    Cells that only look different are one class: names without spaces around them and in Unicode's composed form (NFC);
    true, True and TRUE; 1 and 1.0.
    """
    if cell is None or cell != cell:
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    name = unicodedata.normalize("NFC", str(cell)).strip()
    return (name.capitalize() if name.lower() in ("true", "false") else name) or None


def with_classes(config: Config, dataset: AnyDataset) -> Config:
    """The configuration with the classes of a dataset: the column, the names and, if rows can have several, the
    combinations.

    Raises:
        UserError: Classes are needed, or the user named a column, and it cannot serve; or a class is named twice.
    """
    config = replace(config, classes=tuple(filter(None, map(class_name, config.classes))))
    if twice := [name for name, count in Counter(config.classes).items() if count > 1]:
        raise UserError(f"classes names {twice[0]!r} twice: expected each class once")
    found = find_label_columns(dataset, config.label_column)
    if config.conditional and not found:
        raise UserError(
            f"conditional needs classes, and the dataset has only: {', '.join(columns(dataset))}; name a column of "
            "them with --model.label_column or put each class into a folder of its own; a table beside the files, such "
            "as metadata.csv, counts instead of folders and needs a column label. Without classes, train with "
            "--model.conditional false"
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


def label_note(before: Config, after: Config, dataset: AnyDataset) -> list[str]:
    """A line with the column of classes that `with_classes` chose among several; empty if there was no choice."""
    others = [column for column in label_candidates(dataset) if column != after.label_column]
    if before.label_column or not after.label_column or not others:
        return []
    chosen = f"classes are from column {after.label_column!r}, not {', '.join(map(repr, others))}"
    return [f"{chosen} (--model.label_column chooses another)"]


def class_note(config: Config) -> list[str]:
    """A line with the number of classes, and whether they are used; empty if there are none."""
    if not config.classes:
        return []
    several = ", several of an example" if config.combinations else ""
    unused = "" if config.conditional else ", not used: --model.conditional true tells the networks of them"
    return [f"{len(config.classes):,} class{'es' * (len(config.classes) != 1)}{several}{unused}"]


def with_combinations(config: Config, dataset: AnyDataset, found: list[str]) -> Config:
    """The configuration with the classes of a dataset whose rows can have several.

    Raises:
        UserError: The names are ambiguous, or there are none.
    """
    if config.classes and config.combinations:  # as in training: for held-out rows, or a run that is resumed
        return replace(config, label_column=",".join(found))
    stream = isinstance(dataset, datasets.IterableDataset)
    if stream and config.classes and not all(class_feature((dataset.features or {}).get(name)) for name in found):
        return replace(config, label_column=",".join(found), combinations=config.classes)
    by_column = {name: class_names(dataset, name, several=len(found) > 1) for name in found}
    if config.classes:  # the other columns say nothing of these, and their 1 and 0 could be taken for names
        by_column = {name: values for name, values in by_column.items() if set(values) & set(config.classes)}
        if not by_column:
            raise UserError(f"none of the classes {', '.join(config.classes)} is in column {', '.join(found)}")
    found = list(by_column)
    known = [value for values in by_column.values() for value in values if value in (config.classes or values)]
    shared = [value for value, count in Counter(known).items() if count > 1]
    if shared:
        both = " and ".join(repr(name) for name in found if shared[0] in by_column[name])
        raise UserError(f"the columns {both} both have {shared[0]!r}: each class needs a name of its own")
    joined = [value for value in known if JOINED in value]
    if joined:
        raise UserError(f"the class {joined[0]!r} has a {JOINED}, which joins the classes of a combination: rename it")
    names = config.classes or tuple(known)
    if config.conditional and not names:
        raise UserError(f"conditional needs classes, and all cells of column {', '.join(found)!r} are empty")
    combinations = config.combinations or (names if stream else common_combinations(dataset, found, names))
    unknown = {name for one in combinations for name in one.split(JOINED)} - {*names}
    if unknown:
        raise UserError(f"combinations name no class {sorted(unknown)[0]!r}: the classes are {', '.join(names)}")
    return replace(config, label_column=",".join(found), classes=names, combinations=combinations)


def common_combinations(dataset: datasets.Dataset, found: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """The most frequent combinations of classes, and of equally frequent ones in the order of the classes."""
    order, seen = numbers(names), Counter[str]()
    for block in dataset.select_columns(list(found)).iter(BLOCK):
        rows = with_class_names(dict(block), dataset.features)
        for cells in zip(*(rows[name] for name in found), strict=True):
            labels = row_classes(dict(zip(found, cells, strict=True)), found, order)
            seen[JOINED.join(sorted(order.keys() & set(labels or ()), key=order.__getitem__))] += 1
    del seen[""]
    common = sorted(seen, key=lambda one: (-seen[one], [order[name] for name in one.split(JOINED)]))
    return tuple(common[:MOST_COMBINATIONS])


@lru_cache
def numbers(names: tuple[str, ...]) -> dict[str, int]:
    """The number of each class by its name, as `class_name` writes it: models of multigan 0.1 have others."""
    return {class_name(name) or name: number for number, name in enumerate(names)}


def is_list(dataset: AnyDataset, column: str) -> bool:
    """Whether the cells of a column are lists."""
    if dataset.features is None:  # of a stream
        return isinstance(next(iter(dataset))[column], list)
    return isinstance(dataset.features[column], datasets.List | datasets.LargeList)


def class_names(dataset: AnyDataset, column: str | None, several: bool = False) -> tuple[str, ...]:
    """The names of the classes of a column: of the values that occur, in declared order, or sorted.

    Numbers are names as well: labels 1, 2 and 3 are three classes. A label that is empty is of no class. Of ``several``
    columns, one that only says yes or no is a class itself. A stream has the classes that it declares.

    Raises:
        UserError: A stream that does not declare its classes, or a column of something other than classes.
    """
    if column is None:
        return ()
    feature = class_feature((dataset.features or {}).get(column))
    cells: set[Any]
    if isinstance(dataset, datasets.IterableDataset):
        if feature is None:
            raise UserError(
                f"a streamed dataset must declare the classes of {column!r}: name them with --model.classes"
            )
        cells = {*feature.names}
    else:
        cells = values(dataset, column)
        if feature is not None:
            cells = {name for number, name in enumerate(feature.names) if number in cells}
    names = {name for name in map(class_name, cells) if name}
    if several and names and all(name.lower() in YES + NO for name in names):
        return (class_name(column) or column,)
    if feature is not None:
        return tuple(dict.fromkeys(name for name in map(class_name, feature.names) if name and name in names))
    others = [cell for cell in cells if not isinstance(cell, str)]
    if not all(isinstance(cell, int | float) and cell >= 0 and cell % 1 == 0 for cell in others):
        shown = sorted(cells, key=str)[:3]
        raise UserError(f"column {column!r} holds {shown}: expected names, or whole numbers from 0")
    if len(names) > MOST_CLASSES:
        raise UserError(f"column {column!r} has {len(names):,} values: too many for classes")
    return tuple(sorted(names, key=by_number))


def values(dataset: datasets.Dataset, column: str) -> set[Any]:
    """The values of a column, or in the lists of a column, without empty ones.

    Raises:
        UserError: It is a column of something other than classes.
    """
    try:
        if is_list(dataset, column):
            blocks = dataset.select_columns(column).iter(BLOCK)
            found = {one for block in blocks for cell in block[column] for one in cell or ()}
        else:
            found = {*dataset.unique(column)}
        return {one for one in found if class_name(one)}
    except (pyarrow.ArrowException, TypeError) as error:
        raise UserError(f"column {column!r} does not hold classes: expected names, or numbers from 0") from error


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


def row_classes(row: Mapping[str, Any], found: Iterable[str], names: Container[str]) -> list[str] | None:
    """The classes of a row by name, also those not among ``names``; None where its cells are empty.

    A column that is named like a class says whether the row has it.
    """
    labels: list[str] = []
    empty = True
    for column in found:
        cell = row[column]
        if isinstance(cell, list | tuple):
            labels += filter(None, map(class_name, cell))
            empty = False
        elif name := class_name(cell):
            own = class_name(column) or column
            if own not in names or name.lower() not in YES + NO:
                labels.append(name)
            elif name.lower() in YES:
                labels.append(own)
            empty = False
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
    several, order = bool(config.combinations), numbers(config.classes)
    labels = row_classes(row, column_names(config.label_column, row), order if several else ())
    if labels is None and config.conditional:
        raise ValueError(f"the cell of {config.label_column!r}, its class, is empty")
    if not several and len(labels or ()) > 1:
        raise ValueError(f"the cell of {config.label_column!r} has several classes, and others have one")
    places = [order[name] for name in labels or () if name in order]
    unknown = not places and (labels != [] or not several)
    if unknown and config.conditional:
        return None
    if not several:
        return {**encoded, "label": UNLABELLED if unknown else places[0]}
    label = numpy.full(len(config.classes), UNLABELLED if unknown else 0, numpy.int8)
    label[places] = 1
    return {**encoded, "label": label}
