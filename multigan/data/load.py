"""Loads a dataset by name: built-in, a folder, a file, or a Hub id."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import datasets
import pyarrow
from datasets.exceptions import DatasetNotFoundError

from multigan.columns import AnyDataset, name_of
from multigan.data import arrays, tables
from multigan.data.listing import (
    Listing,
    by_ending,
    choose_split,
    ending_of,
    folders,
    modified,
    shown,
    split_depth,
    split_of,
    walk,
)
from multigan.errors import NoSplitError, UserError, first_line
from multigan.modality import Modality

# Tables that say more of the files beside and below them, the first of a folder only; the column of file names.
SIDE_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.csv")
FILE_NAME = "file_name"
FILE_NAMES = (FILE_NAME, "filename", "file", "path", "image", "name")  # in a labels.csv
# Files that stand beside data and are none.
DOCUMENTS = ("readme", "license", "licence", "copying", "notice", "changelog", "requirements")
INDEXES = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")

Say = Callable[[str], object]


def load(
    modality: Modality,
    name: str,
    subset: str | None,
    split: str,
    streaming: bool,
    say: Say = print,
) -> AnyDataset:
    """Load a dataset without decoding its pictures and sounds.

    Args:
        modality: Whose built-in datasets and file endings count.
        name: A built-in dataset, a folder, a file, or a Hub id.
        subset: The configuration of a Hub dataset that has several.
        split: train, test, ...
        streaming: Read it as it goes rather than fetch it first.
        say: Called with what was left out or chosen, a line each.

    Raises:
        UserError: There is no such dataset, or nothing usable in it.
    """
    if not name.strip():
        raise UserError(f"dataset is {name!r}: expected a built-in dataset, a folder, a file or a Hub id")
    path = Path(name).expanduser()
    if name in modality.builtin_datasets:
        only_train(name, split)
        if path.exists():
            say(f"dataset {name!r} is the built-in one: ./{name} would be the one in this folder")
        dataset: AnyDataset = modality.builtin_datasets[name]()
        return streamed(dataset, streaming)
    if path.is_file():
        dataset = from_file(modality, path, split, streaming, say)
    elif path.is_dir():
        dataset = from_folder(modality, path, split, streaming, say)
    else:
        dataset = from_hub(modality, name, subset, split, streaming)
    return tables.encoded(dataset)


def only_train(name: str, split: str) -> None:
    """Raise NoSplitError for a split of a dataset that has none."""
    if split != "train":
        raise NoSplitError(f"{name} has no split {split!r}: leave --split at train for all of it")


def streamed(dataset: datasets.Dataset, streaming: bool) -> AnyDataset:
    """The dataset, as a stream if asked for."""
    return dataset.to_iterable_dataset() if streaming else dataset


def from_file(modality: Modality, path: Path, split: str, streaming: bool, say: Say) -> AnyDataset:
    """A single example, a table, or arrays."""
    if path.suffix.lower() in arrays.ENDINGS:
        return streamed(arrays.read(path, split), streaming)
    only_train(shown(path), split)
    if ending_of(path) in arrays.VOLUMES:
        return streamed(arrays.read_volumes([path], {}, say), streaming)
    if path.suffix.lower() in modality.file_endings:
        return streamed(of_files([path], {}), streaming)
    if path.suffix.lower() not in tables.KINDS:
        known = ", ".join([*tables.KINDS, *arrays.ENDINGS, *arrays.VOLUMES, *modality.file_endings])
        raise UserError(f"{shown(path)} is of an unknown kind: expected one of {known}")
    if not path.stat().st_size:
        raise UserError(f"{shown(path)} is empty")
    return tables.read([path], modality.file_endings, streaming)


def from_folder(modality: Modality, path: Path, split: str, streaming: bool, say: Say) -> AnyDataset:
    """A folder of examples, of tables, or as `datasets` saves one."""
    saved = from_saved(path, split)
    if saved is not None:
        return streamed(saved, streaming)
    listing = walk(path)
    endings = modality.file_endings
    there = [ending_of(file) for file in listing.files]
    kinds = [ending for ending in tables.KINDS if ending != ".txt" or not endings]
    if any(ending in endings for ending in there):
        dataset: AnyDataset = streamed(from_examples(listing, endings, split, say), streaming)
    elif sum(ending in arrays.ENDINGS for ending in there) == 1 and not any(ending in kinds for ending in there):
        by_ending(listing, arrays.ENDINGS)
        dataset = streamed(arrays.read(listing.files[0], split), streaming)
    elif any(ending in arrays.VOLUMES for ending in there):
        by_ending(listing, arrays.VOLUMES)
        labels = folder_labels(listing)
        choose_split(listing, split, by_name=False)
        classes = {file: labels[file] for file in listing.files} if len(set(labels.values())) > 1 else {}
        dataset = streamed(arrays.read_volumes(listing.files, classes, say), streaming)
    else:
        listing.keep([file for file in listing.files if not is_document(file)], "documents")
        by_ending(listing, kinds)
        if not listing.files:
            left = "".join(f" ({note})" for note in listing.notes())
            expected = ", ".join([*endings, *kinds])
            raise UserError(f"nothing usable in the folder {shown(path)}: expected files ending in {expected}{left}")
        choose_split(listing, split, by_name=True)
        dataset = tables.read(listing.files, endings, streaming)
    for note in listing.notes():
        say(note)
    return dataset


def is_document(file: Path) -> bool:
    """Whether a file describes a dataset, and is none: README.txt, dataset_info.json."""
    return file.name.lower() in INDEXES or (file.stem.lower() in DOCUMENTS and file.suffix.lower() == ".txt")


def from_saved(path: Path, split: str) -> datasets.Dataset | None:
    """A folder that `save_to_disk` of `datasets` wrote; None if it is no such folder.

    Raises:
        UserError: It cannot be read.
        NoSplitError: It has no such split.
    """
    try:
        if (path / "dataset_dict.json").is_file():
            known = json.loads((path / "dataset_dict.json").read_text())["splits"]
            same = [name for name in known if name == split or split_of(name) == (split_of(split) or split)]
            if not same:
                raise NoSplitError(f"{shown(path)} has no split {split!r}: it has {', '.join(known)}")
            path = path / same[0]
        elif not ((path / "dataset_info.json").is_file() and (path / "state.json").is_file()):
            return None
        else:
            only_train(shown(path), split)
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(f"cannot read {shown(path)}, as save_to_disk wrote it: {first_line(error)}") from error
    assert isinstance(saved, datasets.Dataset)
    return saved


def from_examples(listing: Listing, endings: Sequence[str], split: str, say: Say) -> datasets.Dataset:
    """A folder of files that are an example each: ``file``, and ``label`` or what side files say of them.

    Our own list, because the loaders of `datasets` for folders guess splits from the names of files (and for sounds
    need a system library).
    """
    sides = side_files(listing)
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
    rows = {file: values for side in sides for file, values in side_rows(side, listing.files).items()}
    names = {side.name for side in sides}
    listing.keep([file for file in listing.files if file in rows], f"not named in {', '.join(sorted(names))}")
    listing.files = list(rows)  # one that is missing, or of another kind, is an error with its row
    choose_split(listing, split, by_name=False)
    columns = {name: [rows[file].get(name) for file in listing.files] for name in next(iter(rows.values()), {})}
    return of_files(listing.files, columns, sides)


def folder_labels(listing: Listing) -> dict[Path, str]:
    """The folder of each file, as the name of its class; of the files in splits alone, where there are splits.

    The name of a split, and folders that all files are in, are no part of it; "." is left where nothing is.
    """
    depth = split_depth(listing.root, listing.files)
    parts = {}
    for file in listing.files:
        names = folders(listing.root, file)
        if depth is None:
            parts[file] = names
        elif len(names) > depth and split_of(names[depth]):
            parts[file] = names[:depth] + names[depth + 1 :]
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*parts.values(), strict=False))
    common = len(list(shared))
    return {file: shown(Path(*names[common:])) for file, names in parts.items()}


def side_files(listing: Listing) -> list[Path]:
    """The tables that say more of the files beside and below them, taken out of the listing: one of each folder."""
    chosen: dict[Path, Path] = {}
    for name in SIDE_FILES:
        for file in listing.files:
            if file.name.lower() == name and file.parent not in chosen and (name != "labels.csv" or file_column(file)):
                chosen[file.parent] = file
    taken = set(chosen.values())
    listing.files = [file for file in listing.files if file not in taken]
    return [chosen[folder] for folder in sorted(chosen, key=lambda folder: len(folder.parts))]


def file_column(side: Path) -> str | None:
    """The column of file names in a side file, if there is one."""
    known = {name.lower(): name for name in tables.read([side], (), False).column_names or ()}
    wanted = FILE_NAMES if side.name.lower() == "labels.csv" else (FILE_NAME,)
    return next((known[name] for name in wanted if name in known), None)


def side_rows(side: Path, files: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """What a side file says of each file that it names: beside it or, where there is none, of that name further below.

    Raises:
        UserError: It has no column of file names, or names a file twice.
    """
    column = file_column(side)
    if column is None:
        raise UserError(f"{shown(side)} has no column {FILE_NAME}")
    rows: dict[Path, dict[str, Any]] = {}
    below: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.is_relative_to(side.parent):
            below[file.name].append(file)
    for number, row in enumerate(tables.read([side], (), False), 1):
        name = row.pop(column)
        if not isinstance(name, str) or not name:
            raise UserError(f"row {number} of {shown(side)} names no file")
        beside = Path(os.path.normpath(side.parent / name))
        found = [] if beside.exists() else [file for file in below[beside.name] if str(file).endswith(f"/{name}")]
        for file in found or [beside]:
            if file in rows:
                raise UserError(f"row {number} of {shown(side)} names {name} again")
            rows[file] = row
    return rows


def of_files(files: Sequence[Path], columns: dict[str, list[Any]], sides: Sequence[Path] = ()) -> datasets.Dataset:
    """Files as a dataset: ``file`` and the columns given.

    Args:
        files: All of them.
        columns: More of each of them; ``label`` is made a column of classes.
        sides: The files that say this.
    """
    stats = [modified(file) for file in (*files, *sides)]
    values: dict[str, Any] = {"file": pyarrow.array([name_of(file) for file in files], "string")}
    values |= {name: pyarrow.array(cells) for name, cells in columns.items() if name != "file"}
    if not sides and "label" in columns:
        names = sorted(set(columns["label"]))
        places = {name: place for place, name in enumerate(names)}
        values["label"] = pyarrow.array([places[name] for name in columns["label"]], "int64")
    table = pyarrow.table(values)
    features = datasets.Features.from_arrow_schema(table.schema)
    if not sides and "label" in columns:
        features["label"] = datasets.ClassLabel(names=names)
    fingerprint = hashlib.sha256(repr([stats, sorted(columns)]).encode()).hexdigest()
    return datasets.Dataset(
        datasets.table.InMemoryTable(table), info=datasets.DatasetInfo(features=features), fingerprint=fingerprint
    )


def from_hub(modality: Modality, name: str, subset: str | None, split: str, streaming: bool) -> AnyDataset:
    """A dataset of the Hub; errors are one line with the name that the user gave.

    Raises:
        UserError: There is none, or it cannot be loaded.
        NoSplitError: It has no such split.
    """
    try:
        loaded: AnyDataset = datasets.load_dataset(name, subset, split=split, streaming=streaming)
    except (DatasetNotFoundError, FileNotFoundError, ConnectionError) as error:
        built_in = ", ".join(modality.builtin_datasets) or "none"
        raise UserError(
            f"no dataset {name!r}: neither a built-in one ({built_in}), nor a folder or file here, nor found on "
            f"the Hub ({first_line(error)})"
        ) from error
    except (ValueError, OSError, StopIteration, RuntimeError, datasets.exceptions.DatasetGenerationError) as error:
        problem = NoSplitError if "Unknown split" in str(error) else UserError
        raise problem(f"cannot load the dataset {name!r}: {first_line(error.__cause__ or error)}") from error
    return loaded
