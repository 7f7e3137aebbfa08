"""Loads a dataset by name: built-in, a folder, a file, or a Hub id."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import datasets
import pyarrow
from datasets.exceptions import DatasetNotFoundError

from multigan.columns import AnyDataset
from multigan.errors import NoSplitError, UserError, first_line
from multigan.modality import Modality

BUILDERS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".txt": "text",
}
TEXTS = {".csv", ".tsv", ".json", ".jsonl", ".txt"}
SPLITS = {"train", "validation", "valid", "val", "dev", "test"}
METADATA = "metadata.csv"


def load(modality: Modality, name: str, subset: str | None, split: str, streaming: bool) -> AnyDataset:
    """Load a dataset without decoding its pictures and sounds.

    Args:
        modality: Whose built-in datasets and file endings count.
        name: A built-in dataset, a folder, a file, or a hub id.
        subset: The configuration of a hub dataset that has several.
        split: train, test, ...
        streaming: Read it as it goes rather than fetch it first.

    Raises:
        UserError: There is no such dataset, or nothing usable in it.
    """
    if name in modality.builtin_datasets:
        only_train(name, split)
        dataset: AnyDataset = modality.builtin_datasets[name]()
        return streamed(dataset, streaming)
    path = Path(name).expanduser()
    if path.exists():
        dataset = from_path(modality, path, subset, split, streaming)
    else:
        dataset = from_library(name, name, subset, split, streaming, modality)
    for column, feature in (dataset.features or {}).items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            dataset = dataset.cast_column(column, type(feature)(decode=False))
    return dataset


def from_path(modality: Modality, path: Path, subset: str | None, split: str, streaming: bool) -> AnyDataset:
    """A file, or a folder of examples or of data files."""
    if path.is_file():
        only_train(str(path), split)
        if path.suffix.lower() in modality.file_endings:
            return streamed(listed([path]), streaming)
        if path.suffix.lower() not in BUILDERS:
            known = ", ".join([*BUILDERS, *modality.file_endings])
            raise UserError(f"{path} is of an unknown kind: expected one of {known}")
        if not path.stat().st_size:
            raise UserError(f"{path} is empty")
        check_encoding([path])
        options = {"delimiter": "\t"} if path.suffix.lower() == ".tsv" else {}
        return from_library(
            str(path),
            BUILDERS[path.suffix.lower()],
            subset,
            "train",
            streaming,
            modality,
            data_files=str(path),
            **options,
        )
    root = split_folder(path, split)
    examples = sorted(
        file
        for file in root.rglob("*")
        if file.suffix.lower() in modality.file_endings
        and not any(part.startswith(".") for part in file.parts[len(root.parts) :])
    )
    if examples:
        if root == path:
            only_train(str(path), split)
        return streamed(listed(examples, root), streaming)
    files = [file for file in path.rglob("*") if file.suffix.lower() in BUILDERS]
    if not files:
        expected = ", ".join([*modality.file_endings, *BUILDERS])
        raise UserError(f"nothing usable in the folder {path}: expected files ending in {expected}")
    if all(file.suffix.lower() in TEXTS for file in files):  # other modalities may have notes beside the data
        check_encoding(files)
    return from_library(str(path), str(path), subset, split, streaming, modality)


def check_encoding(files: list[Path]) -> None:
    """Raise UserError with the line for a text file that is not in UTF-8; `datasets` names a byte at best."""
    for file in files:
        if file.suffix.lower() not in TEXTS:
            continue
        number = 1
        try:
            with file.open("rb") as lines:
                for line in lines:
                    line.decode()
                    number += 1
        except UnicodeDecodeError as error:
            raise UserError(f"line {number} of {file} is not UTF-8, at its byte {error.start}") from error
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from error


def split_folder(path: Path, split: str) -> Path:
    """The sub-folder of a split, where the sub-folders are splits and not classes."""
    folders = {child.name for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")}
    if not folders or not folders <= SPLITS:
        return path
    if split not in folders:
        raise NoSplitError(
            f"{path} has no split {split!r}: it has {', '.join(sorted(folders))}; choose one with --split"
        )
    return path / split


def only_train(name: str, split: str) -> None:
    """Raise UserError for a split of a dataset that has none."""
    if split != "train":
        raise NoSplitError(f"{name} has no split {split!r}: leave --split at train for all of it")


def streamed(dataset: datasets.Dataset, streaming: bool) -> AnyDataset:
    """The dataset, as a stream if asked for."""
    return dataset.to_iterable_dataset() if streaming else dataset


def listed(files: list[Path], root: Path | None = None) -> datasets.Dataset:
    """Files as a dataset: ``file``, and ``label`` or the columns of metadata.csv.

    Our own list, because the loaders of `datasets` for folders guess splits from the names of files (and for sounds
    need a system library). A label is the name of a file's folder, where every file is in one and there are several.

    Args:
        files: All of them.
        root: Their folder, which may say more of them; None for a file on its own.
    """
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    values: dict[str, list[Any]] = {"file": [str(file) for file in files]}
    features: dict[str, Any] = {"file": datasets.Value("string")}
    metadata = root / METADATA if root else None
    if root and metadata and metadata.is_file():
        stats.append((str(metadata), metadata.stat().st_size, metadata.stat().st_mtime_ns))
        values = from_metadata(root, metadata)
        features = {column: datasets.Value("string") for column in values}
    elif root:
        folders = [str(file.parent.relative_to(root)) for file in files]
        names = sorted(set(folders))
        if len(names) > 1 and "." not in names:
            values["label"] = [names.index(folder) for folder in folders]
            features["label"] = datasets.ClassLabel(names=names)
    schema = datasets.Features(features)
    table = datasets.table.InMemoryTable(pyarrow.table(values, schema=schema.arrow_schema))
    fingerprint = hashlib.sha256(repr(stats).encode()).hexdigest()
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=schema), fingerprint=fingerprint)


def from_metadata(root: Path, metadata: Path) -> dict[str, list[Any]]:
    """The columns of a metadata.csv, with ``file_name`` turned into ``file``, a path.

    Raises:
        UserError: It has no column file_name, or a line of another shape.
    """
    with metadata.open(newline="", encoding="utf-8-sig") as opened:  # spreadsheets may write a byte order mark
        rows = list(csv.DictReader(opened))
    if not rows or not rows[0].get("file_name"):
        raise UserError(f"{metadata} has no column file_name")
    for row in rows:
        if None in row or None in row.values():
            raise UserError(f"{metadata} has a line that does not fit its headings, at {row['file_name']}")
        row["file"] = str(root / row.pop("file_name"))
    return {column: [row[column] for row in rows] for column in rows[0]}


def from_library(
    name: str, path: str, subset: str | None, split: str, streaming: bool, modality: Modality, **options: Any
) -> AnyDataset:
    """Load with `datasets`; errors are one line with the name that the user gave."""
    try:
        loaded: AnyDataset = datasets.load_dataset(path, subset, split=split, streaming=streaming, **options)
    except (DatasetNotFoundError, FileNotFoundError, ConnectionError) as error:
        built_in = ", ".join(modality.builtin_datasets) or "none"
        raise UserError(
            f"no dataset {name!r}: neither a built-in one ({built_in}), nor a folder or file here, nor found on "
            f"the Hub ({first_line(error)})"
        ) from error
    except (ValueError, OSError, StopIteration, datasets.exceptions.DatasetGenerationError) as error:
        if "corresponds to no data" in str(error):
            raise UserError(f"the dataset {name!r} has no rows") from error
        problem = NoSplitError if "Unknown split" in str(error) else UserError
        raise problem(f"cannot load the dataset {name!r}: {first_line(error.__cause__ or error)}") from error
    return loaded
