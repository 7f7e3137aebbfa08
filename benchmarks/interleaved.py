"""Times of several ways to do the same, taken in turns, because machines are noisy: only the ratios mean anything."""

import statistics
import time
from collections.abc import Callable

Times = dict[str, list[float]]


def timed(ways: dict[str, Callable[[], object]], rounds: int, before: Callable[[], object] = lambda: None) -> Times:
    """The seconds of each way in each round; one more round before them warms up.

    ``before`` is done before each, and not timed: several processes wait there for one another.
    """
    seconds: Times = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            before()
            start = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(times: Times, one: str, other: str) -> str:
    """The time of one way over another's in the same round: the median, and the quartiles of the rounds."""
    ratios = [a / b for a, b in zip(times[one], times[other], strict=True)]
    if one == other or len(ratios) < 2:
        return f"{statistics.median(ratios):.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def table(title: str, times: Times, base: str) -> None:
    """Print the medians, and the ratios to one of the ways with their spread."""
    print(f"\n{title}\n\n| | milliseconds | ratio (quartiles) |\n|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values) * 1000:.1f} | {ratio(times, name, base)} |")
