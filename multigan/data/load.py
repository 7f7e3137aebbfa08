"""Loads a dataset by name: built-in, a folder, a file, or a Hub id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow
from datasets.exceptions import DatasetNotFoundError

from multigan.columns import AnyDataset
from multigan.data import arrays, examples, tables
from multigan.data.listing import Listing, Say, by_ending, choose_split, ending_of, pick_split, shown, walk
from multigan.errors import NoSplitError, UserError, first_line
from multigan.modality import Modality

# Files beside the data that describe it.
DOCUMENTS = ("readme", "license", "licence", "copying", "notice", "changelog", "requirements")
INDEXES = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")


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
        say: Called with a line for whatever was left out or chosen.

    Raises:
        UserError: There is no such dataset, or nothing usable in it.
    """
    if not name.strip():
        raise UserError(f"dataset is {name!r}: expected a built-in dataset, a folder, a file or a Hub id")
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # no such user, a name that is too long
        raise UserError(f"dataset {name!r}: {getattr(error, 'strerror', None) or error}") from error
    if name in modality.builtin_datasets:
        if path.exists():
            say(f"dataset {name!r} is the built-in one: ./{name} would be the one in this folder")
        dataset = streamed(from_builtin(modality, name, split), streaming)
    elif path.is_file():
        dataset = from_file(modality, path, split, streaming, say)
    elif path.is_dir():
        dataset = from_folder(modality, path, split, streaming, say)
    else:
        dataset = from_hub(modality, name, subset, split, streaming)
    return modality.arrange(tables.encoded(dataset), say)


def from_builtin(modality: Modality, name: str, split: str) -> datasets.Dataset:
    """A built-in dataset, of one split where it has several.

    Raises:
        NoSplitError: It has no such split.
    """
    several = modality.builtin_datasets[name]()
    if isinstance(several, datasets.DatasetDict):
        return several[pick_split(several, split, name)]
    only_train(name, split)
    return several


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
    if path.suffix.lower() not in tables.KINDS:
        only_train(shown(path), split)
    if ending_of(path) in arrays.VOLUMES:
        return streamed(arrays.read_volumes([path], {}, say), streaming)
    if path.suffix.lower() in modality.file_endings:
        return streamed(examples.of_files([path], {}), streaming)
    if path.suffix.lower() not in tables.KINDS:
        known = ", ".join([*tables.KINDS, *arrays.ENDINGS, *arrays.VOLUMES, *modality.file_endings])
        raise UserError(f"{shown(path)} is of an unknown kind: expected one of {known}")
    if not path.stat().st_size:
        raise UserError(f"{shown(path)} is empty")
    dataset = tables.read([path], modality.file_endings, streaming, say)
    chosen = tables.of_split(dataset, shown(path), split, say)
    if chosen is None:
        only_train(shown(path), split)
    return dataset if chosen is None else chosen


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
        dataset: AnyDataset = streamed(
            examples.read_files(listing, endings, split, say, modality.several_files), streaming
        )
    elif any(ending in arrays.ENDINGS for ending in there) and not {*kinds, *arrays.VOLUMES} & {*there}:
        by_ending(listing, arrays.ENDINGS)
        if len(listing.files) > 1:
            first, second = (shown(file.relative_to(path)) for file in listing.files[:2])
            raise UserError(
                f"{shown(path)} has {len(listing.files)} files of arrays, such as {first} and {second}: name one with "
                "--dataset"
            )
        dataset = streamed(arrays.read(listing.files[0], split), streaming)
    elif any(ending in arrays.VOLUMES for ending in there):
        by_ending(listing, arrays.VOLUMES)
        labels = examples.folder_labels(listing)
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
        dataset = from_tables(listing, endings, split, streaming, say)
    for note in listing.notes():
        say(note)
    return dataset


def from_tables(listing: Listing, endings: Sequence[str], split: str, streaming: bool, say: Say) -> AnyDataset:
    """A folder of tables, of one split: by the names of folders or files, or by a column ``split``."""
    name = shown(listing.root)
    try:
        choose_split(listing, split, by_name=True)
    except NoSplitError:
        chosen = tables.of_split(tables.read(listing.files, endings, streaming, say), name, split, say)
        if chosen is None:
            raise
        return chosen
    dataset = tables.read(listing.files, endings, streaming, say)
    chosen = tables.of_split(dataset, name, split, say)
    return dataset if chosen is None else chosen


def is_document(file: Path) -> bool:
    """Whether a file only describes a dataset: README.txt, dataset_info.json."""
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
            path = path / pick_split(known, split, shown(path))
        elif not ((path / "dataset_info.json").is_file() and (path / "state.json").is_file()):
            return None
        else:
            only_train(shown(path), split)
        saved = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise UserError(f"cannot read {shown(path)}, as save_to_disk wrote it: {first_line(error)}") from error
    assert isinstance(saved, datasets.Dataset)
    return saved


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
