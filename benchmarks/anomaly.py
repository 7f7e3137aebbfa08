"""Whether the distance that inversion leaves tells what a generator was not trained on: area under the ROC curve.

    OMP_NUM_THREADS=1 uv run benchmarks/anomaly.py digits [--seeds 3] [--log FILE] [--keep FOLDER]
    OMP_NUM_THREADS=1 uv run benchmarks/anomaly.py xrays --data pneumoniamnist.npz

``digits`` trains on a part of nine of the built-in digits' classes, and tells the rest of these from the tenth.
``xrays`` trains on the normal chest X-rays of PneumoniaMNIST's training split, and tells normal from pneumonia in its
test split.
Beside the distances stand two baselines on the same pixels: what as many principal components as a latent has numbers
leave, and the distance from the nearest training picture. Every training goes into the log as soon as it is measured,
and what is there already is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from trainings import cell, lines

import multigan
from multigan.inversion.inverter import Inverter
from multigan.pictures.digits import digits

LEFT_OUT = 0, 1, 8
HELD_OUT = 4  # of the digits that are trained on, every such one is kept for the test
SMALL = {"generator_width": 16, "discriminator_width": 16}
DIGITS = {**SMALL, "resolution": 16}
XRAYS = {**SMALL, "resolution": 28, "rotation": 10.0, "scaling": 0.1, "shift": 0.05}
STEPS = 2500
TRAINED = 200  # training pictures that are inverted too
SCORES = "distance", "values", "features", "pca", "nearest"
MEDIANS = "training", "held_out", "unlike"  # of the distances


class Task(NamedTuple):
    """What is trained on, and what is told apart.

    Attributes:
        train: uint8 ``(N, H, W)``.
        test: uint8 ``(N, H, W)``.
        unlike: Which of these are of another kind, bool ``(N,)``.
        model: Settings of the model.
    """

    train: numpy.ndarray
    test: numpy.ndarray
    unlike: numpy.ndarray
    model: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", choices=["digits", "xrays"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="the .npz of the X-rays")
    parser.add_argument("--log", type=Path, default=Path("anomaly.jsonl"))
    parser.add_argument("--keep", type=Path, help="a folder for the runs, and of those that are there already")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for group in options.groups:
            tasks = {f"without {digit}": digits_without(digit) for digit in LEFT_OUT} if group == "digits" else {}
            for name, task in (tasks or {"pneumonia": xrays(options.data)}).items():
                if any(line["name"] == name and line["seed"] == seed for line in lines(options.log, group)):
                    continue
                with tempfile.TemporaryDirectory() as room:
                    home = options.keep or Path(room)
                    line = measured(task, seed, home / f"{group}-{name}-{seed}".replace(" ", "-"))
                with options.log.open("a") as log:
                    log.write(json.dumps({"group": group, "name": name, "seed": seed, **line}) + "\n")
    for group in options.groups:
        table(group, lines(options.log, group))


def digits_without(digit: int) -> Task:
    """Nine of the digits to train on, and the tenth to tell from them."""
    rows = digits()
    pictures = numpy.array(rows["image"], "uint8")
    left_out = numpy.array(rows["label"]) == digit
    known = numpy.flatnonzero(~left_out)
    test = numpy.concatenate([known[::HELD_OUT], numpy.flatnonzero(left_out)])
    return Task(pictures[numpy.setdiff1d(known, test)], pictures[test], left_out[test], DIGITS)


def xrays(file: Path) -> Task:
    """Normal chest X-rays to train on, and pneumonia to tell from them."""
    with numpy.load(file) as arrays:
        normal = arrays["train_images"][arrays["train_labels"][:, 0] == 0]
        return Task(normal, arrays["test_images"], arrays["test_labels"][:, 0] == 1, XRAYS)


def measured(task: Task, seed: int, folder: Path) -> dict[str, Any]:
    """Train, invert what is to be told apart, and measure how well each score does."""
    if not (folder / "model").exists():
        with tempfile.TemporaryDirectory() as room:
            numpy.savez(Path(room) / "data.npz", images=task.train)
            multigan.train(
                multigan.configure(
                    "image",
                    dataset=f"{room}/data.npz",
                    seed=seed,
                    output=str(folder),
                    tracker="none",
                    steps=STEPS,
                    sample_every=10**6,
                    checkpoint_every=10**6,
                    log_every=100,
                    model=task.model,
                )
            )
    generator = multigan.load(folder)
    train, test = (encoded(generator, pictures) for pictures in (task.train, task.test))
    inverter = Inverter(generator, seed, quiet=None, say=print)
    found, of_training = inverter.invert(test), inverter.invert(train[:TRAINED]).distances
    train, test = train.flatten(1), test.flatten(1)
    scores = {
        "distance": found.distances,
        "values": found.values,
        "features": found.features,
        "pca": left_by_components(train, test, generator.modality.config.latent_dim),
        "nearest": torch.cdist(test, train).min(1).values,
    }
    areas = {name: roc_auc_score(task.unlike, scores[name].numpy()) for name in SCORES}
    unlike = torch.from_numpy(task.unlike)
    medians = {
        "training": of_training.median().item(),
        "held_out": found.distances[~unlike].median().item(),
        "unlike": found.distances[unlike].median().item(),
    }
    return {"areas": areas, "medians": medians, "count": len(test)}


def encoded(generator: multigan.TrainedGenerator, pictures: numpy.ndarray) -> Tensor:
    """Pictures as samples of the generator."""
    from PIL import Image

    modality = generator.modality
    rows = [modality.encode({modality.config.image_column: Image.fromarray(picture)}) for picture in pictures]
    return modality.to_sample(torch.from_numpy(numpy.stack([row["real"] for row in rows if row])))


def left_by_components(train: Tensor, test: Tensor, count: int) -> Tensor:
    """The squared distance of samples from what so many principal components of others keep of them."""
    mean = train.mean(0)
    directions = torch.linalg.svd(train - mean, full_matrices=False).Vh[:count]
    centered = test - mean
    return (centered - centered @ directions.T @ directions).square().sum(1)


def table(group: str, found: list[dict[str, Any]]) -> None:
    """Means over the seeds, and deviations where there are several."""
    print(f"\n{group}\n\n| | seeds | {' | '.join(SCORES)} | {' | '.join(MEDIANS)} |")
    print("|---" * (2 + len(SCORES) + len(MEDIANS)) + "|")
    for name in dict.fromkeys(line["name"] for line in found):
        rows = [line for line in found if line["name"] == name]
        areas = " | ".join(cell([row["areas"][score] for row in rows]) for score in SCORES)
        medians = " | ".join(cell([row["medians"][kind] for row in rows]) for kind in MEDIANS)
        print(f"| {name} | {len(rows)} | {areas} | {medians} |")


if __name__ == "__main__":
    main()
