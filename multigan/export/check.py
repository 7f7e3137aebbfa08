"""Whether an exported model makes what torch makes, and how fast."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from multigan.errors import UserError, first_line
from multigan.exportable import Exportable, TensorInfo

BATCHES = 1, 2, 5
TOLERANCE = 1e-5
ROUNDINGS = 4  # two programs that round differently may both be off, and the largest of few is not the largest of all
SECONDS = 0.5  # that timing takes, about
TRACED = 2  # samples in the batch that is traced: a size of 1 would be taken for a fixed one


class Checked(NamedTuple):
    """How an exported model compares with torch.

    Attributes:
        difference: The largest of any number, where full scale is 1.
        rounding: That of torch in float32 from torch in float64; measured where ``difference`` is over the tolerance,
            else 0. Phases that are continued from peak to peak of a spectrum make of a small one a larger one.
        different: Share of the whole numbers, such as tokens, that are others.
        samples: That were compared.
        seconds: That a sample takes, one at a time.
        torch_seconds: The same of torch.
    """

    difference: float
    rounding: float
    different: float
    samples: int
    seconds: float
    torch_seconds: float

    @property
    def same(self) -> bool:
        """Whether it makes what torch makes: to 1e-5, or as nearly as rounding lets torch itself say."""
        return not self.different and self.finite and self.difference <= max(TOLERANCE, ROUNDINGS * self.rounding)

    @property
    def finite(self) -> bool:
        """Whether all that was compared is finite."""
        return math.isfinite(self.difference)


def check(what: Exportable, run: Callable[..., Tensor]) -> Checked:
    """Compare a model with torch for several batches, each of other random numbers and sizes.

    Raises:
        UserError: It cannot be run, or makes tensors of other shapes or types.
    """
    compute = what.reference or what.module
    difference = rounding = different = 0.0
    with torch.no_grad():
        for seed, count in enumerate(BATCHES):
            inputs = draw(what, count, seed)
            expected = compute(*inputs)
            try:
                made = run(*inputs)
            except Exception as error:  # of a runtime anything may be raised
                raise UserError(f"the exported model cannot be run: {first_line(error)}") from error
            if made.shape != expected.shape or made.dtype != expected.dtype:
                found, wanted = ((tuple(one.shape), one.dtype) for one in (made, expected))
                raise UserError(f"the exported model makes {found}, and torch {wanted}")
            if not expected.is_floating_point():
                different = max(different, float((made != expected).float().mean()))
                continue
            difference = max(difference, distance(made, expected))
            if difference > TOLERANCE:
                rounding = max(rounding, distance(expected, in_double_precision(what.module, inputs)))
        one = draw(what, 1, 0)
        times = timed([lambda: run(*one), lambda: compute(*one)])
    return Checked(difference, rounding, different, sum(BATCHES), *times)


def distance(made: Tensor, expected: Tensor) -> float:
    """The largest difference, where the largest expected value is 1 or less; infinite where one is not finite."""
    scale = expected.abs().max().clamp_min(1.0)
    return float(((made - expected).abs().max() / scale).nan_to_num(torch.inf))


def in_double_precision(module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
    """What a module makes in float64."""
    double, before = copy.deepcopy(module).double(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        made: Tensor = double(*(one.double() if one.is_floating_point() else one for one in inputs))
    finally:
        torch.set_default_dtype(before)
    return made


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The median seconds of each of several calls, in turns."""
    taken: list[list[float]] = [[] for _ in calls]
    start = time.perf_counter()
    while time.perf_counter() - start < SECONDS * len(calls) or len(taken[0]) < 3:
        for call, times in zip(calls, taken, strict=True):
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)
    return [median(times[1:]) for times in taken]


def draw(what: Exportable, count: int, seed: int) -> list[Tensor]:
    """Inputs at random, ``count`` samples of each; axes of any size have one or the other of their sizes."""
    numbers = torch.Generator().manual_seed(seed)
    sizes = {name: pair[seed % 2] for name, pair in what.axes.items()}
    return [values(one, count, sizes, numbers) for one in what.inputs]


def values(one: TensorInfo, count: int, sizes: dict[str, int], numbers: torch.Generator) -> Tensor:
    """An input at random."""
    shape = [count, *(sizes[axis] if isinstance(axis, str) else axis for axis in one.shape)]
    low, high = one.low or 0.0, 1.0 if one.high is None else one.high
    kind = getattr(torch, one.type)
    if one.values == "standard normal":
        return torch.randn(shape, generator=numbers).to(kind)
    if one.values == "whole":
        return torch.randint(int(low), int(high) + 1, shape, generator=numbers).to(kind)
    return (low + (high - low) * torch.rand(shape, generator=numbers)).to(kind)
