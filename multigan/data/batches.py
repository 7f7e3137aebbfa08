"""Batches for the engine: each process's rows of the global batch, encoded, on its device."""

from collections.abc import Callable, Iterator
from typing import Any

import datasets
import numpy
import pyarrow
import torch
from torch import Tensor
from tqdm import tqdm

from multigan.classes import with_class_names
from multigan.data.cache import Cached, piece
from multigan.data.decoding import attempt
from multigan.data.sampler import Sampler
from multigan.errors import UserError, first_line
from multigan.modality import Modality

Batches = Callable[[int, slice], tuple[Tensor, dict[str, Tensor]]]

SHUFFLED = 1024  # rows in the shuffle buffer of a stream


def from_cache(
    data: Cached, batch_size: int, seed: int, conditional: bool, device: torch.device, unpaired: bool = False
) -> Batches:
    """Batches by index from the cache, sent to the device in the type they are stored in.

    Args:
        data: The encoded dataset.
        batch_size: Rows of the global batch.
        seed: Decides the order.
        conditional: Whether labels are given.
        device: Where they are sent.
        unpaired: Whether each row is one of each domain, drawn apart: see `Modality.unpaired`.

    Returns:
        ``(batch number, rows) -> (encoded (b, ...), what is beside it, by name)``; unpaired ``(b, 2, ...)``.

    Raises:
        UserError: There is nothing in one of two domains.
    """
    domains = [numpy.flatnonzero(data.beside["domain"] == domain) for domain in (0, 1)] if unpaired else None
    sizes = [len(data)] if domains is None else [len(rows) for rows in domains]
    if 0 in sizes:
        raise UserError("there is no usable example of one of the two domains")
    samplers = [Sampler(size, seed + place) for place, size in enumerate(sizes)]

    def send(values: numpy.ndarray) -> Tensor:
        return torch.from_numpy(values).to(device, non_blocking=True)

    def batch(number: int, rows: slice) -> tuple[Tensor, dict[str, Tensor]]:
        found = [
            sampler.rows(number * batch_size + rows.start, number * batch_size + rows.stop) for sampler in samplers
        ]
        if domains is not None:
            both = [data.read(own[indices], shares) for own, (indices, shares) in zip(domains, found, strict=True)]
            return send(numpy.stack(both, 1)), {}
        ((indices, shares),) = found
        beside = {name: send(values[indices]) for name, values in data.beside.items()}
        if conditional and data.label is not None:
            beside["label"] = send(data.label[indices])
        return send(data.read(indices, shares)), beside

    return batch


def from_stream(
    dataset: datasets.IterableDataset,
    modality: Modality,
    batch_size: int,
    seed: int,
    conditional: bool,
    device: torch.device,
    skip_corrupt: bool,
) -> Batches:
    """Batches of a streamed dataset, in its order, shuffled within a buffer.

    Every process reads all rows and encodes its own, so that the global batch is the same on any number of processes.
    What it returns is as in `from_cache`, but batch numbers can only increase: earlier batches cannot be read again.
    """
    stream = endless(dataset.shuffle(seed=seed, buffer_size=SHUFFLED))
    held: tuple[int, list[dict[str, Any]]] = (-1, [])

    def batch(number: int, rows: slice) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal held
        if held[0] != number:
            held = number, [next(stream) for _ in range(batch_size)]
        encoded = encode(held[1], rows, modality, skip_corrupt)
        examples = [row["real"] for row in encoded]
        crop = modality.crop
        if crop is not None:
            shares = numpy.random.Generator(numpy.random.Philox(key=[seed, number])).random(batch_size)[rows]
            examples = [
                piece(example, crop.length, share * crop.random)
                for example, share in zip(examples, shares, strict=True)
            ]
        real = torch.from_numpy(numpy.stack(examples)).to(device)
        names = [name for name in encoded[0] if name != "real" and (conditional or name != "label")]
        beside = {name: torch.from_numpy(numpy.stack([row[name] for row in encoded])).to(device) for name in names}
        return real, beside

    return batch


def endless(dataset: datasets.IterableDataset) -> Iterator[dict[str, Any]]:
    """The rows, pass after pass, each pass in another order."""
    number = 0
    while True:
        dataset.set_epoch(number)
        empty = True
        try:
            for row in dataset:
                empty = False
                yield with_class_names(row, dataset.features or {})
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise UserError(f"cannot read the stream on: {first_line(error)}") from error
        if empty:
            raise UserError("the stream has no rows")
        number += 1


def encode(batch: list[dict[str, Any]], rows: slice, modality: Modality, skip_corrupt: bool) -> list[dict[str, Any]]:
    """Rows of a batch, encoded; rows that are left out are replaced by others of the whole batch, in turn."""
    outcomes = [attempt(modality, row) for row in batch[rows]]
    wrong = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if wrong and not skip_corrupt:
        raise UserError(f"a row of the stream: {wrong[0]}; pass --skip_corrupt true to leave out what cannot be used")
    if wrong:
        tqdm.write(f"left out {len(wrong)} rows of the stream: {wrong[0]}")
    if all(isinstance(outcome, dict) for outcome in outcomes):
        return outcomes  # type: ignore[return-value]
    good = [found for found in (attempt(modality, row) for row in batch) if isinstance(found, dict)]
    if not good:
        reason = f": {wrong[0]}" if wrong else ""
        raise UserError(f"none of {len(batch)} rows of the stream in a row can be used{reason}")
    places = range(len(batch))[rows]
    return [
        outcome if isinstance(outcome, dict) else good[place % len(good)]
        for place, outcome in zip(places, outcomes, strict=True)
    ]
