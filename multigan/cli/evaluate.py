"""`multigan evaluate`: how good a model is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from multigan.cli.writing import unwritable

if TYPE_CHECKING:
    from multigan.evaluation.evaluator import Evaluator
    from multigan.evaluation.extraction import FeatureSet
    from multigan.evaluation.report import Evaluation
    from multigan.generation.generator import TrainedGenerator

PAIRS = 16  # of a sample and the training sample that is nearest to it, in the picture
NO_WARNINGS = (
    "no warnings: precision, recall and coverage are at least half of the baseline; this does not prove that samples "
    "look right or that nothing is missing, so look at them too"
)
SECOND_GENERATED, SECOND_REAL = "generated, features pca", "real, features pca"  # on the card
AUGMENTATION = "augmentation"  # on the card, too
TIMEOUT = 3600  # seconds that a process waits for the others


@click.command()
@click.argument("model")
@click.option("--modality", help="For a model of a modality that is not installed: package.module:Class.")
@click.option("--dataset", help="What to compare with. [default: what it was trained on]")
@click.option("--subset", help="The configuration of a hub dataset that has several.")
@click.option("--split", help="The split it was trained on. [default: as in training]")
@click.option(
    "--held_out",
    help="A split it was not trained on. [default: as in training, else test or validation, else half of the training "
    "data]",
)
@click.option(
    "--skip_corrupt", is_flag=True, help="Leave out real samples that cannot be used. [default: as in training]"
)
@click.option(
    "-n", "count", type=int, default=10_000, show_default=True, help="Number of generated and of real samples, at most."
)
@click.option(
    "--features",
    default="auto",
    show_default=True,
    help="classifier (trained on the dataset's labels), random, pca, samples, inception, or an encoder of transformers "
    "by name or folder; auto is classifier where there are labels, else random, or samples where the modality has no "
    "feature network.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of the generated samples and of the choice of real ones.",
)
@click.option(
    "--reference",
    help="Another run, measured beside it: for models that take inputs, the same network trained with L1 alone.",
)
@click.option(
    "--augmentation",
    is_flag=True,
    help="Also train classifiers on 5, 20, 100 and all real samples per class, with and without generated ones: do "
    "those help? Takes minutes.",
)
@click.option("--out", type=click.Path(path_type=Path), help="A folder for the results. [default: the run's own]")
def evaluate(
    model: str,
    modality: str | None,
    reference: str | None,
    augmentation: bool,
    out: Path | None,
    count: int,
    features: str,
    seed: int,
    **asked: Any,
) -> None:
    """Measure a model against real data, each metric beside the score of as many held-out real samples.

    A model that takes inputs is given those of the held-out samples; its outputs also stand beside what one could show
    without a network, and are compared with the truth.

    MODEL is a run folder, a model folder, a hub id (owner/name[@revision]), or starter/image. evaluation.json,
    evaluation.png and a picture of the samples that are closest to training samples go into the run folder, and the
    metrics onto its card.

    \b
    multigan evaluate runs/digits
    multigan evaluate starter/image --out generated/evaluation
    multigan evaluate runs/cats --features inception -n 50000
    multigan evaluate runs/colors --reference runs/colors_l1
    accelerate launch -m multigan evaluate runs/cats
    """
    from accelerate import PartialState

    from multigan.engine import launch
    from multigan.evaluation import augmentation as augmented
    from multigan.evaluation.evaluator import Evaluator, check_reference_model
    from multigan.generation.generator import load
    from multigan.generation.model_folder import find

    launch.check_launch(TIMEOUT)
    generator = load(model, modality)
    if augmentation:
        augmented.check(generator)
    other = None if reference is None else load(reference, modality)
    if other is not None:
        check_reference_model(other, generator)
    data = data_of(generator, model, **asked)
    folder = writable_folder(model, out)  # what is wrong is said before the work, not after it
    generator.network.to(PartialState().device)
    evaluator = Evaluator.open(generator.modality, **data, count=count, features=features, seed=seed)
    if augmentation:
        augmented.real_labels(evaluator)
    if other is not None:
        other.network.to(PartialState().device)
        evaluator.add_reference_model(other, generator)
    found = evaluator.generated(generator)
    second = evaluator.measure_second(generator)
    added = augmented.measure(evaluator, generator, partial(click.echo, err=True)) if augmentation else {}
    if not PartialState().is_main_process:
        return
    evaluation = evaluator.evaluate(generator, found)
    evaluation.reference_model, evaluation.second, evaluation.augmentation = reference, second, added
    click.echo(show(evaluation))
    if folder is None:
        click.echo("not written: name a folder with --out")
        return
    with unwritable(folder):
        files = write(evaluation, evaluator, generator, found, folder)
        if Path(model).is_dir():
            write_card(generator, evaluation, find(model))
    click.echo(f"\nwrote: {', '.join(file.name for file in files)} into {folder}")


def writable_folder(model: str, out: Path | None) -> Path | None:
    """Where the results go: the folder asked for, else the model's own; None for a model that has none here.

    Raises:
        UserError: It cannot be written.
    """
    folder = out or (Path(model) if Path(model).is_dir() else None)
    if folder:
        with unwritable(folder):
            folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_of(
    generator: TrainedGenerator,
    model: str,
    dataset: str | None,
    subset: str | None,
    split: str | None,
    held_out: str | None,
    skip_corrupt: bool,
) -> dict[str, Any]:
    """Which data to compare with, for `Evaluator.open`: that of the training, unless another is named.

    Raises:
        UserError: Nothing is known of the training.
    """
    from multigan.errors import UserError

    known = generator.training
    if dataset is None and "dataset" not in known:
        raise UserError(f"{model} does not say what it was trained on: give a --dataset")
    return {
        "dataset": dataset or known["dataset"],
        "subset": subset or (None if dataset else known.get("subset")),
        "split": split or known.get("split", "train"),
        "held_out": held_out or (None if dataset else known.get("held_out")),
        "skip_corrupt": skip_corrupt or bool(known.get("rows_left_out")),
    }


def show(evaluation: Evaluation) -> str:
    """The report that is printed."""
    from multigan.evaluation import augmentation
    from multigan.evaluation.report import REFERENCE_MODEL, TRIVIAL

    protocol = evaluation.protocol
    head = (
        f"{protocol['count']:,} samples of each, features {protocol['features']}; real: {protocol['held_out']} of "
        f"{protocol['dataset']}, the same number of them\n"
    )
    parts = [head, evaluation.table()]
    if TRIVIAL in evaluation.references:
        parts.append(f"\n{TRIVIAL}: what one could show of the same inputs without a network")
    if evaluation.reference_model is not None:
        parts.append(f"\n{REFERENCE_MODEL}: {evaluation.reference_model}")
    if evaluation.second:
        parts += ["\nin a second space, not trained on labels (features pca):", evaluation.second_table()]
    if evaluation.classes:
        parts += ["\nof each class, generated / real:", evaluation.class_table()]
    added = evaluation.augmentation
    if added:
        parts += [
            f"\naugmentation: accuracy of classifiers on {added['protocol']['held_out']:,} held-out real samples, "
            f"mean and deviation of {len(added['protocol']['seeds'])} seeds",
            augmentation.table(added),
        ]
    parts += [f"\nnote: {line}" for line in (*evaluation.warnings, *(added["notes"] if added else ()))]
    said = [*(evaluation.verdict or [NO_WARNINGS]), *(augmentation.verdict(added) if added else ())]
    parts += [f"\nverdict: {line}" for line in said]
    parts += [f"\nnot judged: {line}" for line in evaluation.limits]
    return "\n".join(parts)


def write(
    evaluation: Evaluation, evaluator: Evaluator, generator: TrainedGenerator, found: FeatureSet, folder: Path
) -> list[Path]:
    """Write the metrics, their plots, and the samples closest to training samples; return the files."""
    from multigan.evaluation import plots

    figures = evaluation.write(folder)
    plots.evaluation(evaluation, evaluator.reference.real.features, found.features, folder / "evaluation.png")
    pairs = evaluator.nearest_training(generator, found, min(PAIRS, len(found.features)))
    labels = ["generated", "training"] * (len(pairs) // 2)
    pictures = [folder / "evaluation.png"]
    if evaluation.augmentation:
        pictures.append(folder / "augmentation.png")
        plots.augmentation(evaluation.augmentation, pictures[1])
    return [figures, *pictures, *evaluator.modality.preview(pairs, folder / "closest", labels).files]


def write_card(generator: TrainedGenerator, evaluation: Evaluation, folder: Path) -> None:
    """Write the metrics onto the card of a model, replacing earlier ones."""
    from multigan.evaluation import augmentation
    from multigan.evaluation.report import REFERENCE_MODEL, TRIVIAL

    figures = {
        **{name: line(values) for name, values in evaluation.columns.items()},
        "measured": ", ".join(f"{key} {value}" for key, value in evaluation.protocol.items()),
    }
    second = {}
    if evaluation.second:
        second = {
            SECOND_GENERATED: line(evaluation.second["generated"]),
            SECOND_REAL: line(evaluation.second["baseline"]),
        }
    added = {AUGMENTATION: augmentation.line(evaluation.augmentation)} if evaluation.augmentation else {}
    old = (*figures, TRIVIAL, REFERENCE_MODEL, SECOND_GENERATED, SECOND_REAL, AUGMENTATION)
    facts = {key: value for key, value in generator.training.items() if key not in old}
    generator.training = facts | figures | second | added
    generator.write_card(folder)


def line(figures: dict[str, Any]) -> str:
    """Metrics in one line."""
    from multigan.evaluation.report import number, words

    return ", ".join(f"{words(name)} {number(value)}" for name, value in figures.items())
