"""Pairs of pictures: finds them in folders, tables and pictures that hold both, and opens them.

`paired` gives the columns ``input`` and ``target``, or one column of pictures with both side by side, whose name says
which half is which. `unpaired` gives ``image`` and ``domain``, 0 or 1. Cells are what
`multigan.pictures.decoding.open_picture` takes.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import datasets
import pyarrow
from PIL import Image

from multigan.columns import AnyDataset, column_key, columns, named, path_of
from multigan.errors import UserError
from multigan.pictures import ENDINGS
from multigan.pictures.decoding import upright

INPUT, TARGET = "input", "target"
LEFT_TO_RIGHT, RIGHT_TO_LEFT = "input|target", "target|input"  # columns of pictures with both side by side
IMAGE, DOMAIN = "image", "domain"
FILE, LABEL = "file", "label"
DOMAINS = ("A", "B")
SHOWN = 3  # files that an error names

# Usual names of two columns, or folders, of pictures: the first becomes the second.
USUAL = (
    *(("input", "target"), ("input", "output"), ("source", "target"), ("a", "b"), ("before", "after")),
    *(("input_image", "target_image"), ("input_image", "output_image"), ("input_image", "edited_image")),
    *(("source_image", "target_image"), ("original_image", "edited_image"), ("original", "edited")),
    *(("image", "edited_image"), ("image", "edited"), ("image_a", "image_b"), ("imagea", "imageb")),
    *(("conditioning_image", "image"), ("conditioning", "image"), ("edge", "image"), ("edges", "image")),
)
# Usual names of columns, or folders, of label maps.
MAPS = (
    *(
        "label_map",
        "label_maps",
        "labelmap",
        "labelmaps",
        "map",
        "maps",
        "mask",
        "masks",
        "segmentation",
        "segmentations",
    ),
    *("semantic", "semantics", "annotation", "annotations", "seg", "label_image", "labels"),
)

Say = Callable[[str], object]


class Sides(NamedTuple):
    """Two names, of columns or folders: what is given, and what is to be made of it."""

    input: str
    target: str


def paired(
    dataset: AnyDataset,
    input_column: str | None = None,
    target_column: str | None = None,
    direction: Literal["AB", "BA"] = "AB",
    maps: bool = False,
    say: Say = lambda note: None,
) -> AnyDataset:
    """A dataset of pairs: ``input`` and ``target``, or one of the columns of pictures side by side.

    Pairs are files of the same name, apart from the ending, in the two folders of a dataset of files (the first in
    sorted order has the inputs), two columns of a table (by their names, their types or their order), or the halves of
    each picture of the only column (the left one is the input). What else is known of an input stays in its row.

    Args:
        dataset: As it was read.
        input_column: The column of inputs of a table; None finds it.
        target_column: The column of targets of a table; None finds it.
        direction: BA makes inputs of the targets, and the other way round.
        maps: Inputs are label maps, which a folder or column may be named after; it is the input then, also if it is
            the second.
        say: Called with a line that says what was taken for what.

    Raises:
        UserError: There are no pairs, files have no partner, or it is not clear which columns have the pairs.
    """
    names = columns_of(dataset)
    unnamed = input_column is None and target_column is None
    if unnamed and ({INPUT, TARGET} <= {*names} or {LEFT_TO_RIGHT, RIGHT_TO_LEFT} & {*names}):
        return swapped(dataset, direction)
    if FILE in names and unnamed:
        dataset = at_once(dataset)
        folders = by_folder(dataset)
        if len(folders) == 2:
            sides = in_order(sorted(folders), direction, maps)
            say(f"pairs of files of the same name: input {sides.input}, target {sides.target}")
            return like(dataset, of_folders(dataset, folders, sides))
        if len(folders) > 2:
            raise UserError(f"pairs need two folders of pictures, such as A and B, and there are {listed(folders)}")
    pictures = picture_columns(dataset)
    if unnamed and len(pictures) == 1:
        reverse = direction == "BA"
        left, right = ("target", "input") if reverse else ("input", "target")
        say(
            f"pairs side by side in column {pictures[0]!r}, as there are no two folders such as A and B: the left "
            f"half is the {left}, the right half the {right}"
        )
        return renamed(dataset, {pictures[0]: RIGHT_TO_LEFT if reverse else LEFT_TO_RIGHT})
    sides = of_table(dataset, pictures, input_column, target_column, direction, maps)
    say(f"pairs of columns: input {sides.input!r}, target {sides.target!r}")
    return renamed(dataset, {sides.input: INPUT, sides.target: TARGET})


def unpaired(
    dataset: AnyDataset,
    input_column: str | None = None,
    target_column: str | None = None,
    direction: Literal["AB", "BA"] = "AB",
    say: Say = lambda note: None,
) -> AnyDataset:
    """A dataset of pictures of two domains: ``image``, and ``domain``, int64, 0 for A and 1 for B.

    The domains are the two folders of a dataset of files (A is the first in sorted order), two columns of a table, or
    the two classes of its column ``label``.

    Args:
        dataset: As it was read.
        input_column: The column of a table with A; None finds it.
        target_column: The column of a table with B; None finds it.
        direction: BA exchanges the domains.
        say: Called with a line that says what was taken for what.

    Raises:
        UserError: There are not two domains, or one is empty.
    """
    names = columns_of(dataset)
    unnamed = input_column is None and target_column is None
    if unnamed and direction == "AB" and {IMAGE, DOMAIN} <= {*names} and has_domains(dataset):
        return dataset
    if FILE in names and unnamed:
        dataset = at_once(dataset)
        folders = by_folder(dataset)
        if len(folders) != 2:
            found = f"there are {listed(folders)}" if folders else "all are in one"
            raise UserError(f"unpaired pictures need two folders, such as A and B, and {found}")
        sides = in_order(sorted(folders), direction, maps=False)
        say(f"two domains: A is {sides.input}, B is {sides.target}")
        return like(dataset, of_domains(dataset, folders, sides))
    pictures = picture_columns(dataset)
    if unnamed and len(pictures) == 1:
        return of_classes(dataset, pictures[0], direction, say)
    sides = of_table(dataset, pictures, input_column, target_column, direction, maps=False)
    say(f"two domains: A is column {sides.input!r}, B is column {sides.target!r}")
    parts = [renamed(dataset.select_columns([name]), {name: IMAGE}) for name in sides]
    if isinstance(dataset, datasets.IterableDataset):
        parts = [part.map(lambda row, place=place: {DOMAIN: place}) for place, part in enumerate(parts)]
    else:
        parts = [with_column(part, DOMAIN, [place] * len(part)) for place, part in enumerate(parts)]
    whole: AnyDataset = datasets.concatenate_datasets(parts)
    return whole


def opened(row: dict[str, Any]) -> tuple[Image.Image, Image.Image]:
    """The input and the target of a row of `paired`, upright, of the same size.

    Raises:
        OSError: One is broken, or not a picture.
        ValueError: One is empty, of an unknown kind or broken; they differ in size; or a picture of both cannot be
            halved.
    """
    both = next((name for name in (LEFT_TO_RIGHT, RIGHT_TO_LEFT) if name in row), None)
    if both is not None:
        picture = upright(row[both])
        width, height = picture.size
        if width % 2:
            raise ValueError(f"{width} pixels wide: expected an even width, with input and target side by side")
        left, right = picture.crop((0, 0, width // 2, height)), picture.crop((width // 2, 0, width, height))
        left.format = right.format = picture.format  # which says what a picture of more than 8 bits is
        return (left, right) if both == LEFT_TO_RIGHT else (right, left)
    found = []
    for name in (INPUT, TARGET):
        try:
            found.append(upright(row[name]))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    first, second = found
    if first.size != second.size:
        sizes = ["{1} x {0}".format(*picture.size) for picture in found]
        raise ValueError(f"input and target differ in size: {sizes[0]} and {sizes[1]} pixels (height x width)")
    return first, second


# --- folders ---


def columns_of(dataset: AnyDataset) -> list[str]:
    """The names of the columns.

    Raises:
        UserError: There are no rows.
    """
    try:
        empty = isinstance(dataset, datasets.Dataset) and not len(dataset)
        names = [] if empty else columns(dataset)
    except StopIteration:
        names = []
    if not names:
        raise UserError("the dataset has nothing to read")
    return names


def at_once(dataset: AnyDataset) -> datasets.Dataset:
    """A dataset of files as one that is not a stream: pairs are known when all names are."""
    if isinstance(dataset, datasets.Dataset):
        return dataset
    made: datasets.Dataset = datasets.Dataset.from_list(list(dataset), features=dataset.features)
    return made


def like(dataset: AnyDataset, made: datasets.Dataset) -> AnyDataset:
    """What was made of a dataset, as a stream if that is one."""
    return made.to_iterable_dataset() if isinstance(dataset, datasets.IterableDataset) else made


def by_folder(dataset: datasets.Dataset) -> dict[str, dict[str, list[int]]]:
    """The files of a dataset: folder -> name from there, without the ending -> rows, as the names are sorted.

    The folders are those in the deepest folder that all files are in; empty if files are in that folder itself, or if
    this is a table's own column of that name, with something else in it.
    """
    cells = dataset[FILE][:]
    paths = [path_of(cell) for cell in cells if isinstance(cell, str)]
    if len(paths) < len(cells) or len({path.is_absolute() for path in paths}) > 1:
        return {}
    root = Path(os.path.commonpath([path.parent for path in paths]))
    folders: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row, path in sorted(enumerate(paths), key=lambda pair: pair[1]):
        parts = path.relative_to(root).parts
        if len(parts) < 2:
            return {}
        folders[parts[0]]["/".join((*parts[1:-1], path.stem))].append(row)
    return {folder: dict(names) for folder, names in folders.items()}


def of_folders(dataset: datasets.Dataset, folders: dict[str, dict[str, list[int]]], sides: Sides) -> datasets.Dataset:
    """Pairs of the files of equal names, sorted by name.

    Raises:
        UserError: Files have no partner, or have several.
    """
    files = dataset[FILE][:]
    inputs, targets = folders[sides.input], folders[sides.target]
    twice = [rows for names in (inputs, targets) for rows in names.values() if len(rows) > 1]
    if twice:
        named_alike = f"{shown(files[twice[0][0]])} and {shown(files[twice[0][1]])}"
        raise UserError(f"{named_alike} have the same name apart from the ending: each needs one partner")
    alone = [
        shown(files[rows[0]])
        for names, others in ((inputs, targets), (targets, inputs))
        for name, rows in names.items()
        if name not in others
    ]
    if alone:
        some = ", ".join(alone[:SHOWN]) + ", ..." * (len(alone) > SHOWN)
        has = f"{len(alone):,} files have" if len(alone) > 1 else "1 file has"
        raise UserError(
            f"{has} no partner of the same name in the other of the folders {sides.input} and {sides.target}: {some}"
        )
    order = sorted(inputs)
    chosen = [inputs[name][0] for name in order]
    values = {INPUT: [files[row] for row in chosen], TARGET: [files[targets[name][0]] for name in order]}
    return of_rows(dataset, chosen, values, ["pairs", sides.input, sides.target])


def of_domains(dataset: datasets.Dataset, folders: dict[str, dict[str, list[int]]], sides: Sides) -> datasets.Dataset:
    """The files of two folders, those of A first."""
    files = dataset[FILE][:]
    rows = [sorted(row for named in folders[side].values() for row in named) for side in sides]
    chosen = [row for side in rows for row in side]
    values = {IMAGE: [files[row] for row in chosen], DOMAIN: [place for place in (0, 1) for _ in rows[place]]}
    return of_rows(dataset, chosen, values, ["domains", sides.input, sides.target])


def of_rows(
    dataset: datasets.Dataset, rows: Sequence[int], values: dict[str, list[Any]], parts: Sequence[str]
) -> datasets.Dataset:
    """Rows of a dataset of files with these columns in the place of the file, and of classes that are its folders."""
    folder_classes = isinstance(dataset.features.get(LABEL), datasets.ClassLabel)
    others = [name for name in dataset.column_names if name != FILE and not (name == LABEL and folder_classes)]
    known = dataset.select(rows)
    features = {name: dataset.features[name] for name in others if name not in values}
    arrays = {name: known.with_format("arrow")[name][:] for name in features}
    picture = datasets.Image(decode=False)
    for name, cells in values.items():
        if name == DOMAIN:
            arrays[name], features[name] = pyarrow.array(cells, "int64"), datasets.Value("int64")
        else:
            kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
            paths = [{"bytes": None, "path": cell} for cell in cells]
            arrays[name], features[name] = pyarrow.array(paths, kind), picture
    info = datasets.DatasetInfo(features=datasets.Features(features))
    table = datasets.table.InMemoryTable(pyarrow.table(arrays))
    return datasets.Dataset(table, info=info, fingerprint=derived(dataset, parts))


def in_order(names: Sequence[str], direction: str, maps: bool) -> Sides:
    """Which of two folders or columns has the inputs, the first being A."""
    first, second = names
    if maps and column_key(second) in MAPS and column_key(first) not in MAPS:
        first, second = second, first
    return Sides(second, first) if direction == "BA" else Sides(first, second)


def shown(file: str) -> str:
    """The end of a path, for a message."""
    return os.fsencode(str(Path(*path_of(file).parts[-2:]))).decode(errors="backslashreplace")


def listed(names: Iterable[str]) -> str:
    """A count and the first few names."""
    names = sorted(names)
    return f"{len(names)}: {', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)}"


# --- tables ---


def picture_columns(dataset: AnyDataset) -> list[str]:
    """The columns of pictures: by type, or by the first cell, which is one or names a file of one."""
    features = dataset.features or {}
    found = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if found:
        return found
    first = next(iter(dataset))
    return [name for name, cell in first.items() if is_picture(cell)]


def is_picture(cell: Any) -> bool:
    """Whether a cell is a picture, as far as can be seen without decoding it."""
    if isinstance(cell, dict):
        return "bytes" in cell or "path" in cell
    if isinstance(cell, str | Path):
        return Path(cell).suffix.lower() in ENDINGS
    nested = isinstance(cell, list) and cell and isinstance(cell[0], list)
    return isinstance(cell, bytes | Image.Image) or bool(nested)


def of_table(
    dataset: AnyDataset,
    pictures: Sequence[str],
    input_column: str | None,
    target_column: str | None,
    direction: str,
    maps: bool,
) -> Sides:
    """The columns of inputs and targets.

    Raises:
        UserError: They cannot be told.
    """
    name_them = "name them with --model.input_column and --model.target_column"
    given = [
        named(dataset, name, flag) if name is not None else None
        for name, flag in ((input_column, "input_column"), (target_column, "target_column"))
    ]
    if None not in given:
        first, second = map(str, given)
        if first == second:
            raise UserError(f"input_column and target_column are both {first!r}: expected two columns")
        return Sides(second, first) if direction == "BA" else Sides(first, second)
    others = [name for name in pictures if name not in given]
    if given != [None, None]:
        if len(others) != 1:
            raise UserError(f"the other column of pictures could be {' or '.join(others) or 'none'}: {name_them}")
        first, second = (name or others[0] for name in given)
        return Sides(second, first) if direction == "BA" else Sides(first, second)
    by_key = {column_key(name): name for name in reversed(columns(dataset))}
    usual = next(([by_key[one], by_key[other]] for one, other in USUAL if one in by_key and other in by_key), None)
    if usual is not None and not maps:
        return in_order(usual, direction, maps=False)
    if maps:
        of_maps = [name for name in pictures if column_key(name) in MAPS]
        if len(of_maps) == 1 and len(others) == 2:
            others = of_maps + [name for name in others if name not in of_maps]
        elif usual is not None:
            return in_order(usual, direction, maps=False)  # the input is the map
    if len(others) != 2:
        found = f"{len(others)} columns of pictures ({', '.join(others)})" if others else "no column of pictures"
        raise UserError(
            f"pairs need two columns, and there are {found} among: {', '.join(columns(dataset))}; {name_them}"
        )
    return in_order(others, direction, maps)


def has_domains(dataset: AnyDataset) -> bool:
    """Whether the column of domains has 0 and 1; of a stream it is not known, and unpaired pictures are refused."""
    return isinstance(dataset, datasets.IterableDataset) or set(dataset.unique(DOMAIN)) == {0, 1}


def of_classes(dataset: AnyDataset, column: str, direction: str, say: Say) -> AnyDataset:
    """Pictures of two classes as two domains: the first declared, or in sorted order, is A.

    Raises:
        UserError: There are not two classes.
    """
    label = next((name for name in columns(dataset) if column_key(name) in (DOMAIN, LABEL)), None)
    if label is None:
        raise UserError(
            f"unpaired pictures need two columns, or a column label with two classes, and there are only: "
            f"{', '.join(columns(dataset))}"
        )
    feature = (dataset.features or {}).get(label)
    if isinstance(dataset, datasets.IterableDataset):
        raise UserError(
            "the domains of unpaired pictures cannot be told from classes in a stream: leave --streaming out"
        )
    cells = dataset[label][:]
    names = sorted({cell for cell in cells if cell is not None}, key=lambda cell: (str(type(cell)), cell))
    if len(names) != 2 or None in cells:
        raise UserError(f"unpaired pictures need two classes in column {label!r}, and there are {len(names)}")
    order = names[::-1] if direction == "BA" else names
    known = feature.int2str(order) if isinstance(feature, datasets.ClassLabel) else order
    say(f"two domains, by column {label!r}: A is {known[0]}, B is {known[1]}")
    places = [order.index(cell) for cell in cells]
    return with_column(renamed(dataset.remove_columns(label), {column: IMAGE}), DOMAIN, places)


def renamed(dataset: AnyDataset, names: dict[str, str]) -> AnyDataset:
    """The dataset with columns renamed; another column of a new name gives way."""
    names = {old: new for old, new in names.items() if old != new}
    in_the_way = [name for name in columns(dataset) if name in names.values() and name not in names]
    if in_the_way:
        dataset = dataset.remove_columns(in_the_way)
    aside = {old: f"{new} " for old, new in names.items()}
    for renaming in (aside, {f"{new} ": new for new in names.values()}) if names else ():
        dataset = dataset.rename_columns(renaming)
    return dataset


def swapped(dataset: AnyDataset, direction: str) -> AnyDataset:
    """Pairs that are arranged already, the other way round if asked for."""
    if direction == "AB":
        return dataset
    both = next((name for name in (LEFT_TO_RIGHT, RIGHT_TO_LEFT) if name in columns(dataset)), None)
    if both is not None:
        return renamed(dataset, {both: RIGHT_TO_LEFT if both == LEFT_TO_RIGHT else LEFT_TO_RIGHT})
    return renamed(dataset, {INPUT: TARGET, TARGET: INPUT})


def with_column(dataset: datasets.Dataset, name: str, cells: list[int]) -> datasets.Dataset:
    """The dataset with a column of int64 more, or in the place of one of that name."""
    if name in dataset.column_names:
        dataset = dataset.remove_columns(name)
    made: datasets.Dataset = dataset.add_column(name, cells, new_fingerprint=derived(dataset, [name, *map(str, cells)]))
    return made


def derived(dataset: datasets.Dataset, parts: Sequence[str]) -> str:
    """A fingerprint for what is made of a dataset."""
    return hashlib.sha256(repr([dataset._fingerprint, *parts]).encode()).hexdigest()[:32]
