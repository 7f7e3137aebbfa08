"""Step after step: the schedule of what happens between steps, and the metrics."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from multigan.engine.step import Metrics


class DivergedError(Exception):
    """A loss or a gradient is no longer a number."""


@dataclass
class Meter:
    """Means of the metrics since they were last read. They stay on the device until then.

    Attributes:
        sums: Sum of each metric, a tensor.
        counts: How many values of each were added: a warm-up and the game have different ones.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def read(self, accelerator: Accelerator) -> dict[str, float]:
        """The means over the steps and the processes; starts afresh.

        Raises:
            DivergedError: One of them is not finite.
        """
        names = sorted(self.sums)
        stacked = torch.stack([self.sums[name].float() / self.counts[name] for name in names])
        means: list[float] = accelerator.reduce(stacked, "mean").tolist()
        self.sums, self.counts = {}, {}
        values = dict(zip(names, means, strict=True))
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise DivergedError(f"{', '.join(wrong)} is no longer a finite number")
        return values

    def state(self) -> dict[str, dict[str, float]]:
        """What `restore` takes, as plain numbers."""
        return {"sums": {name: float(value) for name, value in self.sums.items()}, "counts": dict(self.counts)}

    def restore(self, state: dict[str, dict[str, Any]], device: torch.device) -> None:
        """Go on from what `state` gave."""
        self.sums = {name: torch.tensor(value, device=device) for name, value in state["sums"].items()}
        self.counts = dict(state["counts"])


@dataclass(frozen=True)
class Every:
    """Something to do each so many steps, and after the last one.

    Attributes:
        steps: How many.
        do: Called with the number of steps done so far.
    """

    steps: int
    do: Callable[[int], None]


def run(play: Callable[[int], Metrics], start: int, total: int, meter: Meter, hooks: list[Every]) -> Iterator[int]:
    """Play steps ``start`` to ``total``, adding each one's metrics to the meter; yields the number of steps done.

    The hooks run in their order after each step that is theirs.
    """
    for number in range(start, total):
        meter.add(play(number))
        done = number + 1
        for hook in hooks:
            if done % hook.steps == 0 or done == total:
                hook.do(done)
        yield done
