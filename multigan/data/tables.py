"""Reads tables: text, CSV, JSON, Parquet and Arrow files, without guessing types, separators or missing values."""

from __future__ import annotations

import codecs
import csv
import glob
import hashlib
import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from multigan.columns import AnyDataset, name_of, path_of, same
from multigan.data.listing import modified, shown, split_of
from multigan.errors import NoSplitError, UserError, first_line

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
SEPARATORS = {".csv": ",", ".tsv": "\t"}
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
VERSION = 1  # of how text and CSV files are read
LONGEST_BLOCK = 2**30  # bytes that the CSV reader takes at a time: a row must fit


def read(files: Sequence[Path], endings: Sequence[str], streaming: bool) -> AnyDataset:
    """Files of any of the kinds as one dataset: read together where their columns agree.

    Args:
        files: The files.
        endings: Of files that are an example each: a column of names that end so is taken from the table's folder.
        streaming: Read them as it goes.

    Raises:
        UserError: One cannot be read, or their columns differ.
    """
    groups: dict[tuple[str, Path], list[Path]] = defaultdict(list)
    for file in files:
        groups[KINDS[file.suffix.lower()], file.parent].append(file)
    parts = []
    for (kind, folder), group in groups.items():
        try:
            parts.append((group, resolved(read_kind(kind, group, streaming), folder, endings)))
        except pyarrow.ArrowException as error:  # in the first rows of a stream
            raise UserError(f"cannot read {shown(group[0])}: {first_line(error)}") from error
    return together(parts)


def resolved(dataset: AnyDataset, folder: Path, endings: Sequence[str]) -> AnyDataset:
    """The dataset with names of files relative to a folder as paths; their sizes and times are part of its identity."""
    if not endings:
        return dataset
    dataset = encoded(dataset)
    first: dict[str, Any] = next(iter(dataset), {})
    for column in first:
        named = Path(file_in(first.get(column))).suffix.lower()
        if not named or named not in endings:
            continue
        if isinstance(dataset, datasets.IterableDataset):
            dataset = dataset.map(lambda row, column=column: {column: at(folder, file_in(row[column]))})
            continue
        cells = [at(folder, file_in(cell)) for cell in dataset[column]]
        parts = [dataset._fingerprint, column, *(modified(path_of(cell)) for cell in cells)]
        fingerprint = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        aside = f"{column} "  # beside it first: a table without columns has no rows
        dataset = dataset.add_column(aside, cells, new_fingerprint=fingerprint)
        dataset = dataset.remove_columns(column).rename_column(aside, column)
    return dataset


def encoded(dataset: AnyDataset) -> AnyDataset:
    """The dataset with its pictures and sounds as they are encoded."""
    for column, feature in (dataset.features or {}).items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            dataset = dataset.cast_column(column, type(feature)(decode=False))
    return dataset


def file_in(cell: Any) -> str:
    """The name of a file in a cell of text, or of a picture or sound without its content; else nothing."""
    if isinstance(cell, dict) and not cell.get("bytes"):
        cell = cell.get("path")
    return cell if isinstance(cell, str) else ""


def at(folder: Path, name: str) -> str:
    """A file by its name in a folder, or as it is named where there is none."""
    for given in (name, name.replace("\\", "/")):  # as Windows writes it
        if given and (folder / given).exists():
            return name_of(folder / given)
    return name


def read_kind(kind: str, files: Sequence[Path], streaming: bool) -> AnyDataset:
    """Files of one kind."""
    if kind == "text" and streaming:
        features = datasets.Features(text=datasets.Value("string"))
        return datasets.IterableDataset.from_generator(rows_of_lines, features, gen_kwargs={"files": list(files)})
    if kind in READERS and not (kind == "json" and streaming):
        whole = together([([file], dataset_of(READERS[kind](file), [file])) for file in files])
        return whole.to_iterable_dataset() if streaming else whole
    if kind == "parquet":
        check_columns({file: parquet_columns(file) for file in files})
    if kind == "json":
        for file in files:
            check_encoding(file)
    if kind == "webdataset":
        for file in files:
            check_members(file)
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
    known = set(first.column_names or ())
    check_columns({file: part.column_names or () for files, part in parts for file in files})
    features = [part.features or {} for _, part in parts]
    texts = {name for name in known if len({str(one.get(name)) for one in features}) > 1}
    try:
        same = []
        for _, part in parts:
            for name in texts:
                part = part.cast_column(name, datasets.Value("string"))
            same.append(part.select_columns(list(first.column_names or ())))
        return datasets.concatenate_datasets(same)
    except (ValueError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(
            f"the data files differ in the types of {', '.join(sorted(texts))}: {first_line(error)}"
        ) from error


def check_columns(by_file: Mapping[Path, Sequence[str]]) -> None:
    """Raise UserError with the counts for files whose columns differ, in more than their order."""
    counts: dict[frozenset[str], list[Path]] = defaultdict(list)
    for file, columns in by_file.items():
        counts[frozenset(columns)].append(file)
    if len(counts) > 1:
        listed = [
            f"{len(files):,} such as {shown(files[0])} with {', '.join(by_file[files[0]])}" for files in counts.values()
        ]
        raise UserError(f"the data files differ in their columns: {'; '.join(listed)}; keep one kind in the folder")


def parquet_columns(file: Path) -> list[str]:
    """The columns of a Parquet file."""
    try:
        return list(pyarrow.parquet.read_schema(file).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error


def dataset_of(table: pyarrow.Table, files: Iterable[Path], part: str | None = None, **kinds: Any) -> datasets.Dataset:
    """A table as a dataset that is known again by the files, or the part of them, that it is of.

    Args:
        table: The table.
        files: That it was read from.
        part: What of them.
        kinds: Features of `datasets` for columns that have other ones than Arrow says.
    """
    fingerprint = hashlib.sha256(repr([VERSION, part, *map(modified, files)]).encode()).hexdigest()
    features = datasets.Features({**datasets.Features.from_arrow_schema(table.schema), **kinds})
    return datasets.Dataset(
        datasets.table.InMemoryTable(table), info=datasets.DatasetInfo(features=features), fingerprint=fingerprint
    )


def decoded(file: Path) -> str:
    """A text file, in UTF-8 or, where it begins with a byte order mark, UTF-16.

    Raises:
        UserError: It is in another encoding, or cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {shown(file)}: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UserError(f"{shown(file)} begins as UTF-16 and is not, at its byte {error.start}") from error
    check_encoding(file)
    return content.decode("utf-8-sig")


def check_encoding(file: Path) -> None:
    """Raise UserError with the line for a file that is not in UTF-8."""
    number = 1
    try:
        with file.open("rb") as lines:
            for line in lines:
                line.decode()
                if b"\0" in line:
                    raise UserError(
                        f"line {number} of {shown(file)} has zero bytes: it is no text, or UTF-16 without its mark"
                    )
                number += 1
    except UnicodeDecodeError as error:
        raise UserError(f"line {number} of {shown(file)} is not UTF-8, at its byte {error.start}") from error
    except OSError as error:
        raise UserError(f"cannot read {shown(file)}: {error.strerror}") from error


def check_members(file: Path) -> None:
    """Raise UserError where the current folder has a file of an archive: `datasets` would read that one instead."""
    try:
        with tarfile.open(file) as archive:
            there = next((member.name for member in archive if Path(member.name).is_file()), None)
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error
    if there is not None:
        raise UserError(
            f"the current folder has a file {there!r}, and so has {shown(file)}: start multigan in another folder, "
            "where the one cannot be taken for the other"
        )


def lines(file: Path) -> pyarrow.Table:
    """The lines of a text file, as column ``text``."""
    return pyarrow.table(
        {"text": pyarrow.array([line.rstrip("\n") for line in io.StringIO(decoded(file), None)], "string")}
    )


def rows_of_lines(files: Sequence[Path]) -> Iterator[dict[str, str]]:
    """The lines of text files, without holding any of them whole."""
    for file in files:
        with file.open("rb") as opened:
            wide = opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        if not wide:
            check_encoding(file)
        with file.open(encoding="utf-16" if wide else "utf-8-sig") as opened:
            for line in opened:
                yield {"text": line.rstrip("\n")}


def cells(file: Path) -> pyarrow.Table:
    """A CSV file with headings: every cell is text, as it stands there.

    Raises:
        UserError: It has no headings or rows, another separator, or a row that does not fit the headings.
    """
    separator = SEPARATORS.get(file.suffix.lower(), ",")
    text = decoded(file)
    first = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    if not first.strip():
        raise UserError(f"{shown(file)} is empty: expected a line of headings")
    for other, name in OTHER_SEPARATORS.items():
        if separator not in first and other in first:
            expected = "commas" if separator == "," else "tabs"
            raise UserError(f"{shown(file)} seems to be separated by {name}: expected {expected}")
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    data = text.encode()
    parse = pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=refuse)
    reading = pyarrow.csv.ReadOptions(use_threads=False, block_size=min(max(len(data), 1) + 1, LONGEST_BLOCK))
    try:
        headings = next(csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=separator))
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(headings, pyarrow.string()), strings_can_be_null=False
        )
        table = pyarrow.csv.read_csv(io.BytesIO(data), reading, parse, convert)
    except (pyarrow.ArrowException, csv.Error) as error:
        if wrong:
            row = wrong[0]
            raise UserError(
                f"row {row.number - 1} of {shown(file)} has {row.actual_columns} cells, where the first line has "
                f"{row.expected_columns}: {row.text[:100]!r}"
            ) from error
        raise UserError(f"cannot read {shown(file)}: {first_line(error)}") from error
    if not len(table):
        raise UserError(f"{shown(file)} has no rows")
    names = [name.strip() for name in table.column_names]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UserError(f"{shown(file)} has several columns {', '.join(twice)}")
    return table.rename_columns(names)


def objects(file: Path) -> pyarrow.Table:
    """A JSON file, of a list of objects or of columns, or JSON Lines; a text stays one, also if it looks like a date.

    Raises:
        UserError: It is something else, or a column holds values that do not go together.
    """
    text = decoded(file)
    try:
        whole = None if file.suffix.lower() == ".jsonl" else json.loads(text)
    except json.JSONDecodeError:
        whole = None
    if isinstance(whole, dict) and len(whole) == 1 and isinstance(next(iter(whole.values())), list):
        inner = next(iter(whole.values()))
        whole = inner if all(isinstance(row, dict) for row in inner) else whole
    if isinstance(whole, dict) and whole and all(isinstance(cells, list) for cells in whole.values()):
        columns = whole
        if len({len(cells) for cells in columns.values()}) > 1:
            raise UserError(f"the columns of {shown(file)} are of different lengths")
    else:
        rows = whole if isinstance(whole, list) else [whole] if whole else parsed_lines(text, file)
        wrong = [number for number, row in enumerate(rows) if not isinstance(row, dict)]
        if wrong:
            kind = type(rows[wrong[0]]).__name__
            raise UserError(f"row {wrong[0]} of {shown(file)} is a {kind}: expected an object with names and values")
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
    if not any(columns.values()):
        raise UserError(f"{shown(file)} has no rows")
    return pyarrow.table({name.strip(): json_column(name, cells, file) for name, cells in columns.items()})


def parsed_lines(text: str, file: Path) -> list[Any]:
    """The values of JSON Lines."""
    values = []
    for number, line in enumerate(io.StringIO(text), 1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise UserError(f"line {number} of {shown(file)} is no JSON: {error.msg}") from error
    return values


def json_column(name: str, cells: list[Any], file: Path) -> pyarrow.Array:
    """Values of JSON as a column; numbers beside texts are texts."""
    try:
        return pyarrow.array(cells)
    except pyarrow.ArrowException as error:
        if any(isinstance(cell, dict | list) for cell in cells):
            raise UserError(f"column {name!r} of {shown(file)} holds values that differ in kind") from error
        texts = [cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells]
        return pyarrow.array(texts, "string")


READERS: dict[str, Callable[[Path], pyarrow.Table]] = {"text": lines, "csv": cells, "json": objects}


def of_split(dataset: AnyDataset, name: str, split: str, say: Callable[[str], object]) -> AnyDataset | None:
    """The rows of a split, where a column ``split`` names one in every row; None where there is no such column.

    Raises:
        NoSplitError: None of the rows is of that split.
    """
    column = next((one for one in dataset.column_names or () if same(one) == "split"), None)
    if column is None or isinstance(dataset, datasets.IterableDataset):
        return None
    splits = [split_of(str(cell)) for cell in dataset[column]]
    if None in splits or not splits:
        return None
    wanted = split_of(split) or split
    if wanted not in splits:
        known = ", ".join(sorted(set(map(str, splits))))
        raise NoSplitError(f"{name} has no split {split!r}: its column {column!r} has {known}; choose one with --split")
    others = Counter(str(one) for one in splits if one != wanted)
    if others:
        listed = "; ".join(f"{count:,} in split {one}" for one, count in sorted(others.items()))
        say(f"rows left out of {name}, by its column {column!r}: {listed}")
    return dataset.select([number for number, one in enumerate(splits) if one == wanted])
