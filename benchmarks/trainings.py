"""A log of trainings, a JSON line each, and means over their seeds."""

import json
import statistics
from pathlib import Path
from typing import Any


def lines(log: Path, group: str) -> list[dict[str, Any]]:
    """The trainings of a group; none where there is no log yet."""
    if not log.exists():
        return []
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in found if line["group"] == group]


def cell(values: list[float]) -> str:
    """The mean, and the deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3g}{spread}"
