"""Reads text, CSV and JSON files as they stand, without guessing types, separators or missing values."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.csv

from multigan.data.listing import shown
from multigan.errors import UserError, first_line

SEPARATORS = {".csv": ",", ".tsv": "\t"}
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
LONGEST_BLOCK = 2**30  # bytes that the CSV reader takes at a time: a row must fit


def decoded(file: Path) -> str:
    """A text file, in UTF-8 or, where it begins with a byte order mark, UTF-16.

    Raises:
        UserError: It is in another encoding, or cannot be read.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {shown(file)}: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise UserError(f"{shown(file)} is in UTF-32: expected UTF-8, or UTF-16 with a byte order mark")
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


def opened_lines(file: Path) -> Iterator[str]:
    """The lines of a text file, without holding it whole."""
    with file.open("rb") as opened:
        wide = opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if not wide:
        check_encoding(file)
    with file.open(encoding="utf-16" if wide else "utf-8-sig") as lines:
        yield from lines


def read_text(file: Path) -> pyarrow.Table:
    """The lines of a text file, as column ``text``."""
    return pyarrow.table(
        {"text": pyarrow.array([line.rstrip("\n") for line in io.StringIO(decoded(file), None)], "string")}
    )


def rows_of_text(files: Sequence[Path]) -> Iterator[dict[str, str]]:
    """The lines of text files, one after another."""
    for file in files:
        for line in opened_lines(file):
            yield {"text": line.rstrip("\n")}


def read_csv(file: Path) -> pyarrow.Table:
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


def read_json(file: Path) -> pyarrow.Table:
    """A JSON file, of a list of objects or of columns, or JSON Lines; a text stays one, also if it looks like a date.

    Raises:
        UserError: It is something else, or a column holds values that do not go together.
    """
    text = decoded(file)
    try:
        whole = None if file.suffix.lower() == ".jsonl" else json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        whole = None
    if isinstance(whole, dict):  # {"version": 1, "data": [{...}, ...]}
        inner = [
            value for value in whole.values() if isinstance(value, list) and any(isinstance(one, dict) for one in value)
        ]
        whole = inner[0] if len(inner) == 1 else whole
    if isinstance(whole, dict) and whole and all(isinstance(cells, list) for cells in whole.values()):
        columns = whole
        if len({len(cells) for cells in columns.values()}) > 1:
            raise UserError(f"the columns of {shown(file)} are of different lengths")
    else:
        rows = whole if isinstance(whole, list) else [whole] if whole else list(parsed_lines(io.StringIO(text), file))
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise UserError(
                    f"row {number} of {shown(file)} is {row!r:.50}: expected an object with names and values"
                )
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
    if not any(columns.values()):
        raise UserError(f"{shown(file)} has no rows")
    return pyarrow.table({name.strip(): column_of(name, cells, [file]) for name, cells in columns.items()})


def parsed_lines(lines: Iterable[str], file: Path) -> Iterator[Any]:
    """The values of JSON Lines.

    Raises:
        UserError: A line is something else.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise UserError(f"line {number} of {shown(file)} is not valid JSON: {first_line(error)}") from error


def rows_of_json(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The rows of JSON files, one after another; JSON Lines without holding a file whole."""
    names: dict[str, None] = {}
    for file in files:
        rows = read_json(file).to_pylist() if file.suffix.lower() == ".json" else parsed_lines(opened_lines(file), file)
        for row in rows:
            names = names or dict.fromkeys(row)
            yield {**names, **row}


def column_of(name: str, values: list[Any], files: Sequence[Path]) -> pyarrow.Array:
    """Values as a column; numbers beside texts, and numbers that are too large, become texts.

    Raises:
        UserError: They do not go together.
    """
    try:
        return pyarrow.array(values)
    except UnicodeEncodeError as error:
        raise UserError(f"column {name!r} of {shown(files[0])} holds half a character, {error.object!r}") from error
    except (pyarrow.ArrowException, OverflowError) as error:
        if any(isinstance(value, dict | list) for value in values):
            raise UserError(f"column {name!r} of {shown(files[0])} holds values that differ in kind") from error
        values = [None if value != value else value for value in values]  # NaN is a missing value, not a text
        texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pyarrow.array(texts, "string")
