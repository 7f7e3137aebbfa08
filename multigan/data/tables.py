"""Reads tables of any kind as one dataset, and the files that their rows name."""

from __future__ import annotations

import glob
import hashlib
import os
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet

from multigan.classes import with_class_names
from multigan.columns import AnyDataset, class_feature, column_key, columns, name_of, path_of
from multigan.data import text_tables
from multigan.data.listing import Say, modified, pick_split, shown, split_of, splits_in
from multigan.errors import UserError, first_line

KINDS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".txt": "text",
    ".tar": "webdataset",
}
READERS = {"text": text_tables.read_text, "csv": text_tables.read_csv, "json": text_tables.read_json}
ROWS = {  # of streams: rows, and their features where these are known
    "text": (text_tables.rows_of_text, datasets.Features(text=datasets.Value("string"))),
    "json": (text_tables.rows_of_json, None),
}
VERSION = 2  # of how text, CSV and JSON files are read
LOOKED_AT = 16  # rows that are looked at for names of files


def read(files: Sequence[Path], endings: Sequence[str], streaming: bool, say: Say = print) -> AnyDataset:
    """Files of any of the kinds as one dataset: read together where their columns agree.

    Args:
        files: The files.
        endings: Of files that are an example each: a column of names that end so is taken from the table's folder, or
            from the current one if they are only there.
        streaming: Read them as it goes.
        say: Takes a line for the user.

    Raises:
        UserError: One cannot be read, or their columns differ.
    """
    groups: dict[tuple[str, Path], list[Path]] = defaultdict(list)
    for file in files:
        groups[KINDS[file.suffix.lower()], file.parent].append(file)
    parts = []
    for (kind, folder), group in groups.items():
        try:
            parts.append((group, resolved(read_kind(kind, group, streaming), folder, endings, say)))
        except pyarrow.ArrowException as error:  # in the first rows of a stream
            raise UserError(f"cannot read {shown(group[0])}: {first_line(error)}") from error
    return together(parts)


def resolved(dataset: AnyDataset, folder: Path, endings: Sequence[str], say: Say) -> AnyDataset:
    """The dataset with file names as paths, relative to a folder; its fingerprint covers the files' sizes and times."""
    home = folder
    if not endings:
        return dataset
    dataset = encoded(dataset)
    some = list(islice(dataset, 1 if isinstance(dataset, datasets.IterableDataset) else LOOKED_AT))
    for column in some[0] if some else ():
        named = [name for name in (file_in(row[column]) for row in some) if name]
        if not named or Path(named[0]).suffix.lower() not in endings:
            continue
        folder = place_of(named, home)
        if folder != home:
            say(f"the files in column {column!r} are relative to the current folder: {shown(home)} has none of them")
        if isinstance(dataset, datasets.IterableDataset):
            dataset = dataset.map(lambda row, column=column, folder=folder: {column: at(folder, file_in(row[column]))})
            continue
        cells = [at(folder, file_in(cell)) for cell in dataset[column]]
        parts = [dataset._fingerprint, column, *(modified(path_of(cell)) for cell in cells)]
        fingerprint = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        aside = f"{column} "  # beside it first: a table without columns has no rows
        dataset = dataset.add_column(aside, cells, new_fingerprint=fingerprint)
        dataset = dataset.remove_columns(column).rename_column(aside, column)
    return dataset


def encoded(dataset: AnyDataset) -> AnyDataset:
    """The dataset with its pictures and sounds left encoded."""
    for column, feature in (dataset.features or {}).items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            dataset = dataset.cast_column(column, type(feature)(decode=False))
    return dataset


def file_in(cell: Any) -> str:
    """The file name in a cell of text, or in a picture or sound stored without its content; else ""."""
    if isinstance(cell, dict) and not cell.get("bytes"):
        cell = cell.get("path")
    return cell if isinstance(cell, str) else ""


def place_of(names: Sequence[str], folder: Path) -> Path:
    """The current folder, if it has all of the files and a table's folder has none of them; else the table's."""
    here = Path.cwd()
    if any((folder / written_here(folder, name)).exists() for name in names):
        return folder
    return here if all((here / written_here(here, name)).exists() for name in names) else folder


def at(folder: Path, name: str) -> str:
    """The path of a file that a table in a folder names."""
    return name_of(folder / written_here(folder, name)) if name else name


def written_here(folder: Path, name: str) -> str:
    """A file name with slashes for Windows' backslashes, unless a file of that very name exists."""
    return name if "\\" not in name or (folder / name).exists() else name.replace("\\", "/")


def read_kind(kind: str, files: Sequence[Path], streaming: bool) -> AnyDataset:
    """Files of one kind."""
    if kind in ROWS and streaming:
        rows, features = ROWS[kind]
        return datasets.IterableDataset.from_generator(rows, features, gen_kwargs={"files": list(files)})
    if kind in READERS:
        whole = together([([file], dataset_of(READERS[kind](file), [file])) for file in files])
        return whole.to_iterable_dataset() if streaming else whole
    if kind == "parquet":
        schemas = {file: parquet_schema(file) for file in files}
        check_columns({file: schema.names for file, schema in schemas.items()})
        files = [file for file in files if pyarrow.parquet.read_metadata(os.fspath(file)).num_rows]
        if not files:
            raise UserError(f"{shown(next(iter(schemas)))} has no rows")
        declared: dict[bytes, list[Path]] = defaultdict(list)  # classes that are declared in another order are others
        for file in files:
            declared[(schemas[file].metadata or {}).get(b"huggingface", b"")].append(file)
        if len(declared) > 1:
            return together([(same_kind, from_datasets(kind, same_kind, streaming)) for same_kind in declared.values()])
    if kind == "webdataset":
        for file in files:
            check_members(file)
    return from_datasets(kind, files, streaming)


def from_datasets(kind: str, files: Sequence[Path], streaming: bool) -> AnyDataset:
    """Files of one kind, as `datasets` reads them."""
    name = shown(files[0])
    try:
        loaded: AnyDataset = datasets.load_dataset(
            kind, data_files={"train": [glob.escape(str(file)) for file in files]}, split="train", streaming=streaming
        )
    except (ValueError, OSError, StopIteration, RuntimeError, datasets.exceptions.DatasetGenerationError) as error:
        if "corresponds to no data" in str(error):
            raise UserError(f"{name} has no rows") from error
        raise UserError(f"cannot read {name}: {first_line(error.__cause__ or error)}") from error
    return loaded


def together(parts: Sequence[tuple[Sequence[Path], AnyDataset]]) -> AnyDataset:
    """Datasets one after another.

    Raises:
        UserError: Their columns differ.
    """
    if len(parts) == 1:
        return parts[0][1]
    first = parts[0][1]
    known = set(columns(first))
    check_columns({file: columns(part) for files, part in parts for file in files})
    features = [part.features or {} for _, part in parts]
    texts = {name for name in known if len({str(one.get(name)) for one in features}) > 1}
    try:
        alike = []
        for _, part in parts:
            for name in texts & (part.features or {}).keys():  # of JSON Lines in a stream none are known
                part = named_column(part, name)
                part = part.cast_column(name, text_feature(part.features[name]))
            alike.append(part.select_columns(list(columns(first))))
        return datasets.concatenate_datasets(alike)
    except (ValueError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(
            f"the data files differ in the types of {', '.join(sorted(texts))}: {first_line(error)}"
        ) from error


def named_column(part: AnyDataset, name: str) -> AnyDataset:
    """The dataset with the names of classes in a column instead of their numbers.

    Raises:
        UserError: It is a stream.
    """
    if class_feature(part.features[name]) is None:
        return part
    if isinstance(part, datasets.IterableDataset):
        raise UserError(f"the data files declare the classes of {name!r} differently: read them without --streaming")
    values = with_class_names({name: part[name][:]}, part.features)[name]
    fingerprint = hashlib.sha256(f"{part._fingerprint} {name} by name".encode()).hexdigest()[:32]
    aside = f"{name} "
    part = part.add_column(aside, values, new_fingerprint=fingerprint)
    return part.remove_columns(name).rename_column(aside, name)


def text_feature(feature: Any) -> Any:
    """The feature of a column of texts, or of lists of them."""
    text = datasets.Value("string")
    return datasets.List(text) if isinstance(feature, datasets.List | datasets.LargeList) else text


def check_columns(by_file: Mapping[Path, Sequence[str]]) -> None:
    """Raise UserError with the counts for files whose columns differ, in more than their order."""
    counts: dict[frozenset[str], list[Path]] = defaultdict(list)
    for file, names in by_file.items():
        counts[frozenset(names)].append(file)
    if len(counts) > 1:
        listed = [
            f"{len(files):,} such as {shown(files[0])} with {', '.join(by_file[files[0]])}" for files in counts.values()
        ]
        raise UserError(f"the data files differ in their columns: {'; '.join(listed)}; keep one kind in the folder")


def parquet_schema(file: Path) -> pyarrow.Schema:
    """The schema of a Parquet file, with what `datasets` wrote into its metadata."""
    try:
        return pyarrow.parquet.read_schema(os.fspath(file))
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error


def dataset_of(table: pyarrow.Table, files: Iterable[Path], part: str | None = None, **kinds: Any) -> datasets.Dataset:
    """A table as a dataset whose fingerprint is derived from the files that it was read from.

    Args:
        table: The table.
        files: Where it was read from.
        part: Which part of the files it is; None for all.
        kinds: Features of `datasets` for columns whose Arrow type does not determine them.
    """
    fingerprint = hashlib.sha256(repr([VERSION, part, *map(modified, files)]).encode()).hexdigest()
    features = datasets.Features({**datasets.Features.from_arrow_schema(table.schema), **kinds})
    return datasets.Dataset(
        datasets.table.InMemoryTable(table), info=datasets.DatasetInfo(features=features), fingerprint=fingerprint
    )


def check_members(file: Path) -> None:
    """Raise UserError for an archive that is empty, or has a file of the current folder: `datasets` would read that."""
    try:
        with tarfile.open(file) as archive:
            members = [member.name for member in archive if member.isfile()]
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error
    if not members:
        raise UserError(f"{shown(file)} has no files in it")
    there = next((name for name in members if Path(name).is_file()), None)
    if there is not None:
        raise UserError(
            f"the current folder has a file {there!r}, and so has {shown(file)}: start multigan in another folder, "
            "where the one cannot be taken for the other"
        )


def of_split(dataset: AnyDataset, name: str, split: str, say: Say) -> AnyDataset | None:
    """The rows of a split, if a column ``split`` names splits; None if there is no such column.

    For a stream, the first row decides whether there is.

    Raises:
        NoSplitError: None of the rows is of that split.
    """
    column = next((one for one in columns(dataset) if column_key(one) == "split"), None)
    if column is None:
        return None
    if isinstance(dataset, datasets.IterableDataset):
        if splits_in([next(iter(dataset))[column]]) is None:
            return None
        wanted = split_of(split) or split
        return dataset.filter(lambda row: split_of(str(row[column] or "").strip()) == wanted)
    splits = splits_in(dataset[column])
    if splits is None:
        return None
    chosen = pick_split(filter(split_of, splits), split, f"column {column!r} of {name}")
    others = Counter(one for one in splits if one != chosen)
    if others:
        listed = "; ".join(
            f"{count:,} in {f'split {one}' if one else 'no split'}" for one, count in sorted(others.items())
        )
        say(f"rows left out of {name}, by its column {column!r}: {listed}")
    return dataset.select([number for number, one in enumerate(splits) if one == chosen])
