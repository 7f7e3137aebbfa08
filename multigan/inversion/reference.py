"""Distances of real data, beside which those of inputs stand: of what was trained on, and of what was held out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles

import numpy

from multigan.config import plain
from multigan.data.cache import cache_home, hashed
from multigan.errors import UserError
from multigan.evaluation.held_out import Rows, open_pair
from multigan.files import write_text
from multigan.inversion.inverter import Inverter
from multigan.version import __version__

VERSION = 1  # of the distance and of how it is found


@dataclass(frozen=True)
class RealDistances:
    """Distances of real data.

    Attributes:
        held_out_name: What was held out: the split, or half of the training data.
        apart: Whether that is data of its own, and not the other half of what was trained on.
        training: Distances of samples that were trained on.
        held_out: Distances of as many others.
    """

    held_out_name: str
    apart: bool
    training: list[float]
    held_out: list[float]

    def share_below(self, distance: float) -> float:
        """The share of held-out samples that are nearer."""
        return float(numpy.mean(numpy.array(self.held_out) < distance))


def real_distances(inverter: Inverter, count: int, say: Callable[[str], object] = lambda line: None) -> RealDistances:
    """Distances of real samples, from the cache if they were computed before.

    Args:
        inverter: Of the generator.
        count: Samples of each kind, at most.
        say: Called with a line on what takes long.

    Raises:
        UserError: The dataset that the generator was trained on cannot be had.
    """
    generator = inverter.generator
    known = generator.training
    if "dataset" not in known:
        raise UserError("the model does not say what it was trained on")
    pair = open_pair(
        generator.modality,
        known["dataset"],
        known.get("subset"),
        known.get("split", "train"),
        bool(known.get("rows_left_out")),
        known.get("held_out"),
        count,
        inverter.seed,
    )
    data = [pair.train.data.digest, pair.held_out.data.digest, len(pair.train), len(pair.held_out)]
    model = [generator.name, plain(generator.modality.config), generator.digest]
    file = cache_home() / f"distances-{hashed([VERSION, __version__, *model, *data, inverter.seed])}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        return RealDistances(**json.loads(file.read_text()))
    say(f"inverting {len(pair.train) + len(pair.held_out)} real samples to compare with, once")
    found = RealDistances(
        pair.name,
        pair.held_out.data is not pair.train.data,
        distances(inverter, pair.train),
        distances(inverter, pair.held_out),
    )
    with contextlib.suppress(OSError):  # the disk is full: they are computed again the next time
        write_text(file, json.dumps(asdict(found)))
    return found


def distances(inverter: Inverter, rows: Rows) -> list[float]:
    """Of rows; their classes are not told."""
    samples = inverter.generator.modality.to_sample(rows.encoded(0, len(rows)))
    found: list[float] = inverter.invert(samples).distances.tolist()
    return found


def summary(distances: Sequence[float]) -> dict[str, float]:
    """The median, and the quantiles that 5 % and 95 % are under."""
    cuts = quantiles(distances, n=20, method="inclusive") if len(distances) > 1 else [*distances] * 19
    return {"5%": cuts[0], "median": cuts[9], "95%": cuts[18]}
