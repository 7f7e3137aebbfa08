"""Lists folders with one example per file, with classes from the folders or from a table beside them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import datasets
import pyarrow

from multigan.classes import with_class_names
from multigan.columns import AnyDataset, column_key, name_of
from multigan.data import tables, text_tables
from multigan.data.listing import (
    Listing,
    Say,
    by_ending,
    choose_split,
    ending_of,
    folders,
    shown,
    split_and_class,
    split_depth,
    split_of_folder,
    splits_in,
)
from multigan.errors import UserError

# "Side files": tables that describe the files beside and below them. Only the first of these in a folder is read.
SIDE_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.csv")
FILE_NAME, SPLIT = "file_name", "split"
FILE_NAMES = (FILE_NAME, "filename", "file", "path", "image", "name")  # names for that column in a labels.csv


def read_files(
    listing: Listing, endings: Sequence[str], split: str, say: Say, several: bool = False
) -> datasets.Dataset:
    """Read a folder with one example per file: a column ``file``, and ``label`` or the columns of the side files.

    The folder loaders of `datasets` are not used: they guess splits from file names, and for sounds need a system
    library. With ``several``, a row of a side file may describe several files: see `Modality.several_files`.
    """
    sides = side_files(listing, endings)
    by_ending(listing, endings)
    if not sides:
        labels = folder_labels(listing)
        choose_split(listing, split, by_name=False)
        names = {labels[file] for file in listing.files}
        if len(set(labels.values())) == 1:
            return of_files(listing.files, {})
        if "." in names:
            beside = sum(labels[file] == "." for file in listing.files)
            say(f"no classes: {beside:,} files are beside the folders of {shown(listing.root)}, and in none of them")
            return of_files(listing.files, {})
        return of_files(listing.files, {"label": [labels[file] for file in listing.files]})
    rows = {
        file: row
        for side, table in sides.items()
        for file, row in side_rows(side, table, listing.files, several).items()
    }
    names = {side.name for side in sides}
    listing.keep([file for file in listing.files if file in rows], f"not named in {', '.join(sorted(names))}")
    listing.files = list(rows)  # one that is missing, or of another kind, is an error with its row
    known: dict[str, str] = {}  # columns that match, in several side files, are one
    for row in rows.values():
        for name in row:
            known.setdefault(column_key(name), name)
    columns = {known[key]: [cell(rows[file], key) for file in listing.files] for key in known}
    splits = splits_in(columns[known[SPLIT]]) if SPLIT in known else None
    every = listing.files
    choose_split(listing, split, by_name=False, by_row=splits)
    kept = set(listing.files)
    columns = {
        name: [one for one, file in zip(cells, every, strict=True) if file in kept] for name, cells in columns.items()
    }
    return of_files(listing.files, columns, list(sides))


def cell(row: dict[str, Any], key: str) -> Any:
    """The cell of the column with that key (see `column_key`)."""
    return next((value for name, value in row.items() if column_key(name) == key), None)


def folder_labels(listing: Listing) -> dict[Path, str]:
    """The folder of each file, as the name of its class. If there are splits, only files in one of them are included.

    Left out of it are the split's folder (also where it is repeated, test/test/) and folders that all files are in; "."
    is what is left of nothing.
    """
    depth = split_depth(listing.root, listing.files)
    parts = {}
    for file in listing.files:
        names = folders(listing.root, file)
        if depth is None:
            parts[file] = names
        elif len(names) > depth and split_of_folder(names[depth]):
            below, joined = names[depth + 1 :], split_and_class(names[depth])
            if joined:
                parts[file] = (*names[:depth], joined[1], *below)
                continue
            parts[file] = names[:depth] + (below[1:] if below[:1] == names[depth : depth + 1] else below)
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*parts.values(), strict=False))
    common = len(list(shared))
    return {file: shown(Path(*names[common:])) for file, names in parts.items()}


def side_files(listing: Listing, endings: Sequence[str]) -> dict[Path, AnyDataset]:
    """The side files, one per folder; they are removed from the listing."""
    chosen: dict[Path, tuple[Path, AnyDataset]] = {}
    for name in SIDE_FILES:
        for file in listing.files:
            if file.name.lower() == name and file.parent not in chosen:
                table = open_side(file, endings)
                if table is not None:
                    chosen[file.parent] = file, table
    found = dict(chosen[folder] for folder in sorted(chosen, key=lambda folder: len(folder.parts)))
    listing.files = [file for file in listing.files if file not in found]
    return found


def open_side(side: Path, endings: Sequence[str]) -> AnyDataset | None:
    """A table that names files; None for a labels.csv that is something else, such as a list of the classes.

    Raises:
        UserError: Any other side file that cannot be read, or has no column of file names.
    """
    optional = side.name.lower() == "labels.csv"
    try:
        table = tables.read([side], (), False)
        column = file_column(side, table)
        if column is None:
            raise UserError(f"{shown(side)} has no column {FILE_NAME}")
        if column_key(column) == "name" and not any(ending_of(Path(str(name))) in endings for name in table[column]):
            return None
    except UserError:
        if not optional:
            raise
        return None
    return table


def file_column(side: Path, table: AnyDataset) -> str | None:
    """The column of file names of a side file, if there is one."""
    known = {column_key(name): name for name in table.column_names or ()}
    wanted = FILE_NAMES if side.name.lower() == "labels.csv" else (FILE_NAME,)
    return next((known[name] for name in wanted if name in known), None)


def side_rows(
    side: Path, table: AnyDataset, files: Sequence[Path], several: bool = False
) -> dict[Path, dict[str, Any]]:
    """The row of a side file for each file that it names: by its path from there, or by the end of the path.

    Raises:
        UserError: A row names no file, one that another row names, or, unless ``several``, one of several by the end of
            the path.
    """
    column = file_column(side, table)
    assert column is not None
    rows: dict[Path, dict[str, Any]] = {}
    known = {os.path.normpath(file): file for file in files}
    below: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.is_relative_to(side.parent):
            below[file.name].append(file)
    for number, row in enumerate(table, 1):
        name = with_class_names(row, table.features or {}).pop(column)
        if not isinstance(name, str) or not name:
            raise UserError(f"row {number} of {shown(side)} names no file")
        name = os.path.normpath(tables.written_here(side.parent, name))
        path = os.path.normpath(side.parent / name)
        file = known.get(path, side.parent / name)
        if path not in known and not file.exists():
            found = [one for one in below[file.name] if str(one).endswith(f"/{name}")]
            if len(found) > 1 and not several:
                raise UserError(
                    f"row {number} of {shown(side)} names {name}, which is {shown(found[0])} or {shown(found[1])}: "
                    "write the folder before the name"
                )
            named = found or [file]
        else:
            named = [file]
        if any(file in rows for file in named):
            raise UserError(f"row {number} of {shown(side)} names {name} again")
        rows |= dict.fromkeys(named, row)
    return rows


def of_files(files: Sequence[Path], columns: dict[str, list[Any]], sides: Sequence[Path] = ()) -> datasets.Dataset:
    """Files as a dataset: ``file`` and the columns given.

    Args:
        files: All of them.
        columns: Further columns; ``label``, unless it is from side files, becomes a column of type ClassLabel.
        sides: The side files that the columns are from.
    """
    values: dict[str, Any] = {"file": pyarrow.array([name_of(file) for file in files], "string")}
    values |= {name: text_tables.column_of(name, cells, sides) for name, cells in columns.items() if name != "file"}
    kinds = {}
    if not sides and "label" in columns:
        names = sorted(set(columns["label"]))
        places = {name: place for place, name in enumerate(names)}
        values["label"] = pyarrow.array([places[name] for name in columns["label"]], "int64")
        kinds["label"] = datasets.ClassLabel(names=names)
    return tables.dataset_of(pyarrow.table(values), (*files, *sides), repr(sorted(columns.items())), **kinds)
