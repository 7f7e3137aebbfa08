"""Whether generated samples help a classifier that has few real ones.

The same classifier is trained on k real samples of each class, on these and generated ones, and on generated ones
alone, and tested on held-out real samples. Ravuri and Vinyals 2019, arXiv:1905.10887, train on generated samples alone
and on both, with all real ones.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor
from tqdm import tqdm

from multigan.errors import UserError
from multigan.evaluation import features
from multigan.evaluation.classifier import Classifier, fit
from multigan.evaluation.held_out import Rows
from multigan.generation.generator import TrainedGenerator

if TYPE_CHECKING:
    from multigan.evaluation.evaluator import Evaluator

SIZES = ("5", "20", "100", "all")  # real samples of each class
SEEDS = 3
STEPS, BATCH_SIZE = 400, 64  # of every classifier
REAL, BOTH, GENERATED = ARMS = ("real", "real and generated", "generated")
TIMED = 10  # steps that are timed to say how long all will take
CLEAR = 4.3  # standard errors of a clear difference: 95 % of Student's t distribution for three seeds
# What the figures mean, which is easily mistaken.
SHARED = (
    "the generator has seen all training samples, also where the classifier is given few: this measures what sharing "
    "the model instead of the data is worth, not what a generator trained on so few would give"
)
SEEN = "the generator was trained on the held-out samples too, which favours generated samples"


class Source(NamedTuple):
    """Where the samples of a batch come from.

    Attributes:
        total: Samples in all.
        read: Their numbers ``(b,)`` -> samples ``(b, *S)`` and class numbers ``(b,)``, on the device.
    """

    total: int
    read: Callable[[numpy.ndarray], tuple[Tensor, Tensor]]


def check(model: TrainedGenerator) -> None:
    """Refuse a generator of which no class can be asked for.

    Raises:
        UserError: It takes inputs, has no classes, or several for a sample, or its modality has no classifier.
    """
    if model.modality.takes_inputs:
        raise UserError("--augmentation is for samples from noise, and this model makes something of inputs")
    if not model.classes:
        raise UserError(
            "--augmentation needs samples of known classes, and this model has none: train one with "
            "--model.conditional true"
        )
    if model.combinations:
        raise UserError("--augmentation is for samples of one class each, and those of this model can have several")
    with torch.random.fork_rng(devices=[]):
        if model.modality.classifier() is None:
            raise UserError(f"--augmentation needs a classifier, and modality {model.name!r} has none")


def real_labels(evaluator: Evaluator) -> Tensor:
    """The class numbers of the training samples, ``(N,)``.

    Raises:
        UserError: The dataset has none.
    """
    labels = evaluator.pair.every.labels
    if labels is None or evaluator.pair.held_out.labels is None:
        raise UserError("--augmentation needs real samples of known classes, and this dataset has no labels")
    return labels


def measure(evaluator: Evaluator, model: TrainedGenerator, say: Callable[[str], object]) -> dict[str, Any]:
    """The accuracy of the classifiers, all functions of the evaluator's seed. Every process of a launch must call it.

    Args:
        evaluator: Its training samples are the real ones, and it is tested on those that it holds out.
        model: It makes as many samples as were asked for, the classes in turn.
        say: Called with a line for the user, in the main process.

    Returns:
        ``accuracy`` by size and arm, a list over the seeds; ``protocol``, and ``notes``; as plain values.

    Raises:
        UserError: As `check` and `real_labels`.
    """
    check(model)
    labels = real_labels(evaluator)
    state = PartialState()
    sizes, notes = possible_sizes(labels, model.classes)
    mine = range(evaluator.seed, evaluator.seed + SEEDS)[state.process_index :: state.num_processes]
    trainings = len(mine) * (2 * len(sizes) + 1)
    if state.is_main_process:
        seconds = trainings * STEPS * seconds_of_step(evaluator)
        say(f"augmentation: {SEEDS * (2 * len(sizes) + 1)} classifiers, about {tqdm.format_interval(seconds)}")
    with tqdm(
        total=trainings, desc="augmentation", unit=" classifiers", disable=evaluator.extractor.quiet, leave=False
    ) as bar:
        found = [(seed, of_seed(evaluator, model, labels, sizes, seed, bar.update)) for seed in mine]
    every = [accuracies for _, accuracies in sorted(gather_object(found), key=lambda pair: pair[0])]
    halved = evaluator.protocol["held_out"].startswith("half of")
    return {
        "accuracy": {size: {arm: [one[size][arm] for one in every] for arm in ARMS} for size in sizes},
        "protocol": {
            "real": len(labels),
            "generated": evaluator.asked,
            "held_out": len(evaluator.pair.held_out),
            "steps": STEPS,
            "batch_size": BATCH_SIZE,
            "seeds": [evaluator.seed + number for number in range(SEEDS)],
        },
        "notes": [SHARED, *([SEEN] if halved else []), *notes],
    }


def possible_sizes(labels: Tensor, classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The sizes of which each class has as many samples, and what is said of the others."""
    counts = labels.bincount(minlength=len(classes)).tolist()
    least = min(counts)
    sizes = [size for size in SIZES if size == "all" or int(size) <= least]
    left_out = [size for size in SIZES if size not in sizes]
    if not left_out:
        return sizes, []
    name = classes[counts.index(least)]
    return sizes, [f"left out: {', '.join(left_out)} real samples of each class, as class {name!r} has {least:,}"]


def of_seed(
    evaluator: Evaluator,
    model: TrainedGenerator,
    labels: Tensor,
    sizes: Sequence[str],
    seed: int,
    done: Callable[[], object],
) -> dict[str, dict[str, float]]:
    """The accuracy by size and arm for one seed, which decides the samples, the weights and the batches."""
    asked = torch.arange(evaluator.asked) % len(model.classes)
    samples, of_them = features.labelled(model, asked, seed)
    device = evaluator.extractor.device
    generated = Source(len(samples), lambda numbers: (samples[numbers].to(device), of_them[numbers].to(device)))

    def tested(*sources: Source) -> float:
        classifier = train(evaluator, sources, seed, STEPS)
        done()
        return features.held_out_accuracy(classifier, evaluator.modality, evaluator.pair.held_out, device)

    alone = tested(generated)
    found = {}
    for size in sizes:
        real = real_source(evaluator, labels, size, seed)
        found[size] = {REAL: tested(real), BOTH: tested(real, generated), GENERATED: alone}
    return found


def real_source(evaluator: Evaluator, labels: Tensor, size: str, seed: int) -> Source:
    """So many training samples of each class, drawn by the seed; those of a larger size include those of a smaller."""
    modality, every, device = evaluator.modality, evaluator.pair.every, evaluator.extractor.device
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    if size != "all":
        order = torch.cat([order[labels[order] == number][: int(size)] for number in range(int(labels.max()) + 1)])

    def read(numbers: numpy.ndarray) -> tuple[Tensor, Tensor]:
        rows = order[numbers]
        samples = Rows(every.data, every.numbers[rows.numpy()]).samples(modality, 0, len(rows), device)
        return samples, labels[rows].to(device)

    return Source(len(order), read)


def batches(sources: Sequence[Source], seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches with as many samples of each source: real ones are not lost among thousands of generated ones.

    Each follows from the seed and the number of its step alone.
    """
    for step in range(steps):
        random = numpy.random.Generator(numpy.random.Philox(key=[seed, step]))
        parts = [source.read(random.integers(source.total, size=BATCH_SIZE // len(sources))) for source in sources]
        samples, labels = zip(*parts, strict=True)
        yield torch.cat(samples), torch.cat(labels)


def train(evaluator: Evaluator, sources: Sequence[Source], seed: int, steps: int) -> Classifier:
    """Train the modality's classifier for so many steps, however many samples there are."""
    device, classes = evaluator.extractor.device, len(features.class_names(evaluator.modality))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(features.network_of(evaluator.modality)(), classes).to(device)
        example, _ = next(batches(sources, seed, 1))
        network(example[:2])  # initializes the last layer
    return fit(network, batches(sources, seed, steps), steps)


def seconds_of_step(evaluator: Evaluator) -> float:
    """How long a step takes here."""
    run = partial(train, evaluator, [real_source(evaluator, real_labels(evaluator), "all", 0)], 0)
    run(1)  # warms up
    start = time.perf_counter()
    run(TIMED)
    return (time.perf_counter() - start) / TIMED


# --- what people read ---


def mean_and_deviation(values: Sequence[float]) -> str:
    """Of several seeds, for people."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def title(found: dict[str, Any], size: str) -> str:
    """How many real samples there are."""
    return size if size != "all" else f"all {found['protocol']['real']:,}"


def table(found: dict[str, Any]) -> str:
    """What `measure` returned, as lines of a table."""
    rows = [["real per class", *ARMS]]
    for size, arms in found["accuracy"].items():
        rows.append([title(found, size), *(mean_and_deviation(arms[arm]) for arm in ARMS)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{'<' if at == 0 else '>'}{widths[at]}}" for at, cell in enumerate(row)) for row in rows
    )


def line(found: dict[str, Any]) -> str:
    """The same in one line, for the card."""
    parts = [
        f"{title(found, size)} per class {mean_and_deviation(arms[REAL])}, with generated "
        f"{mean_and_deviation(arms[BOTH])}"
        for size, arms in found["accuracy"].items()
    ]
    alone = mean_and_deviation(next(iter(found["accuracy"].values()))[GENERATED])
    return f"accuracy with real samples: {'; '.join(parts)}; generated alone {alone}"


def verdict(found: dict[str, Any]) -> list[str]:
    """Whether generated samples help, by size: a line for each answer."""
    answers: dict[str, list[str]] = {"help": [], "hurt": [], "make no clear difference to": []}
    for size, arms in found["accuracy"].items():
        gains = [both - real for real, both in zip(arms[REAL], arms[BOTH], strict=True)]
        mean, error = statistics.mean(gains), statistics.stdev(gains) / math.sqrt(len(gains))
        clear = abs(mean) > CLEAR * error
        answer = "make no clear difference to" if not clear else "help" if mean > 0 else "hurt"
        answers[answer].append(f"{title(found, size)} ({mean:+.3f})")
    return [
        f"generated samples {answer} a classifier with so many real ones per class: {', '.join(sizes)}"
        for answer, sizes in answers.items()
        if sizes
    ]
