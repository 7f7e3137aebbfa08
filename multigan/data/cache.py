"""The cache: rows are decoded and encoded once, into flat files that every process maps into memory.

A cache is a folder named by what it depends on, with one raw file a column and ``cache.json``. It is written aside and
renamed, under a lock: whichever process comes first builds it, the others wait for the lock and find it. What the
modality learned of the dataset is a file of its own, because it depends on more: on all settings.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import numpy
import xxhash
from filelock import FileLock

from multigan.classes import UNLABELLED
from multigan.data.decoding import decoded, killed_in_one_line
from multigan.errors import UserError
from multigan.files import write_text, written_whole
from multigan.modality import Crop, Modality

FORMAT = 9
TOGETHER = 64  # rows that are added to each column at a time; the digest depends on it
SHOWN = 3  # unusable rows named in a message
INDEX = "cache.json"
LENGTH = "length"  # the column of lengths, where examples differ in length
NUMBERS = "biuf"  # numpy kinds: bool, signed and unsigned integers, floats

Arrays = dict[str, numpy.ndarray]


@dataclass(frozen=True)
class Cached:
    """An encoded dataset.

    Attributes:
        real: ``(N, ...)``, mapped from the disk; or all examples end to end, where they are of different lengths.
        label: int64 ``(N,)``, or int8 ``(N, classes)`` of 0 and 1 where examples can have several classes; None where
            there are none, or some have none.
        skipped: Rows left out because they could not be used.
        digest: Of all the values, so that the same data is known again wherever it lies.
        notes: What the modality had to say of the dataset, and which rows were left out.
        ends: Where each example ends in ``real``, int64 ``(N,)``; None where each is one row of it.
        crop: How much of each example is read, where they differ in length; None for all of it.
        beside: Further arrays that the modality encoded, ``(N, ...)``, by name.
    """

    real: numpy.ndarray
    label: numpy.ndarray | None = None
    skipped: int = 0
    digest: str = ""
    notes: tuple[str, ...] = ()
    ends: numpy.ndarray | None = None
    crop: Crop | None = None
    beside: Arrays = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.real if self.ends is None else self.ends)

    def read(self, rows: numpy.ndarray, shares: numpy.ndarray) -> numpy.ndarray:
        """Examples ``(len(rows), ...)``, whole or cropped.

        Args:
            rows: Their numbers.
            shares: From 0 to under 1, one a row: how far into an example its piece begins, as a share of the way.
        """
        if self.ends is None or self.crop is None:
            return numpy.asarray(self.real[rows])
        flat = numpy.asarray(self.real)  # slicing a memory map takes longer than copying
        starts = numpy.where(rows, self.ends[rows - 1], 0)
        lengths = self.ends[rows] - starts
        length = self.crop.length
        shares = shares * self.crop.random
        if (lengths >= length).all():  # as `piece`, all in one copy
            starts = starts + (shares * (lengths - length + 1)).astype(numpy.int64)
            windows = numpy.lib.stride_tricks.sliding_window_view(flat, length, axis=0)
            return numpy.moveaxis(windows[starts], -1, 1)
        examples = (flat[start : start + length] for start, length in zip(starts, lengths, strict=True))
        return numpy.stack([piece(one, length, share) for one, share in zip(examples, shares, strict=True)])


def cached(
    dataset: datasets.Dataset, modality: Modality, skip_corrupt: bool, say: Callable[[str], object] = lambda note: None
) -> Cached:
    """The encoded dataset, built if it is not in the cache, and the modality fitted to it.

    What the modality has to ``say`` of the dataset is said before it is decoded, which may take long.

    Raises:
        UserError: A row cannot be used and ``skip_corrupt`` is off, no row can be used, or the disk is full.
    """
    kind = f"{type(modality).__module__}:{type(modality).__qualname__}"
    source = [FORMAT, dataset._fingerprint, kind]
    home = cache_home()
    file = home / f"{hashed([*source, modality.fit_key()])}.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not file.is_file():
                write_text(file, json.dumps(fit(dataset, modality), indent=2))
            notes = fit_again(modality, file)
        for note in notes:
            say(note)
        folder = home / hashed([*source, modality.encode_key(), skip_corrupt, modality.conditional])
        with FileLock(f"{folder}.lock"):
            if not (folder / INDEX).is_file():
                with written_whole(folder, "the cache (MULTIGAN_CACHE moves it)") as aside, killed_in_one_line():
                    (aside / INDEX).write_text(json.dumps(write(dataset, modality, aside, skip_corrupt), indent=2))
    except OSError as error:
        raise UserError(
            f"cannot write the cache (MULTIGAN_CACHE moves it) {home}: {error.strerror or error}"
        ) from error
    found = read(folder, modality, notes)
    for note in found.notes[len(notes) :]:
        say(note)
    return found


def hashed(parts: list[Any]) -> str:
    """A hash of plain values, as a name."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def fit(dataset: datasets.Dataset, modality: Modality) -> dict[str, Any]:
    """Fit the modality; returns what it learned and what it reports."""
    before = asdict(modality.config)
    notes = list(modality.fit(dataset) or ())
    after = asdict(modality.config)
    return {"learned": {key: value for key, value in after.items() if value != before[key]}, "notes": notes}


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn errors in reading a part of the cache into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"the cache {path} is damaged: delete it, and it will be rebuilt") from error


def fit_again(modality: Modality, file: Path) -> tuple[str, ...]:
    """Restore what the modality learned before; returns what it reported then."""
    with undamaged(file):
        known = json.loads(file.read_text())
        learned = {key: tuple(value) if isinstance(value, list) else value for key, value in known["learned"].items()}
        modality.config = replace(modality.config, **learned)
        return tuple(known["notes"])


def read(folder: Path, modality: Modality, notes: tuple[str, ...]) -> Cached:
    """What `write` wrote, mapped from the disk."""
    with undamaged(folder):
        index = json.loads((folder / INDEX).read_text())
        arrays: Arrays = {}
        for column, entry in sorted(index["columns"].items(), key=lambda item: item[0] != LENGTH):  # which others need
            kind = numpy.dtype(entry["dtype"])
            if kind.kind not in NUMBERS:  # bytes of a file must never be taken for pointers to objects
                raise ValueError(f"a column of {kind}")
            shape = [index["rows"], *entry["shape"]]
            if entry["shape"][:1] == [None]:
                shape = [int(arrays[LENGTH].sum()), *entry["shape"][1:]]
            arrays[column] = numpy.memmap(folder / f"{column}.bin", kind, "r", shape=tuple(shape))
        return Cached(
            arrays["real"],
            arrays.get("label") if index["labelled"] else None,
            skipped=index["skipped"],
            digest=index["digest"],
            notes=(*notes, *index["notes"]),
            ends=numpy.cumsum(arrays[LENGTH]) if LENGTH in arrays else None,
            crop=modality.crop,
            beside={name: array for name, array in arrays.items() if name not in (LENGTH, "real", "label")},
        )


def cache_home() -> Path:
    """The cache folder: ``$MULTIGAN_CACHE``, or ``multigan`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "multigan"
    return Path(os.environ.get("MULTIGAN_CACHE") or default).expanduser()


def write(dataset: datasets.Dataset, modality: Modality, folder: Path, skip_corrupt: bool) -> dict[str, Any]:
    """Encode every row into one raw file per column; returns the index.

    Written as files, not through a memory map, where a full disk would end the process instead of raising an error.
    """
    columns: dict[str, dict[str, Any]] = {}
    unusable: list[str] = []
    rows = others = unlabelled = 0
    digest = xxhash.xxh3_128()
    outcomes = decoded(dataset, modality)
    while part := list(islice(outcomes, TOGETHER)):
        good = []
        for outcome in part:
            if isinstance(outcome, str):
                unusable.append(outcome)
                if not skip_corrupt:
                    raise UserError(f"{outcome}; pass --skip_corrupt true to leave out what cannot be used")
            elif outcome is None:
                others += 1
            else:
                good.append(outcome)
                unlabelled += "label" in outcome and bool((outcome["label"] == UNLABELLED).any())
        append(good, columns, folder, digest, modality.crop is not None)
        rows += len(good)
    if not rows:
        raise UserError(
            f"none of the {len(dataset)} rows of the dataset can be used: "
            f"{unusable[0] if unusable else 'all are of other classes, blank, or too long'}"
        )
    more = "; ..." if len(unusable) > SHOWN else ""
    left_out = f"left out {len(unusable)} of {rows + len(unusable)} rows: {'; '.join(unusable[:SHOWN])}{more}"
    notes = [left_out] if unusable else []
    if others and modality.conditional:  # else the modality has said why
        notes.append(f"left out {others:,} rows: of other classes, blank, or too long")
    if unlabelled:
        notes.append(
            f"labels are not used: {unlabelled:,} of {rows:,} rows have none, or one that is not among the classes"
        )
    return {
        "rows": rows,
        "skipped": len(unusable),
        "labelled": not unlabelled,
        "notes": notes,
        "columns": columns,
        "digest": digest.hexdigest(),
    }


def append(
    good: list[dict[str, Any]], columns: dict[str, dict[str, Any]], folder: Path, digest: xxhash.xxh3_128, uneven: bool
) -> None:
    """Add encoded rows to the files and to the digest; all must have the shape and type of the first.

    Where they may be of ``uneven`` length, another column says how long each is.
    """
    for row in good:
        if uneven:
            row[LENGTH] = numpy.array(len(row["real"]), numpy.int64)
        for column, value in row.items():
            shape = [None, *value.shape[1:]] if uneven and column == "real" else list(value.shape)
            entry = {"dtype": value.dtype.str, "shape": shape}
            if columns.setdefault(column, entry) != entry:
                raise UserError(
                    f"encode made {column!r} of {entry} after one of {columns[column]}: all rows must agree"
                )
    for column in columns:
        with (folder / f"{column}.bin").open("ab") as file:
            for row in good:
                values = row[column].tobytes()
                file.write(values)
                digest.update(values)


def piece(example: numpy.ndarray, length: int, share: float) -> numpy.ndarray:
    """A crop ``(length, ...)`` of one example, as `Cached.read` takes it."""
    start = int(share * max(len(example) - length + 1, 1))
    found = numpy.zeros((length, *example.shape[1:]), example.dtype)
    found[: len(example)] = example[start : start + length]
    return found
