"""Reads files as samples of a generator: as the data that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import datasets
import numpy
import torch
from torch import Tensor

from multigan.data.cache import piece
from multigan.data.decoding import Blocks
from multigan.data.load import load
from multigan.errors import UserError
from multigan.evaluation.held_out import for_columns
from multigan.modality import ClassConditionalConfig, Modality


class Samples(NamedTuple):
    """Samples that were read.

    Attributes:
        samples: ``(N, *S)``.
        files: The file of each.
    """

    samples: Tensor
    files: Sequence[Path]


def read_samples(modality: Modality, files: Sequence[Path]) -> Samples:
    """All examples in files of a kind that could be trained on, in the form of the generator's samples.

    They are brought to the shape of the training data as these were; of longer sounds the start is taken.

    Args:
        modality: As it was trained.
        files: One example each, or tables and arrays of several.

    Raises:
        UserError: One cannot be used.
    """
    found, sources = [], []
    for file in files:
        encoded = read_file(modality, file)
        found += encoded
        sources += [file] * len(encoded)
    return Samples(modality.to_sample(torch.from_numpy(numpy.stack(found))), sources)


def read_file(modality: Modality, file: Path) -> list[numpy.ndarray]:
    """The examples in a file, encoded; their classes are not asked for.

    Raises:
        UserError: One cannot be used, and why.
    """
    rows = load(modality, str(file), None, "train", False, lambda note: None)
    assert isinstance(rows, datasets.Dataset)
    reader = for_columns(modality, rows)
    if isinstance(reader.config, ClassConditionalConfig):
        reader.config = replace(reader.config, conditional=False)
    reader.fit(rows)
    encoded = []
    for outcome in Blocks(rows, reader, 0, len(rows))[0]:
        if isinstance(outcome, UserError):
            raise outcome
        if not isinstance(outcome, dict):
            reason = "it is left out of the training data too" if outcome is None else outcome.partition(": ")[2]
            raise UserError(f"{file}: {reason}")
        real = outcome["real"]
        encoded.append(real if reader.crop is None else piece(real, reader.crop.length, 0))
    return encoded
