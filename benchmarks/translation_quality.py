"""How good image-to-image models are on real data, beside no network, L1 alone, and real data.

    OMP_NUM_THREADS=1 uv run benchmarks/translation_quality.py --data FOLDER_OF_DATASETS [--only TEXT] [--log FILE]

Each task is trained twice: adversarially, and the same network with L1 alone for about as long. Held out are the test
splits of CIFAR-10 and MNIST, and every tenth pair of the folders of pairs. Measured are the Frechet distance in the
features of an untrained network and in the principal components of the pictures averaged to 8 x 8, and L1 and PSNR.
Every task goes into the log as soon as it has been measured, and what is there already is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import multigan
from multigan.evaluation.evaluator import Evaluator
from multigan.generation.generator import TrainedGenerator

COUNT = 5000  # held-out pictures, at most
SMALL = {"resolution": 32, "patch_layers": 2}
RATES = dict.fromkeys(("generator_learning_rate", "discriminator_learning_rate", "pretraining_learning_rate"), 1e-3)
METRICS = ("frechet_distance", "kernel_distance", "recall", "l1", "psnr")


class Setting(NamedTuple):
    """A task on a dataset.

    Attributes:
        dataset: The folder, below that of all datasets, or two folders of pairs; or a built-in one.
        model: Settings of the model.
        fields: Settings of the training.
        l1_steps: Steps of the same network with L1 alone; 0 for a task without.
    """

    dataset: str | tuple[str, str]
    model: dict[str, Any]
    fields: dict[str, Any]
    l1_steps: int


SETTINGS = {
    "CIFAR-10, enlarge x4": Setting(
        "cifar10",
        {"task": "enlarge", "blocks": 4, **SMALL},
        {"pretraining_steps": 300, "steps": 1200, "batch_size": 16, **RATES},
        3000,
    ),
    "CIFAR-10, colorize": Setting(
        "cifar10", {"task": "colorize", "l1": 1.0, **SMALL}, {"steps": 1500, "batch_size": 16}, 3500
    ),
    "MNIST, inpaint 14 x 14 of 28 x 28": Setting(
        "mnist", {"task": "inpaint", "hole": 0.5, **SMALL}, {"steps": 1500, "batch_size": 16}, 3500
    ),
    "emoji, Noto to Twemoji": Setting(
        ("pairs_emoji/google", "pairs_emoji/twitter"), {"task": "paired"}, {"steps": 4000, "batch_size": 8}, 6000
    ),
    "photographs, edges to photographs": Setting(
        ("photos/edges", "photos/photo"), {"task": "paired"}, {"steps": 4000, "batch_size": 8}, 6000
    ),
    "digits, styled digits, without pairs": Setting(
        "styled-digits",
        {"task": "unpaired", "generator_width": 16, "blocks": 3, **SMALL},
        {"steps": 2000, "batch_size": 8},
        0,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(), help="where the folders of the datasets are")
    parser.add_argument("--only", default="", help="only tasks whose name has this")
    parser.add_argument("--log", type=Path, default=Path("translation_quality.jsonl"))
    parser.add_argument("--keep", type=Path, help="a folder for the runs; none are kept without it")
    options = parser.parse_args()
    known = [json.loads(line) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    for name, setting in SETTINGS.items():
        if options.only in name and not any(line["name"] == name for line in known):
            with tempfile.TemporaryDirectory() as room:
                folder = options.keep / name.replace(" ", "_") if options.keep else Path(room)
                known.append({"name": name, **measured(setting, options.data, folder, Path(room))})
            with options.log.open("a") as log:
                log.write(json.dumps(known[-1]) + "\n")
    for space in ("random", "pca"):
        print(f"\nfeatures {space}\n\n| | | {' | '.join(METRICS)} |\n|---{'|---' * (1 + len(METRICS))}|")
        for line in known:
            for column, values in line[space].items():
                cells = (f"{values[metric]:.3g}" if metric in values else "" for metric in METRICS)
                print(f"| {line['name']} | {column} | {' | '.join(cells)} |")


def measured(setting: Setting, data: Path, folder: Path, room: Path) -> dict[str, Any]:
    """Train and measure in both spaces: ``{space: {column: metrics}}``, and the seconds of both trainings."""
    dataset = setting.dataset if isinstance(setting.dataset, str) else pairs_folder(data, setting.dataset, room)
    if isinstance(setting.dataset, str) and (data / dataset).is_dir():
        dataset = str(data / dataset)
    adversarial, seconds = trained(dataset, setting.model, setting.fields, folder / "adversarial")
    result: dict[str, Any] = {"seconds": seconds}
    near = None
    if setting.l1_steps:
        alone = {**setting.fields, "steps": 0, "pretraining_steps": setting.l1_steps}
        near, result["l1_seconds"] = trained(dataset, setting.model, alone, folder / "l1")
    for space in ("random", "pca"):
        evaluator = Evaluator.open(adversarial.modality, dataset, count=COUNT, features=space)
        if near is not None:
            evaluator.add_reference_model(near, adversarial)
        found = evaluator.evaluate(adversarial, evaluator.generated(adversarial))
        result[space] = {"generated": found.generated, **found.references, "real": found.baseline}
    return result


def trained(
    dataset: str, model: dict[str, Any], fields: dict[str, Any], folder: Path
) -> tuple[TrainedGenerator, float]:
    """A trained generator, and the seconds that it took."""
    config = multigan.configure(
        "image-to-image",
        dataset=dataset,
        output=str(folder),
        tracker="none",
        sample_every=10**6,
        checkpoint_every=10**6,
        model=model,
        **fields,
    )
    multigan.train(config)
    seconds = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    return multigan.load(folder), seconds


def pairs_folder(data: Path, sides: tuple[str, str], room: Path) -> str:
    """A folder with ``train/A``, ``train/B``, ``test/A`` and ``test/B``: links to files, every tenth to test with."""
    names = sorted(file.name for file in (data / sides[0]).iterdir())
    for number, name in enumerate(names):
        for letter, side in zip("AB", sides, strict=True):
            link = room / "pairs" / ("train" if number % 10 else "test") / letter / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((data / side / name).resolve())
    return str(room / "pairs")


if __name__ == "__main__":
    main()
