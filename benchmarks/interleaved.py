"""Times of several ways to do the same, taken in turns, because machines are noisy: only the ratios mean anything."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Times = dict[str, list[float]]


def timed(
    ways: dict[str, Callable[[], object]],
    rounds: int,
    before: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """The seconds of each way in each round; one more round before them warms up.

    ``before`` is done before each, and not timed: several processes wait there for one another. With the clock
    ``time.process_time`` other programs on the machine matter little; it is for work that neither waits nor is shared
    by threads.
    """
    seconds: Times = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            before()
            start = clock()
            way()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratio(times: Times, one: str, other: str) -> str:
    """The time of one way over another's in the same round: the median, and the quartiles of the rounds."""
    ratios = [a / b for a, b in zip(times[one], times[other], strict=True)]
    if one == other or len(ratios) < 2:
        return f"{statistics.median(ratios):.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


class FlopCounter(TorchDispatchMode):
    """Counts as torch's FlopCounterMode does, which cannot follow gradient penalties because it follows modules."""

    total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        count = flop_registry.get(function._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=result) if count else 0
        return result


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in ``work``.

    Backward through convolutions in groups is counted as if they had none.
    """
    with FlopCounter() as counter:
        work()
    return counter.total


def table(title: str, times: Times, base: str) -> None:
    """Print the medians, and the ratios to one of the ways with their spread."""
    print(f"\n{title}\n\n| | milliseconds | ratio (quartiles) |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) * 1000:.1f} | {ratio(times, name, base)} |")
