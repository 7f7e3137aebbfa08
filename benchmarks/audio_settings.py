"""How well generators of sounds learn the drums: class by class, in two feature spaces, and whether they clip.

    OMP_NUM_THREADS=1 uv run benchmarks/audio_settings.py drums [--seeds 3] [--log FILE]
    OMP_NUM_THREADS=1 uv run benchmarks/audio_settings.py spoken --data FOLDER_OF_DATASETS

The first space is the evaluation's own, a classifier of mel spectrograms with windows of 32 ms at 8 kHz, as the
generator of architecture istft has them, beside others of 128 ms; its discriminator has windows of 64 and 16 ms. The
second space shares no window with any of them: bands of windows of 100 ms and of 8 ms, and of these the principal
components.

Every run goes into the log as soon as it has ended, and what is there already is not trained again.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks
from trainings import cell, lines

import multigan
from multigan.evaluation import spaces
from multigan.evaluation.evaluator import Evaluator, open_reference
from multigan.evaluation.reference import Reference
from multigan.generation.generator import TrainedGenerator
from multigan.sounds import artifacts

DRUMS = {"conditional": True, "sampling_rate": 8000, "latent_dim": 60}
SPOKEN = {**DRUMS, "length": 8192}
# Name -> dataset, settings, settings of the model.
GROUPS: dict[str, dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "drums": {
        "istft, 1 minute": ("drums", {"steps": 500}, DRUMS),
        "istft, 3 minutes": ("drums", {"steps": 1500}, DRUMS),
        "istft, 20 minutes": ("drums", {"steps": 10_000}, DRUMS),
    },
    "spoken": {"istft, 40 minutes": ("fsdd", {"steps": 8_000}, SPOKEN)},
}
METRICS = "precision", "recall", "coverage", "frechet_distance"
SECONDS, BANDS, COMPONENTS = (0.1, 0.008), (40, 12), 24  # of the second space


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", choices=GROUPS)
    parser.add_argument("--only", help="only settings whose name has this")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(), help="where the folders of the datasets are")
    parser.add_argument("--log", type=Path, default=Path("audio_settings.jsonl"))
    parser.add_argument("--keep", type=Path, help="a folder for the runs; none are kept without it")
    options = parser.parse_args()
    evaluators: dict[str, tuple[Evaluator, Reference]] = {}
    for group in options.groups:
        chosen = {name: parts for name, parts in GROUPS[group].items() if not options.only or options.only in name}
        for seed in range(options.seeds):
            for name, (dataset, fields, model) in chosen.items():
                if not any(line["name"] == name and line["seed"] == seed for line in lines(options.log, group)):
                    place = dataset if dataset == "drums" else str(options.data / dataset)
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
    run: Path,
    evaluators: dict[str, tuple[Evaluator, Reference]],
) -> dict[str, Any]:
    """Train once, into a folder, and measure in both spaces; the evaluators of a dataset are opened once."""
    training = multigan.configure(
        "audio",
        dataset=dataset,
        seed=seed,
        output=str(run),
        tracker="none",
        sample_every=10**6,
        checkpoint_every=10**6,
        log_every=100,
        model=model,
        **fields,
    )
    before = time.process_time()  # not the clock: other programs may be running
    folder = multigan.train(training)
    seconds = time.process_time() - before
    generator = multigan.load(folder)
    key = f"{dataset} {generator.modality.encode_key()} {generator.modality.config.length}"
    if key not in evaluators:
        evaluators[key] = open_both(generator, dataset)
    evaluator, second = evaluators[key]
    evaluation = evaluator.evaluate(generator, evaluator.generated(generator), quick=True)
    waves = sounds(evaluator, generator)
    peaks = waves.abs().amax((1, 2))
    return {
        "steps": fields["steps"],
        "seconds": seconds,
        "first": evaluation.generated,
        "first_real": evaluation.baseline,
        "classes": evaluation.classes,
        "classes_real": evaluation.baseline_of_classes,
        "second": second.measure(evaluator.generated(generator, second.space)),
        "second_real": second.baseline,
        "peaks": {"median": peaks.median().item(), "most": peaks.max().item()},
        "artifacts": artifacts.measure(waves),
    }


def open_both(generator: TrainedGenerator, dataset: str) -> tuple[Evaluator, Reference]:
    """The evaluator of a dataset, and its real samples in the space of other windows."""
    evaluator = Evaluator.open(generator.modality, dataset)
    known = evaluator.pair.known
    starts, cpu = range(0, len(known), 256), torch.device("cpu")
    blocks = (known.samples(generator.modality, start, min(start + 256, len(known)), cpu) for start in starts)
    space = other_windows(blocks, generator.modality.config.sampling_rate or 0)
    arguments = evaluator.extractor, space, evaluator.modality, evaluator.pair, evaluator.count, 0
    return evaluator, open_reference(*arguments)


def other_windows(blocks: Iterator[Tensor], rate: int) -> spaces.Space:
    """Principal components of levels in bands: fine in frequency with long windows, fine in time with short ones.

    Every band of either kind counts as much as the other kind's together; levels are in decibels down to -60.

    Args:
        blocks: Real training sounds ``(B, C, T)``, in blocks.
        rate: Samples a second.
    """

    def levels(waves: Tensor) -> Tensor:
        parts = []
        for seconds, bands in zip(SECONDS, BANDS, strict=True):
            size = round(seconds * rate)
            window = torch.hann_window(size)
            spectrum = torch.stft(waves.mean(1), size, size // 2, window=window, return_complex=True)
            power = (spectrum.abs() * 2 / window.sum()).square()
            filters = melscale_fbanks(size // 2 + 1, 0.0, rate / 2, bands, rate)
            decibels = 10 * (torch.einsum("bft,fm->bmt", power, filters) + 1e-6).log10()
            parts.append((decibels / decibels[0].numel() ** 0.5).flatten(1))
        return torch.cat(parts, 1)

    known = torch.cat([levels(block) for block in blocks])
    mean = known.mean(0)
    directions = torch.linalg.svd(known - mean, full_matrices=False).Vh[:COMPONENTS]
    return spaces.Space("other windows", lambda waves: (levels(waves) - mean) @ directions.T, {"features": "windows"})


def sounds(evaluator: Evaluator, generator: TrainedGenerator) -> Tensor:
    """The generated sounds that were measured."""
    batches = generator.batches(evaluator.count, evaluator.seed, evaluator.asked_classes(generator))
    return torch.cat(list(batches))


def table(group: str, found: list[dict[str, Any]]) -> None:
    """Means over the seeds, and deviations where there are several; then the recall of each class."""
    print(f"\n{group}: the evaluation's own space, then other windows\n")
    print(f"| | seeds | CPU minutes | accuracy | {' | '.join(METRICS)} | {' | '.join(METRICS)} | peak | clipped |")
    print("|---" * (6 + 2 * len(METRICS)) + "|")
    groups = {name: [line for line in found if line["name"] == name] for name in [line["name"] for line in found]}
    for name, rows in groups.items():
        minutes = statistics.mean(row["seconds"] for row in rows) / 60
        peak, clipped = (
            max(row[kind][one] for row in rows) for kind, one in (("peaks", "most"), ("artifacts", "clipped"))
        )
        print(f"| {name} | {len(rows)} | {minutes:.1f} | {cells(rows, '')} | {peak:.2f} | {clipped:.0%} |")
    print(f"| real | {len(found)} | | {cells(found, '_real')} | | |")
    for metric in ("precision", "recall", "coverage"):
        print(f"\n{metric} of each class\n\n| | {' | '.join(found[0]['classes'])} |")
        print("|---" * (1 + len(found[0]["classes"])) + "|")
        for name, rows in [*groups.items(), ("real", found)]:
            side = "classes_real" if name == "real" else "classes"
            values = [cell([row[side][one][metric] for row in rows]) for one in found[0]["classes"]]
            print(f"| {name} | {' | '.join(values)} |")


def cells(rows: list[dict[str, Any]], side: str) -> str:
    spaces = (("first", ("class_accuracy", *METRICS)), ("second", METRICS))
    return " | ".join(cell([row[f"{space}{side}"][name] for row in rows]) for space, names in spaces for name in names)


if __name__ == "__main__":
    main()
