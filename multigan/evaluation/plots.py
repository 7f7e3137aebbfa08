"""Plots of evaluations: one model, and several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from multigan.evaluation.augmentation import BOTH, GENERATED, REAL
from multigan.evaluation.metrics.frechet import moments
from multigan.evaluation.report import REFERENCE_MODEL, REQUIRED_METRICS, TRIVIAL, Evaluation, number, words

SHARES = ("precision", "recall", "density", "coverage", "class_accuracy", "classification_accuracy_score")
COLORS = {"generated": "C0", "real": "C1", TRIVIAL: "0.7", REFERENCE_MODEL: "0.45"}
SHOWN = 2000  # points of each cloud


def evaluation(found: Evaluation, real: Tensor, fake: Tensor, file: Path) -> None:
    """Plot metrics beside the references and the baseline, and the features of generated and of real samples.

    Args:
        found: The evaluation.
        real: Features ``(N, F)``.
        fake: Features of generated samples, ``(M, F)``.
        file: The PNG to write.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = [name for name in SHARES if name in found.generated]
    step = 0.8 / len(found.columns)
    for place, (title, values) in enumerate(found.columns.items()):
        there = [at for at, name in enumerate(names) if name in values]
        figures = [values[names[at]] for at in there]
        color = COLORS.get(title)
        bars = left.barh([at + step * place for at in there], figures, 0.95 * step, color=color, label=title)
        left.bar_label(bars, [number(value) for value in figures], fontsize=8, padding=2)
    left.set_yticks([at + 0.4 - step / 2 for at in range(len(names))], [words(name) for name in names])
    left.invert_yaxis()
    left.margins(x=0.12)
    figure.legend(fontsize=8, loc="outside lower center", ncols=len(found.columns))
    distances = [f"{title} {number(values['frechet_distance'])}" for title, values in found.columns.items()]
    left.set_title(f"Frechet distance {', '.join(distances).removeprefix('generated ')}", fontsize=10)
    centre, covariance = moments(real)
    axes = torch.linalg.eigh(covariance).eigenvectors[:, -2:].flip(1)
    axes = torch.nn.functional.pad(axes, (0, 2 - axes.shape[1]))  # a single feature has one axis
    for cloud, color in ((fake, COLORS["generated"]), (real, COLORS["real"])):
        right.scatter(*((cloud[:SHOWN].double() - centre) @ axes).T.cpu(), s=4, alpha=0.5, color=color)
    right.set_title(f"features ({found.protocol['features']}), their two main axes", fontsize=10)
    figure.savefig(file)


def augmentation(found: dict[str, Any], file: Path) -> None:
    """Plot the accuracy of classifiers by how many real samples they are given.

    Args:
        found: What `multigan.evaluation.augmentation.measure` returned.
        file: The PNG to write.
    """
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    sizes = list(found["accuracy"])
    arms = {REAL: COLORS["real"], BOTH: "C2", GENERATED: COLORS["generated"]}
    for at, (arm, color) in enumerate(arms.items()):
        values = [found["accuracy"][size][arm] for size in sizes]
        places = [place + 0.06 * (at - 1) for place in range(len(sizes))]  # side by side, so that none hides another
        means, deviations = list(map(mean, values)), list(map(stdev, values))
        axes.errorbar(places, means, deviations, color=color, label=arm, marker="o", capsize=4)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set(xlabel="real samples of each class", ylabel="accuracy on held-out real samples")
    axes.legend(fontsize=8)
    figure.savefig(file)


def comparison(runs: Mapping[str, Evaluation], file: Path) -> None:
    """Runs side by side: precision against recall, and the Frechet distance of each.

    Args:
        runs: Evaluations by the name of the run.
        file: The PNG to write.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, found in runs.items():
        left.scatter(found.generated["recall"], found.generated["precision"], label=name)
    baselines = {tuple(found.baseline[name] for name in REQUIRED_METRICS): None for found in runs.values()}
    for place, (precision, recall, distance) in enumerate(baselines):  # a single one where all runs were measured alike
        left.scatter(recall, precision, marker="*", s=120, color="0.3", label=None if place else "real")
        right.axvline(distance, color="0.3", linestyle=":")
    left.set(xlabel="recall", ylabel="precision", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    left.legend(fontsize=8)
    values = [found.generated["frechet_distance"] for found in runs.values()]
    bars = right.barh(list(runs), values)
    right.bar_label(bars, [number(value) for value in values], fontsize=8, padding=2)
    right.invert_yaxis()
    right.set_title("Frechet distance; dotted: real", fontsize=10)
    figure.savefig(file)
