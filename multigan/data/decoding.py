"""Decoding: every row of a dataset through its modality, on all cores."""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

import datasets
import numpy
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from multigan.classes import with_class_names
from multigan.errors import UserError, first_line
from multigan.modality import Modality

Outcome: TypeAlias = dict[str, Any] | str | None

ROWS = 64  # decoded at a time; no more, because a row may be an hour of sound
MOST_PROCESSES = 16
PATIENCE = 2.0  # seconds of decoding after which it pays to start other processes
BLOCK_SECONDS = 0.1  # of work that a process does at a time


def attempt(modality: Modality, row: dict[str, Any]) -> Outcome:
    """The encoded row, or why it cannot be used; None for a row that is left out."""
    try:
        encoded = modality.encode(row)
        if encoded is None:
            return None
        arrays = {name: numpy.asarray(value) for name, value in encoded.items()}
        if "label" in arrays and not arrays["label"].ndim:
            arrays["label"] = arrays["label"].astype(numpy.int64)
        return arrays
    except (ValueError, OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG
        if isinstance(error, OSError) and error.strerror:
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return str(error) or type(error).__name__


def decoded(dataset: datasets.Dataset, modality: Modality) -> Iterator[Outcome]:
    """The outcomes of all rows, in order, under a progress bar. See `attempt`.

    Threads decode until it is known to take long, then processes: what Python itself does with a small picture takes
    longer than decompressing it, and threads do that one at a time.

    Raises:
        UserError: As the modality raised it.
    """
    count, cores = len(dataset), available_cores()
    with tqdm(total=count, desc="decoding", unit=" rows", disable=None if count > ROWS else True) as bar:
        done, began = 0, time.perf_counter()
        blocks = Blocks(dataset, modality, 0, ROWS)
        with ThreadPoolExecutor(cores) as pool:
            while done < count and (cores == 1 or not can_fork() or time.perf_counter() - began < PATIENCE):
                yield from pool.map(blocks.attempt, blocks.rows(done // ROWS))
                done = min(done + ROWS, count)
                bar.update(done - bar.n)
        if done == count:
            return
        size = min(ROWS, max(1, int(BLOCK_SECONDS * done / (time.perf_counter() - began))))
        loader: DataLoader[list[Outcome | UserError]] = DataLoader(
            Blocks(dataset, modality, done, size),
            batch_size=None,
            collate_fn=list,
            num_workers=cores,
            multiprocessing_context="fork",
            generator=torch.Generator(),  # the global one is not to depend on what is in the cache
        )
        for block in loader:
            for outcome in block:
                if isinstance(outcome, UserError):
                    raise outcome
                yield outcome
            bar.update(len(block))


@contextmanager
def killed_in_one_line() -> Iterator[None]:
    """Turn the news that a process was killed, which may come at any time while others decode, into one line."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("exited unexpectedly", "killed by signal")):
            raise
        raise UserError(f"decoding stopped, perhaps for want of memory: {first_line(error)}") from error


class Blocks(Dataset[list[Outcome | UserError]]):
    """Outcomes of the rows of a dataset from ``first`` on, ``size`` at a time."""

    def __init__(self, dataset: datasets.Dataset, modality: Modality, first: int, size: int) -> None:
        self.dataset, self.modality, self.first, self.size = dataset, modality, first, size

    def __len__(self) -> int:
        return -(-(len(self.dataset) - self.first) // self.size)

    def __getitem__(self, number: int) -> list[Outcome | UserError]:
        try:
            return [self.attempt(row) for row in self.rows(number)]
        except UserError as error:  # which a process could only pass on with its traceback
            return [error]

    def rows(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """The rows of a block, each with its number."""
        start = self.first + number * self.size
        columns = with_class_names(self.dataset[start : start + self.size], self.dataset.features)
        rows = zip(*columns.values(), strict=True)
        return [(start + place, dict(zip(columns, row, strict=True))) for place, row in enumerate(rows)]

    def attempt(self, numbered: tuple[int, dict[str, Any]]) -> Outcome:
        """As `attempt`; the reason says which row it is, the first being row 1."""
        number, row = numbered[0] + 1, numbered[1]
        outcome = attempt(self.modality, row)
        if not isinstance(outcome, str):
            return outcome
        file = file_of(row)
        return f"row {number} ({file}): {outcome.removeprefix(f'{file}: ')}" if file else f"row {number}: {outcome}"


def file_of(row: dict[str, Any]) -> str:
    """The file a row came from; empty where it is not known."""
    values = [value.get("path") if isinstance(value, dict) else value for value in row.values()]
    paths = [
        value for key, value in zip(row, values, strict=True) if value and (key == "file" or isinstance(row[key], dict))
    ]
    return str(paths[0]) if paths else ""


def available_cores() -> int:
    """How many processor cores this process may use; MOST_PROCESSES at most, as containers may allow fewer."""
    return min(MOST_PROCESSES, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def can_fork() -> bool:
    """Whether processes are copies of this one. Others would run the user's script again, unless it is guarded."""
    return sys.platform == "linux"
