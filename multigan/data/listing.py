"""Lists the files of a dataset folder, chooses a split by names of folders and files, and counts what is left out."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multigan.errors import NoSplitError, UserError

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}
# Words and years that may stand beside these in a name: training_set, seg_train, val2017.
BESIDE_SPLITS = {"set", "split", "data", "dataset", "images", "image", "imgs", "img", "seg", "audio", "sounds", "text"}
DEPTHS = 3  # folders below the root among which splits are looked for
# Files that only a folder that multigan wrote has: a run, or a model.
OURS = ({"config.yaml", "metrics.jsonl"}, {"config.yaml", "checkpoints"}, {"config.json", "model.safetensors"})
# Other files that multigan writes: those of these names, beside a file of that name.
WRITTEN = {
    "evaluation.json": (("evaluation", "closest"), "of an evaluation"),
    "samples.txt": (("preview",), "of a preview"),
    "samples.jsonl": (("preview",), "of a preview"),
}
ENDINGS_SHOWN = 5

Say = Callable[[str], object]  # takes a line for the user


@dataclass
class Listing:
    """The files under a folder.

    Attributes:
        root: The folder.
        files: The usable ones, sorted.
        left_out: How many others there are, by reason.
    """

    root: Path
    files: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def keep(self, files: Sequence[Path], reason: str) -> None:
        """Keep some of the files; the others are left out for a reason."""
        if dropped := len(self.files) - len(files):
            self.left_out[reason] += dropped
        self.files = list(files)

    def notes(self) -> list[str]:
        """One line with the reasons and counts of what was left out; none if nothing was."""
        parts = [f"{count:,} {reason}" for reason, count in sorted(self.left_out.items()) if count]
        return [f"files left out of {shown(self.root)}: {'; '.join(parts)}"] if parts else []


def walk(root: Path) -> Listing:
    """List all regular files under a folder. Links are followed, except to a folder that contains the link.

    Hidden files, what macOS adds to archives, and what multigan wrote (runs, models, previews) are left out.

    Raises:
        UserError: The folder cannot be read, or is itself a run or a model.
    """
    listing = Listing(root)
    try:
        visit(str(root), (identity(str(root)),), listing)
    except OSError as error:
        raise UserError(f"cannot read the folder {shown(root)}: {error.strerror or error}") from error
    listing.files.sort()
    return listing


def visit(folder: str, above: tuple[tuple[int, int], ...], listing: Listing) -> None:
    """Add the contents of a folder to the listing; ``above`` identifies the folder and its parents."""
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    names = {entry.name for entry in entries}
    if any(ours <= names for ours in OURS):
        if len(above) == 1:
            raise UserError(f"{shown(listing.root)} is a run or a model of multigan, not a dataset")
        listing.left_out["of runs and models"] += files_in(folder)
        return
    written = [(stems, reason) for name, (stems, reason) in WRITTEN.items() if name in names]
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            listing.left_out["hidden"] += files_in(entry.path) if entry.is_dir(follow_symlinks=False) else 1
        elif os.path.isdir(entry.path):  # unlike the entry's own method, False for a link to itself
            below = identity(entry.path)
            if below in above:
                listing.left_out["linked to a folder that it is in"] += 1
            else:
                visit(entry.path, (*above, below), listing)
        elif not os.path.isfile(entry.path):
            dangling = entry.is_symlink() and not os.path.exists(entry.path)
            listing.left_out["dangling links" if dangling else "not regular files"] += 1
        else:
            stem = entry.name.partition(".")[0]
            reason = next((reason for stems, reason in written if stem in stems), None)
            if reason:
                listing.left_out[reason] += 1
            else:
                listing.files.append(Path(entry.path))


def identity(folder: str) -> tuple[int, int]:
    """Device and inode: the same for every link to a folder."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def files_in(folder: str) -> int:
    """How many files and links are under a folder, without following links."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(at, one)) for one in below) for at, below, files in os.walk(folder)
    )


def shown(path: Path) -> str:
    """A path for a message, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def ending_of(file: Path) -> str:
    """The ending of a file's name in lower case; of a compressed file both endings: ``.nii.gz``."""
    last = file.suffix.lower()
    return Path(file.stem).suffix.lower() + last if last == ".gz" else last


def by_ending(listing: Listing, endings: Iterable[str]) -> None:
    """Keep the files with these endings, in upper or lower case; count the others by ending."""
    wanted = set(endings)
    kept = [file for file in listing.files if ending_of(file) in wanted]
    others = Counter(ending_of(file) or "none" for file in listing.files if ending_of(file) not in wanted)
    if others:
        parts = [f"{ending} {number:,}" for ending, number in others.most_common(ENDINGS_SHOWN)]
        more = ", ..." if len(others) > ENDINGS_SHOWN else ""
        listing.keep(kept, f"with other endings ({', '.join(parts)}{more})")


def folders(root: Path, file: Path) -> tuple[str, ...]:
    """The names of the folders between the root and a file; empty for a file elsewhere, which a side file may name."""
    return file.parts[len(root.parts) : -1] if file.is_relative_to(root) else ()


def split_of(name: str) -> str | None:
    """The split that a whole name stands for, in any case: ``train``, ``Test_set``, ``seg_val``; None if none."""
    words = re.split(r"[_\- ]", re.sub(r"((19|20)\d\d)$", r" \1", name.lower()))
    named = [word for word in words if word in SPLITS]
    others = [word for word in words if word and word not in SPLITS]
    if len(named) != 1 or not all(word in BESIDE_SPLITS or re.fullmatch(r"(19|20)\d\d", word) for word in others):
        return None
    return SPLITS[named[0]]


def split_and_class(name: str) -> tuple[str, str] | None:
    """The split and the class in a folder's name: ``trainA``, ``test_B``, as datasets for CycleGAN have them."""
    joined = re.fullmatch(r"([A-Za-z]+?)[_-]?([AB])", name)
    split = SPLITS.get(joined[1].lower()) if joined else None
    return (split, joined[2]) if joined and split else None


def split_of_folder(name: str) -> str | None:
    """The split that a folder's name stands for, alone (see `split_of`) or with a class (see `split_and_class`)."""
    joined = split_and_class(name)
    return joined[0] if joined else split_of(name)


def split_depth(root: Path, files: Sequence[Path]) -> int | None:
    """How many folders below the root the folders of splits are; None if there are none.

    Folders with the names of splits are splits if every file is in one, or if the root has both a training split and
    another one.

    Raises:
        UserError: They could be classes as well.
    """
    parts = [folders(root, file) for file in files]
    for depth in range(DEPTHS):
        found = [split_of_folder(names[depth]) if len(names) > depth else None for names in parts]
        splits = {name for name in found if name}
        if not splits:
            continue
        if None not in found or (depth == 0 and "train" in splits and len(splits) > 1):
            return depth
        named = sorted({names[depth] for names in parts if len(names) > depth and split_of_folder(names[depth])})
        others = sorted({names[depth] if len(names) > depth else "(files)" for names in parts} - set(named))
        raise UserError(
            f"{shown(root)} has folders that could be splits or classes: {', '.join(named)}, beside "
            f"{', '.join(others[:3])}{', ...' if len(others) > 3 else ''}; if they are splits, move the others away; "
            "if they are classes, rename them, or name the class of each file in a metadata.csv (file_name,label)"
        )
    return None


def folder_splits(listing: Listing) -> list[str] | None:
    """The split folder of each file, in lower case, without a class; "" for a file in none; None if there are none."""
    depth = split_depth(listing.root, listing.files)
    if depth is None:
        return None
    places = [folders(listing.root, file) for file in listing.files]
    names = [place[depth] if len(place) > depth else "" for place in places]
    joined = {name: split_and_class(name) for name in set(names)}
    return [known[0] if (known := joined[name]) else name.lower() for name in names]


def file_splits(files: Sequence[Path]) -> list[str] | None:
    """The split of each file by its name; "" for a file of none; None if the names say nothing of splits.

    A single word in the name counts (``my_test_2.csv``) if every name has one. Otherwise the whole name must be that of
    a split, apart from the number of a shard: ``train.txt``, ``test-00000-of-00002.txt``.
    """
    by_word = [split_of_file(file) for file in files]
    names = [name for name in by_word if name]
    if len(names) == len(by_word):
        return names
    whole = [split_of(re.sub(r"[-_. ]?\d*([-_]of[-_]\d+)?$", "", file.stem)) or "" for file in files]
    return whole if any(whole) else None


def split_of_file(file: Path) -> str | None:
    """The split that one of the words of a file's name stands for; None if none does, or they disagree."""
    named = {SPLITS[word] for word in re.split(r"[^a-z]+", file.stem.lower()) if word in SPLITS}
    return named.pop() if len(named) == 1 else None


def pick_split(known: Iterable[str], split: str, where: str) -> str:
    """Choose among the names of splits: the one that is ``split``, else the only one that stands for the same split.

    Raises:
        NoSplitError: There is none, or more than one.
    """
    known = sorted(set(known))
    matching = [name for name in known if name.lower() == split.lower()]
    matching = matching or [name for name in known if split_of(name) == (split_of(split) or split)]
    if len(matching) != 1:
        problem = "more than one" if matching else "no"
        raise NoSplitError(
            f"{where} has {problem} split {split!r}: it has {', '.join(known) or 'none'}; choose one with --split"
        )
    return matching[0]


def splits_in(column: Iterable[Any]) -> list[str] | None:
    """The split of each row by a column ``split``, or its cell in lower case; None if no cell is a split."""
    names = [str(cell or "").strip().lower() for cell in column]
    return [split_of(name) or name for name in names] if any(map(split_of, names)) else None


def choose_split(listing: Listing, split: str, by_name: bool, by_row: Sequence[str] | None = None) -> None:
    """Keep the files of a split; count the others.

    Args:
        listing: Usable files.
        split: train, test or validation, or another name of these.
        by_name: Whether the names of files decide too, where the folders are no splits.
        by_row: The split of each file in a table, as from `splits_in`; None if no table has any.

    Raises:
        UserError: The folders could be splits or classes.
        NoSplitError: There is no such split.
    """
    where = shown(listing.root)
    names, beside = by_row, "in no split"
    if names is None:
        names, beside = folder_splits(listing), "beside the folders of the splits"
    if names is None and by_name:
        names, beside = file_splits(listing.files), "beside the files of the splits"
    if names is None:
        if split_of(split) != "train":
            raise NoSplitError(f"{where} has no split {split!r}: leave --split at train for all of it")
        return
    chosen = pick_split(filter(split_of, names), split, where)
    for name in {*names} - {chosen}:
        of_split = split_of(name) or (by_row and name)
        listing.left_out[f"in split {name}" if of_split else beside] += names.count(name)
    listing.files = [file for file, name in zip(listing.files, names, strict=True) if name == chosen]


def modified(file: Path) -> tuple[str, int, int]:
    """A file's path, size and modification time, which identify its content; zeros if there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return os.fsencode(file).hex(), 0, 0
    regular = stat.S_ISREG(found.st_mode)
    return os.fsencode(file).hex(), found.st_size if regular else 0, found.st_mtime_ns
