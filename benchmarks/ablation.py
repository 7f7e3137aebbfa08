"""What each stabilizer does for each objective: on points, where modes can be counted, and on the digits.

    OMP_NUM_THREADS=1 uv run --with ./examples/ring benchmarks/ablation.py --data ring [--steps 1000] [--seeds 3]
    OMP_NUM_THREADS=1 uv run --with ./examples/ring benchmarks/ablation.py --data grid
    OMP_NUM_THREADS=1 uv run --with ./examples/ring benchmarks/ablation.py --data digits --seeds 1

ring is eight Gaussians on a circle, grid is 25 on a square lattice. A point is good within four standard deviations of
a mode, and a mode is found by a quarter of the points that it should have: each cell has the modes found and the share
of good points, means over the seeds, after as many steps each. Points spread evenly over the square of the grid are
good by half. digits trains a class-conditional DCGAN of width 16, and measures as
`multigan evaluate` does.
"""

import argparse
import contextlib
import functools
import io
import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

import datasets
import numpy
import torch
from multigan_ring import Ring

from multigan import configure, load
from multigan.engine.health import DivergedError
from multigan.errors import UserError
from multigan.evaluation.evaluator import Evaluator
from multigan.modalities.image import Image, ImageConfig, digits
from multigan.training import run

OBJECTIVES = ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein", "relativistic")
WITH_TARGETS = ("non_saturating", "minimax", "least_squares")
PENALTY = {"ring": 0.02, "grid": 0.02, "digits": 0.3}  # in proportion to how steep a discriminator of such samples is
POINTS = 2500
SHOWN = ("class_accuracy", "recall", "coverage", "frechet_distance")
DEVIATION = {"ring": 0.05, "grid": 0.04}
STEPS = {"ring": 1000, "grid": 3000, "digits": 600}
RATES = {"ring": 1e-3, "grid": 2e-3, "digits": 2e-4}  # of both players
BATCHES = {"ring": 256, "grid": 128, "digits": 64}
# What the digits are trained with besides: not the defaults of today, which benchmarks/image_settings.py takes apart.
ON_DIGITS = {
    "generator_learning_rate": RATES["digits"],
    "discriminator_learning_rate": RATES["digits"],
    "batch_size": BATCHES["digits"],
    "betas": (0.5, 0.99),
    "learning_rate_schedule": "constant",
    "ema_decay": 0.999,
    "penalty_every": 1,
    "r1": 0.0,
    "r2": 0.0,
}
AUGMENTATION = {"rotation": 10.0, "scaling": 0.1, "shift": 0.05}


def stabilizers(data: str, steps: int) -> dict[str, dict[str, Any]]:
    """Settings by name."""
    weight = PENALTY[data]
    found: dict[str, dict[str, Any]] = {
        "nothing": {},
        "R1": {"r1": weight},
        "R1 and R2": {"r1": weight, "r2": weight},
        "R1 and R2, every fourth time": {"r1": weight, "r2": weight, "penalty_every": 4},
        "WGAN-GP": {"wgan_gp": 5 * weight},
        "spectral norm": {"spectral_norm": True},
        "instance noise": {"instance_noise": 0.2, "instance_noise_steps": steps},
        "LeCam": {"lecam": 0.1},
        "historical averaging": {"historical_averaging": 1e-3},
        "one-sided label smoothing": {"label_smoothing": 0.1},
        "two-sided label smoothing": {"label_smoothing": 0.1, "label_smoothing_fake": 0.1},
        "three discriminator steps": {"discriminator_steps": 3},
        "a slower generator": {"generator_learning_rate": RATES[data] / 4},
        "cosine rates": {"learning_rate_schedule": "cosine", "learning_rate_steps": steps},
        "no moving average": {"ema_decay": 0.0},
    }
    if data == "digits":
        off = dict.fromkeys(AUGMENTATION, 0.0)
        both = {"r1": weight, "r2": weight}
        found |= {
            "R1, R2 and augmentation": {**both, "model": AUGMENTATION},
            "R1, R2 and adaptive augmentation": {
                **both,
                "model": AUGMENTATION,
                "ada_target": 0.6,
                "ada_samples": 20_000,
            },
            "R1, R2, augmentation and LeCam": {**both, "model": AUGMENTATION, "lecam": 0.1},
        }
        found = {name: {"model": off, **settings} for name, settings in found.items()}
    return found


def modes(data: str) -> numpy.ndarray:
    """Their places, ``(M, 2)``."""
    if data == "ring":
        angles = numpy.arange(8) * numpy.pi / 4
        return numpy.stack([numpy.cos(angles), numpy.sin(angles)], 1)
    return numpy.array(list(itertools.product(numpy.linspace(-1, 1, 5), repeat=2)))


def points(data: str) -> datasets.Dataset:
    """Ten thousand around the modes in turn."""
    random, places = numpy.random.default_rng(0), modes(data)
    made = places[numpy.arange(10_000) % len(places)] + DEVIATION[data] * random.standard_normal((10_000, 2))
    return datasets.Dataset.from_dict({"x": made[:, 0], "y": made[:, 1]})


def found(made: torch.Tensor, data: str) -> tuple[int, float]:
    """Modes found and the share of good points, of ``(N, 2)``."""
    nearest = torch.cdist(made.double(), torch.from_numpy(modes(data))).min(1)
    good = nearest.values < 4 * DEVIATION[data]
    count = len(modes(data))
    counts = torch.bincount(nearest.indices[good], minlength=count)
    return int((counts >= len(made) / count / 4).sum()), good.double().mean().item()


def on_points(data: str, objective: str, settings: dict[str, Any], steps: int, seeds: int) -> str:
    """A cell of the table: modes found and the share of good points, means over the seeds."""
    results = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as room:
            rates = {f"{player}_learning_rate": RATES[data] for player in ("generator", "discriminator")}
            options = {"batch_size": BATCHES[data], **rates, "r1": 0.0, "r2": 0.0, **settings, "objective": objective}
            folder = trained("multigan_ring:Ring", room, dataset=data, steps=steps, seed=seed, **options)
            if folder is None:
                results.append((0, 0.0))
                continue
            model = load(folder, "multigan_ring:Ring")
            results.append(found(torch.cat(list(model.batches(POINTS, seed=1))), data))
    mean = statistics.mean(share for _, share in results)
    return f"{statistics.mean(count for count, _ in results):.1f}, {mean:.0%}"


@functools.cache
def evaluator() -> Evaluator:
    """Of the digits, of whatever generator."""
    modality = Image(ImageConfig(conditional=True))
    modality.fit(digits())
    return Evaluator.open(modality, "digits", quiet=True)


def on_digits(data: str, objective: str, settings: dict[str, Any], steps: int, seeds: int) -> str:
    """A cell of the table: the metrics that are `SHOWN`, means over the seeds that did not diverge."""
    model = {"architecture": "dcgan", "conditional": True, "generator_width": 16, "discriminator_width": 16}
    model |= settings["model"]
    rows = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as room:
            options = {**ON_DIGITS, **settings, "model": model, "objective": objective}
            folder = trained("image", room, dataset=data, steps=steps, seed=seed, **options)
            if folder is not None:
                generator = load(folder)
                rows.append(evaluator().reference.measure(evaluator().generated(generator)))
    lost = f" ({seeds - len(rows)} of {seeds} diverged)" if len(rows) < seeds else ""
    return (shown({name: statistics.mean(row[name] for row in rows) for name in SHOWN}) if rows else "") + lost


def shown(figures: dict[str, float]) -> str:
    """A cell of the digits' metrics."""
    return ", ".join(f"{figures[name]:.2f}" if figures[name] < 10 else f"{figures[name]:.0f}" for name in SHOWN)


def trained(modality: str, room: str, **settings: Any) -> Path | None:
    """The folder of a run; None where it diverged."""
    quiet = {"tracker": "none", "sample_every": 10**6, "checkpoint_every": 500, "log_every": 500}
    training = configure(modality, output=str(Path(room) / "run"), **{**quiet, **settings})
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return run.train(training)
        except UserError as error:
            if not isinstance(error.__context__, DivergedError):
                raise
            return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("ring", "grid", "digits"), default="ring")
    parser.add_argument("--steps", type=int, help=f"default: {STEPS}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--objective", choices=OBJECTIVES, action="append", help="may be given again; default: all")
    options = parser.parse_args()
    data, chosen, steps = options.data, options.objective or list(OBJECTIVES), options.steps or STEPS[options.data]
    measure = on_digits if data == "digits" else on_points
    if data == "digits":
        print(f"digits: {', '.join(SHOWN)}; real ones held out: {shown(evaluator().baseline)}; {steps} steps\n")
    else:
        Ring.builtin_datasets = {"ring": lambda: points("ring"), "grid": lambda: points("grid")}
        print(f"{data}: modes found of {len(modes(data))}, good points; {steps} steps\n")
    print(f"| | {' | '.join(chosen)} |\n|---|{'---|' * len(chosen)}")
    for name, settings in stabilizers(data, steps).items():
        cells = []
        for objective in chosen:
            fits = "label smoothing" not in name or objective in WITH_TARGETS
            cells.append(measure(data, objective, settings, steps, options.seeds) if fits else "")
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
