"""Lists a folder: one walk for every kind of data, splits by the names of folders and files, a word on all left out."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
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
DEPTHS = 3  # folders below the root among which splits are looked for
# Files by which a folder is known as one that multigan wrote: a run, or a model.
OURS = ({"config.yaml", "metrics.jsonl"}, {"config.yaml", "checkpoints"}, {"config.json", "model.safetensors"})
EVALUATION = "evaluation.json"  # beside it, pictures of an evaluation
EVALUATION_STEMS = ("evaluation", "closest")
ENDINGS_SHOWN = 5


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
        """What was left out, as a line."""
        parts = [f"{count:,} {reason}" for reason, count in sorted(self.left_out.items()) if count]
        return [f"files left out of {shown(self.root)}: {'; '.join(parts)}"] if parts else []


def walk(root: Path) -> Listing:
    """All regular files under a folder, through links but not in circles.

    Hidden files, what macOS adds to archives, and the folders of runs and models are left out.

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
    """Add what is in a folder; ``above`` is the folder and those that it is in."""
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: entry.name)
    names = {entry.name for entry in entries}
    if any(ours <= names for ours in OURS):
        if len(above) == 1:
            raise UserError(f"{shown(listing.root)} is a run or a model of multigan, and no dataset")
        listing.left_out["of runs and models"] += files_in(folder)
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            listing.left_out["hidden"] += files_in(entry.path) if entry.is_dir(follow_symlinks=False) else 1
        elif entry.is_dir():
            below = identity(entry.path)
            if below in above:
                listing.left_out["linked to a folder that it is in"] += 1
            else:
                visit(entry.path, (*above, below), listing)
        elif not entry.is_file():
            dangling = entry.is_symlink() and not os.path.exists(entry.path)
            listing.left_out["dangling links" if dangling else "not regular files"] += 1
        elif EVALUATION in names and entry.name.partition(".")[0] in EVALUATION_STEMS:
            listing.left_out["of an evaluation"] += 1
        else:
            listing.files.append(Path(entry.path))


def identity(folder: str) -> tuple[int, int]:
    """What tells a folder from others, also through links."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def files_in(folder: str) -> int:
    """How many files and links are under a folder, links not followed."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(at, one)) for one in below) for at, below, files in os.walk(folder)
    )


def shown(path: Path) -> str:
    """A path for a message, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def ending_of(file: Path) -> str:
    """The ending of a file's name in lower case, with what it was before it was compressed: ``.nii.gz``."""
    last = file.suffix.lower()
    return Path(file.stem).suffix.lower() + last if last == ".gz" else last


def by_ending(listing: Listing, endings: Iterable[str]) -> None:
    """Keep the files with these endings, in any case; the others are counted by ending."""
    wanted = set(endings)
    kept = [file for file in listing.files if ending_of(file) in wanted]
    others = Counter(ending_of(file) or "none" for file in listing.files if ending_of(file) not in wanted)
    if others:
        parts = [f"{ending} {number:,}" for ending, number in others.most_common(ENDINGS_SHOWN)]
        more = ", ..." if len(others) > ENDINGS_SHOWN else ""
        listing.keep(kept, f"with other endings ({', '.join(parts)}{more})")


def folders(root: Path, file: Path) -> tuple[str, ...]:
    """The names of the folders from the root to a file; none for a file elsewhere, which a side file may name."""
    return file.parts[len(root.parts) : -1] if file.is_relative_to(root) else ()


def split_of(name: str) -> str | None:
    """The split that a folder of that name is, in any case; None if it is none."""
    return SPLITS.get(name.lower())


def split_depth(root: Path, files: Sequence[Path]) -> int | None:
    """How far below the root the folders of splits are; None where there are none.

    They are splits where every file is in one, or where there are a training split and another, beside other folders.

    Raises:
        UserError: They could be classes as well.
    """
    parts = [folders(root, file) for file in files]
    for depth in range(DEPTHS):
        found = [split_of(names[depth]) if len(names) > depth else None for names in parts]
        splits = {name for name in found if name}
        if not splits:
            continue
        if None not in found or (depth == 0 and "train" in splits and len(splits) > 1):
            return depth
        named = sorted({names[depth] for names in parts if len(names) > depth and split_of(names[depth])})
        others = sorted({names[depth] if len(names) > depth else "(files)" for names in parts} - set(named))
        raise UserError(
            f"{shown(root)} has folders that could be splits or classes: {', '.join(named)}, beside "
            f"{', '.join(others[:3])}{', ...' if len(others) > 3 else ''}; if they are splits, move the others away; "
            "if they are classes, rename them, or name the class of each file in a metadata.csv (file_name,label)"
        )
    return None


def folder_splits(listing: Listing) -> list[str] | None:
    """The folder of each file at the depth of the splits, in lower case, empty for none; None where there are none."""
    depth = split_depth(listing.root, listing.files)
    if depth is None:
        return None
    places = [folders(listing.root, file) for file in listing.files]
    return [place[depth].lower() if len(place) > depth else "" for place in places]


def split_of_file(file: Path) -> str | None:
    """The split that a file's name names as one of its words; None if it names none, or several."""
    named = {SPLITS[word] for word in re.split(r"[^a-z]+", file.stem.lower()) if word in SPLITS}
    return named.pop() if len(named) == 1 else None


def pick_split(known: Iterable[str], split: str, where: str) -> str:
    """The one of some splits that is meant: the one of that name, else the only one that means the same.

    Raises:
        NoSplitError: There is none, or more than one.
    """
    known = sorted(set(known))
    same = [name for name in known if name.lower() == split.lower()]
    same = same or [name for name in known if split_of(name) == (split_of(split) or split)]
    if len(same) != 1:
        problem = "no" if not same else "more than one"
        raise NoSplitError(
            f"{where} has {problem} split {split!r}: it has {', '.join(known) or 'none'}; choose one with --split"
        )
    return same[0]


def splits_in(cells: Iterable[Any]) -> list[str] | None:
    """The split of each row by a column ``split``, else what it says in lower case; None if no row is of a split."""
    names = [str(cell or "").strip().lower() for cell in cells]
    return [split_of(name) or name for name in names] if any(map(split_of, names)) else None


def choose_split(listing: Listing, split: str, by_name: bool, named: Sequence[str] | None = None) -> None:
    """Keep the files of a split.

    Args:
        listing: Usable files.
        split: train, test or validation, or another name of these.
        by_name: Whether the names of files decide too, where every one of them names a split.
        named: What a table says of each file, as `splits_in`; None where none does.

    Raises:
        UserError: The folders could be splits or classes.
        NoSplitError: There is no such split.
    """
    where = shown(listing.root)
    names = named if named is not None else folder_splits(listing)
    if names is None:
        by_file = [split_of_file(file) if by_name else None for file in listing.files]
        names = [name for name in by_file if name]
        if len(names) < len(by_file):
            if split_of(split) != "train":
                raise NoSplitError(f"{where} has no split {split!r}: leave --split at train for all of it")
            return
    chosen = pick_split(filter(split_of, names), split, where)
    for name in {*names} - {chosen}:
        other = f"in split {name}" if named and name else "in no split" if named else "beside the folders of the splits"
        listing.left_out[f"in split {name}" if split_of(name) else other] += names.count(name)
    listing.files = [file for file, name in zip(listing.files, names, strict=True) if name == chosen]


def modified(file: Path) -> tuple[str, int, int]:
    """What changes with the content of a file: its path, size and time; zeros where there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return os.fsencode(file).hex(), 0, 0
    regular = stat.S_ISREG(found.st_mode)
    return os.fsencode(file).hex(), found.st_size if regular else 0, found.st_mtime_ns
