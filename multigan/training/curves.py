"""Plots the metrics of a run by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multigan.evaluation.report import words

CURVES = (
    ("losses", ("generator_loss", "discriminator_loss", "penalty")),
    ("pretraining loss", ("pretraining_loss",)),
    ("D's outputs", ("d_real", "d_fake")),
    ("gradient norms", ("generator_gradient_norm", "discriminator_gradient_norm")),
    ("diversity", ("diversity",)),
)


def curves(lines: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Plot the metrics of a run by step, with warnings marked in red.

    Args:
        lines: Of ``metrics.jsonl``.
        file: A PNG; none is written where there is nothing to draw.
    """
    panels = [(title, names) for title, names in CURVES if any(name in line for line in lines for name in names)]
    measured = [line for line in lines if "evaluation" in line]
    panels += [(words(name), (name,)) for name in ("frechet_distance", "recall") if measured]
    if not panels:
        return
    figure = Figure(figsize=(5 * min(3, len(panels)), 3 * -(-len(panels) // 3)), layout="constrained")
    marks = [line["step"] for line in lines if line.get("health")]
    for place, (title, names) in enumerate(panels):
        axes = figure.add_subplot(-(-len(panels) // 3), min(3, len(panels)), place + 1)
        for name in names:
            draw(axes, lines, name)
        for step in marks:
            axes.axvline(step, color="tab:red", alpha=0.3)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        if title == "gradient norms":
            axes.set_yscale("symlog", linthresh=1e-6)
        if len(axes.lines) > len(marks) + 1:
            axes.legend(fontsize=8)
    figure.savefig(file)


def draw(axes: Axes, lines: Sequence[Mapping[str, Any]], name: str) -> None:
    """One curve."""
    points = [
        (line["step"], value)
        for line in lines
        if isinstance(value := line.get(name, line.get("evaluation", {}).get(name)), int | float)
    ]
    if points:
        axes.plot(*zip(*points, strict=True), "." if len(points) == 1 else "-", label=words(name))
