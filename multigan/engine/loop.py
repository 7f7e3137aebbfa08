"""The training loop: steps, what happens between them, and the means of the metrics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from multigan.engine.step import Metrics


@dataclass
class Meter:
    """Means of the metrics since they were last read, kept on the device until then.

    Values that are not finite, those of dropped steps, are left out.

    Attributes:
        sums: For each set of metrics that came together (pretraining and adversarial steps have different ones), their
            sums and how many values they are of, ``(2, metrics)``.
    """

    sums: dict[tuple[str, ...], Tensor] = field(default_factory=dict)

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of one step."""
        values = torch.stack([value.float() for value in metrics.values()])
        finite = values.isfinite()
        both = torch.stack([values.where(finite, 0.0), finite.float()])
        names = tuple(metrics)
        self.sums[names] = self.sums[names] + both if names in self.sums else both

    def read(self, accelerator: Accelerator) -> dict[str, float | None]:
        """The means over steps and processes, None where no value was finite; resets the sums."""
        totals: dict[str, Tensor] = {}
        for names in sorted(self.sums):
            sums = accelerator.reduce(self.sums[names], "sum").cpu()
            for name, both in zip(names, sums.T, strict=True):
                totals[name] = totals[name] + both if name in totals else both
        self.sums = {}
        return {name: float(both[0] / both[1]) if both[1] else None for name, both in sorted(totals.items())}

    def state(self) -> list[dict[str, Any]]:
        """The state for `restore`, as plain numbers: the sums of every process. Every process must call this."""
        own = {" ".join(names): sums.tolist() for names, sums in self.sums.items()}
        states: list[dict[str, Any]] = gather_object([own])
        return states

    def restore(self, states: list[dict[str, Any]], accelerator: Accelerator) -> None:
        """Restore what `state` returned; on another number of processes the first one takes all sums."""
        same = len(states) == accelerator.num_processes
        mine = states[accelerator.process_index : accelerator.process_index + 1] if same else states
        self.sums = {}
        for key in states[0]:
            sums = [torch.tensor(state[key], dtype=torch.float32) for state in mine]
            total = torch.stack(sums).sum(0) if same or accelerator.is_main_process else torch.zeros_like(sums[0])
            self.sums[tuple(key.split())] = total.to(accelerator.device)


@dataclass(frozen=True)
class Periodic:
    """Something to do every so many steps, and after the last one.

    Attributes:
        steps: How many.
        do: Called with the number of steps done so far.
        early: Once after so many steps, too; 0 for not.
    """

    steps: int
    do: Callable[[int], None]
    early: int = 0


def run(play: Callable[[int], Metrics], start: int, total: int, meter: Meter, hooks: list[Periodic]) -> Iterator[int]:
    """Take steps ``start`` to ``total`` and add their metrics to the meter; yields the number of steps done.

    The hooks run in their order after each step that is theirs.
    """
    for number in range(start, total):
        meter.add(play(number))
        done = number + 1
        for hook in hooks:
            if done % hook.steps == 0 or done in (hook.early, total):
                hook.do(done)
        yield done
