"""Real samples for an evaluation: some that were trained on, and as many that were held out."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import asdict, replace
from typing import NamedTuple

import datasets
import numpy
import torch
from torch import Tensor

from multigan.columns import column_names
from multigan.data.cache import Cached, cached
from multigan.data.load import load
from multigan.errors import NoSplitError, UserError
from multigan.interface import Condition
from multigan.modality import Modality

HELD_OUT = ("test", "validation", "val", "valid", "dev")
GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly over [0, 1)


class Rows(NamedTuple):
    """Some rows of a dataset.

    Attributes:
        data: The dataset.
        numbers: ``(N,)``; ``(N, 2)`` where an example is one row of each of two domains.
    """

    data: Cached
    numbers: numpy.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def encoded(self, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop``, as the modality encodes them.

        Long ones are cropped as in training, at a position that depends on the row alone.
        """
        numbers = self.numbers[start:stop]
        flat = numbers.reshape(-1)
        found = self.data.read(flat, flat * GOLDEN % 1)
        return torch.from_numpy(found.reshape(*numbers.shape, *found.shape[1:]))

    def pair(self, modality: Modality, start: int, stop: int, device: torch.device) -> tuple[Tensor, Condition]:
        """Samples of rows ``start`` to ``stop`` and what the networks are told of them, on the device.

        The random numbers that this takes depend on the place of a row alone.
        """
        numbers = self.numbers[start:stop]
        beside = {name: values[numbers] for name, values in self.data.beside.items()} if numbers.ndim == 1 else {}
        if modality.conditional and self.data.label is not None:
            beside["label"] = self.data.label[numbers]
        uniform = [
            numpy.random.Generator(numpy.random.Philox(key=place)).random(modality.pair_numbers, numpy.float32)
            for place in range(start, start + len(numbers))
        ]
        return modality.to_pair(
            self.encoded(start, stop).to(device),
            {name: torch.from_numpy(values).to(device) for name, values in beside.items()},
            torch.from_numpy(numpy.stack(uniform)).to(device, torch.get_default_dtype()),
        )

    def samples(self, modality: Modality, start: int, stop: int, device: torch.device) -> Tensor:
        """Finished samples of rows ``start`` to ``stop``, on the device.

        Where a model takes inputs, these are the samples of `pair`: the truth of what it is told.
        """
        if modality.takes_inputs:
            return self.pair(modality, start, stop, device)[0]
        return modality.to_finished(self.encoded(start, stop).to(device))

    @property
    def labels(self) -> Tensor | None:
        """``(N,)``, or ``(N, classes)`` where samples can have several; None for pairs of rows of two domains."""
        if self.data.label is None or self.numbers.ndim == 2:
            return None
        return torch.from_numpy(self.data.label[self.numbers])


class Pair(NamedTuple):
    """As many training samples as held-out samples.

    Attributes:
        train: Samples that were trained on.
        held_out: Samples that were not, or half of the training data.
        known: Samples that a classifier may be trained on: `train`, and more if there are fewer held-out samples.
        every: All training samples that are not held out, `train` first.
        name: What is held out: the name of a split, or "half of" one.
    """

    train: Rows
    held_out: Rows
    known: Rows
    every: Rows
    name: str


def open_pair(
    modality: Modality,
    dataset: str,
    subset: str | None,
    split: str,
    skip_corrupt: bool,
    held_out: str | None,
    count: int,
    seed: int,
) -> Pair:
    """Draw samples of the training split and of another at random.

    Args:
        modality: As it was trained; it encodes the samples.
        dataset: What was trained on.
        subset: Of the dataset, as in training.
        split: Of the dataset, as in training.
        skip_corrupt: As in training.
        held_out: The other split; None takes test or validation where there is one, and half of ``split`` otherwise, or
            where that is the one named.
        count: Samples of each, at most.
        seed: Decides which are drawn.

    Raises:
        UserError: There is no such data, or it cannot be used.
    """

    def read(part: str) -> Cached:
        rows = load(modality, dataset, subset, part, False, lambda note: None)  # training said it
        assert isinstance(rows, datasets.Dataset)
        return cached(rows, for_columns(modality, rows), skip_corrupt)

    def order(data: Cached) -> numpy.ndarray:
        if modality.unpaired:
            return unpaired_order(data, seed)
        return torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).numpy()

    train = read(split)
    name, other = find(read, split, held_out)
    if other is None:
        numbers = order(train)
        half = min(count, len(numbers) // 2)
        first, second, rest = numpy.split(numbers, (half, 2 * half))
        every = Rows(train, numpy.concatenate([first, rest]))
        return Pair(Rows(train, first), Rows(train, second), Rows(train, first), every, name)
    numbers, others = order(train), order(other)
    least = min(count, len(numbers), len(others))
    known, every = Rows(train, numbers[:count]), Rows(train, numbers)
    return Pair(Rows(train, numbers[:least]), Rows(other, others[:least]), known, every, name)


def for_columns(modality: Modality, rows: datasets.Dataset) -> Modality:
    """A copy of a modality that is yet to be fitted to other data than that of its training.

    Columns that this data lacks will be found anew.
    """
    fitted = copy(modality)
    named = [name for name, column in asdict(fitted.config).items() if name.endswith("_column") and column]
    there = set(rows.column_names)
    missing = [name for name in named if not there.issuperset(column_names(getattr(fitted.config, name), there))]
    fitted.config = replace(fitted.config, **dict.fromkeys(missing))
    return fitted


def unpaired_order(data: Cached, seed: int) -> numpy.ndarray:
    """Rows of both domains at random, ``(N, 2)``: the true pairs where there are any, others put together by chance."""
    domains, keys = (data.beside[name] for name in ("domain", "key"))
    sides = [numpy.flatnonzero(domains == domain) for domain in (0, 1)]
    shared, *places = numpy.intersect1d(keys[sides[0]], keys[sides[1]], return_indices=True)
    random = numpy.random.Generator(numpy.random.Philox(key=seed))
    if len(shared):
        order = random.permutation(len(shared))
        return numpy.stack([side[place[order]] for side, place in zip(sides, places, strict=True)], 1)
    count = min(map(len, sides))
    return numpy.stack([random.permutation(side)[:count] for side in sides], 1)


def has_truth(rows: Rows) -> bool:
    """Whether each example of two domains is a true pair."""
    keys = rows.data.beside["key"][rows.numbers]
    return bool((keys[:, 0] == keys[:, 1]).all())


def find(read: Callable[[str], Cached], split: str, held_out: str | None) -> tuple[str, Cached | None]:
    """The held-out split: the one named, or test or validation, or None for half of the training split."""
    if held_out not in (None, split):
        try:
            return held_out, read(held_out)
        except NoSplitError as error:
            raise UserError(str(error).replace("--split", "--held_out")) from error
    for name in HELD_OUT:
        if held_out is None and name != split:
            try:
                return name, read(name)
            except NoSplitError:
                continue
            except UserError as error:
                known = f"split {name!r}, held out: {error}"
                raise UserError(f"{known}; name another with --held_out (of training, --evaluate_held_out)") from error
    return f"half of {split}", None
