"""Times of several ways to do the same, taken in turns, because machines are noisy: only the ratios mean anything."""

import statistics
import time
from collections.abc import Callable


def medians(
    ways: dict[str, Callable[[], object]], rounds: int, before: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """The median seconds of each way over as many rounds; one more round before them warms up.

    ``before`` is done before each, and not timed: several processes wait there for one another.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            before()
            start = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(title: str, times: dict[str, float], base: str) -> None:
    """Print the ratios to one of the ways."""
    print(f"\n{title}\n\n| | milliseconds | ratio |\n|---|---|---|")
    for name, value in times.items():
        print(f"| {name} | {value * 1000:.1f} | {value / times[base]:.2f} |")
