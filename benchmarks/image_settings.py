"""What the image recipes owe their quality to, and what they reach: precision, recall and coverage in two spaces.

    OMP_NUM_THREADS=1 uv run benchmarks/image_settings.py ablation [--seeds 3] [--steps 1500] [--log FILE]
    OMP_NUM_THREADS=1 uv run benchmarks/image_settings.py digits mnist --data FOLDER_OF_DATASETS

``ablation`` trains the class-conditional DCGAN on the digits with the settings that `image_cgan` had before,
with today's, and with one of today's replaced at a time. Each has about as many steps as it makes in the time of
``--steps`` of today's. The other groups train fixed
settings for some minutes.

Every run goes into the log as soon as it has ended, and what is there already is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from trainings import cell, lines

import multigan
from multigan.evaluation.evaluator import Evaluator

OLD = {
    "r1": 0.3,
    "r2": 0.3,
    "penalty_every": 1,
    "generator_learning_rate": 2e-4,
    "discriminator_learning_rate": 2e-4,
    "betas": (0.5, 0.99),
    "learning_rate_schedule": "constant",
    "ema_decay": 0.999,
    "batch_size": 64,
}
DIGITS = {"architecture": "dcgan", "generator_width": 32, "discriminator_width": 32}
AUGMENTED = {"rotation": 10.0, "scaling": 0.1, "shift": 0.05}
CONDITIONAL = {**DIGITS, "conditional": True}

# Name -> settings, settings of the model, steps in the time of one of the new settings: estimates from before. Timed in
# turns, the rows that differ were 0.45, 0.63 (batch), 0.60 (every step), 1.09, 1.10 (loss) and 0.97.
ABLATION: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "new": ({}, {}, 1.0),
    "before": (OLD, AUGMENTED, 0.37),
    "learning rate 2e-4": ({"generator_learning_rate": 2e-4, "discriminator_learning_rate": 2e-4}, {}, 1.0),
    "betas (0.5, 0.99)": ({"betas": (0.5, 0.99)}, {}, 1.0),
    "constant rate": ({"learning_rate_schedule": "constant"}, {}, 1.0),
    "batch 64": ({"batch_size": 64}, {}, 0.55),
    "penalties in every step": ({"penalty_every": 1}, {}, 0.7),
    "R1 alone": ({"r2": 0.0}, {}, 1.05),
    "weights 0.3": ({"r1": 0.3, "r2": 0.3}, {}, 1.0),
    "non-saturating loss": ({"objective": "non_saturating"}, {}, 1.0),
    "augmentation": ({}, AUGMENTED, 0.93),
}
# Name -> dataset, settings, settings of the model.
GOALS: dict[str, dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "digits": {
        "dcgan, 3 minutes": ("digits", {"steps": 4500, "objective": "non_saturating"}, DIGITS),
        "dcgan, relativistic, 3 minutes": ("digits", {"steps": 4500}, DIGITS),
        "styled, 3 minutes": ("digits", {"steps": 4500}, {**DIGITS, "architecture": "styled"}),
        "dcgan, conditional, 5 minutes": ("digits", {"steps": 7500}, CONDITIONAL),
        "styled, conditional, 5 minutes": ("digits", {"steps": 7500}, {**CONDITIONAL, "architecture": "styled"}),
    },
    "mnist": {
        "dcgan, conditional, 5 minutes": ("mnist", {"steps": 7500}, CONDITIONAL),
        "styled, conditional, 5 minutes": ("mnist", {"steps": 7500}, {**CONDITIONAL, "architecture": "styled"}),
    },
    "emoji": {
        "styled, 64 x 64, 5 minutes": (
            "pairs_emoji/google",
            {"steps": 4000},
            {**DIGITS, "architecture": "styled", "resolution": 64},
        ),
        "styled, 64 x 64, 20 minutes": (
            "pairs_emoji/google",
            {"steps": 16000},
            {**DIGITS, "architecture": "styled", "resolution": 64},
        ),
    },
    "cifar": {
        "styled, conditional, 5 minutes": (
            "cifar10",
            {"steps": 6000},
            {**CONDITIONAL, "architecture": "styled", "flip": True},
        ),
        "styled, conditional, 30 minutes": (
            "cifar10",
            {"steps": 18000},
            {**CONDITIONAL, "architecture": "styled", "flip": True},
        ),
    },
}
# In the time of 1,500 steps of DCGAN, by the ratios of benchmarks/architectures.py.
RATIOS = {"mlp": 0.21, "dcgan": 1.0, "styled": 1.11, "stylegan2": 10.74, "r3gan": 13.90}
GOALS["architectures"] = {
    name: ("digits", {"steps": round(1500 / ratio)}, {**DIGITS, "architecture": name}) for name, ratio in RATIOS.items()
}
METRICS = "precision", "recall", "coverage", "frechet_distance"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", choices=["ablation", *GOALS])
    parser.add_argument("--only", help="only settings whose name has this")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500, help="of the new settings in the ablation")
    parser.add_argument("--data", type=Path, default=Path(), help="where the folders of the datasets are")
    parser.add_argument("--log", type=Path, default=Path("image_settings.jsonl"))
    parser.add_argument("--keep", type=Path, help="a folder for the runs; none are kept without it")
    options = parser.parse_args()
    evaluators: dict[str, Evaluator] = {}
    for group in options.groups:
        if group == "ablation":
            chosen = {
                name: ("digits", {**fields, "steps": round(options.steps * ratio)}, {**CONDITIONAL, **model})
                for name, (fields, model, ratio) in ABLATION.items()
            }
        else:
            chosen = GOALS[group]
        chosen = {name: parts for name, parts in chosen.items() if not options.only or options.only in name}
        for seed in range(options.seeds):
            for name, (dataset, fields, model) in chosen.items():
                if not any(line["name"] == name and line["seed"] == seed for line in lines(options.log, group)):
                    place = dataset if dataset == "digits" else str(options.data / dataset)
                    with tempfile.TemporaryDirectory() as room:
                        run = (options.keep or Path(room)) / f"{group}, {name}, {seed}".replace(", ", "-")
                        line = figures(place, fields, model, seed, run, evaluators)
                    with options.log.open("a") as log:
                        log.write(json.dumps({"group": group, "name": name, "seed": seed, **line}) + "\n")
        table(group, lines(options.log, group))


def figures(
    dataset: str,
    fields: dict[str, Any],
    model: dict[str, Any],
    seed: int,
    output: Path,
    evaluators: dict[str, Evaluator],
) -> dict[str, Any]:
    """Train once, and measure in both spaces; the evaluators of a dataset are opened once."""
    training = multigan.configure(
        "image",
        dataset=dataset,
        seed=seed,
        output=str(output),
        tracker="none",
        sample_every=10**6,
        checkpoint_every=10**6,
        log_every=100,
        model=model,
        **fields,
    )
    folder = multigan.train(training)
    seconds = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    generator = multigan.load(folder)
    line = {"steps": fields["steps"], "seconds": seconds}
    for space, features in (("first", "auto"), ("second", "pca")):
        key = f"{features} {dataset} {generator.modality.encode_key()}"
        if key not in evaluators:
            evaluators[key] = Evaluator.open(generator.modality, dataset, features=features)
        evaluation = evaluators[key].evaluate(generator, evaluators[key].generated(generator))
        line |= {space: evaluation.generated, f"{space}_real": evaluation.baseline}
    return line


def table(group: str, found: list[dict[str, Any]]) -> None:
    """Means over the seeds, and deviations where there are several."""
    print(f"\n{group}: first space, then pixels (pca)\n")
    print(f"| | seeds | steps | {' | '.join(METRICS)} | memorization | {' | '.join(METRICS)} |")
    print("|---" * (4 + 2 * len(METRICS)) + "|")
    for name in dict.fromkeys(line["name"] for line in found):
        rows = [line for line in found if line["name"] == name]
        print(f"| {name} | {len(rows)} | {rows[0]['steps']} | {cells(rows, '')} |")
    print(f"| real | {len(found)} | | {cells(found, '_real')} |")


def cells(rows: list[dict[str, Any]], side: str) -> str:
    spaces = (("first", (*METRICS, "memorization")), ("second", METRICS))
    return " | ".join(cell([row[f"{space}{side}"][name] for row in rows]) for space, names in spaces for name in names)


if __name__ == "__main__":
    main()
