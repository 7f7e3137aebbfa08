"""Whether the metrics tell bad generators from good ones: of each, what it makes is known to be wrong in one way.

    OMP_NUM_THREADS=1 uv run benchmarks/known_bad.py [--dataset digits] [--count 10000] [--features classifier]

Real pictures stand in for what a generator makes: one of each class again and again, those trained on, half of the
classes, others than were asked for, blurred ones; and noise. New ones, held out, stand in for a perfect generator: it
is the baseline. A metric detects a defect where it is on the bad side of the baseline by a tenth and more: those are in
bold.
"""

import argparse

import numpy
import torch
from torch.nn.functional import avg_pool2d

from multigan.evaluation.evaluator import Evaluator
from multigan.evaluation.extraction import FeatureSet, own_blocks
from multigan.evaluation.features import class_names
from multigan.evaluation.held_out import Rows
from multigan.evaluation.report import LOWER_IS_BETTER, number, words
from multigan.generation.generator import BATCH
from multigan.modalities.image import Image, ImageConfig

SEEN = 0.1  # of the baseline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="pictures with classes")
    parser.add_argument("--count", type=int, default=10_000, help="pictures of each kind, at most")
    parser.add_argument("--features", default="classifier")
    options = parser.parse_args()
    modality = Image(ImageConfig(conditional=True))
    fit(modality, options.dataset)
    evaluator = Evaluator.open(modality, options.dataset, count=options.count, features=options.features)
    table = {"perfect (the baseline)": evaluator.baseline}
    for name, found in generators(evaluator).items():
        table[name] = evaluator.reference.measure(found)
    print(f"{evaluator.count:,} of each, {evaluator.protocol['held_out']} held out, features {options.features}\n")
    names = [name for name in evaluator.baseline if not name.endswith("_std")]
    print(f"| | {' | '.join(map(words, names))} |\n|---|{'---|' * len(names)}")
    for title, values in table.items():
        cells = [cell(name, values.get(name), evaluator.baseline[name]) for name in names]
        print(f"| {title} | {' | '.join(cells)} |")


def fit(modality: Image, dataset: str) -> None:
    """Let the modality learn the dataset's columns and classes, as training would."""
    from multigan.data.load import load

    modality.fit(load(modality, dataset, None, "train", False))


def generators(evaluator: Evaluator) -> dict[str, FeatureSet]:
    """What each of them makes, where the classes asked for are those of the held-out pictures."""
    train, every, asked = evaluator.pair.train, evaluator.pair.every, evaluator.pair.held_out.labels
    assert asked is not None and train.labels is not None
    labels, classes = train.labels, len(class_names(evaluator.modality))
    first = torch.stack([(labels == number).nonzero()[0, 0] for number in range(classes)])

    def real(numbers: numpy.ndarray, name: str) -> FeatureSet:
        found = evaluator.extractor.real(evaluator.space, Rows(train.data, numbers), name)
        return found._replace(labels=asked)

    def changed(change: object, name: str) -> FeatureSet:
        def block(number: int) -> torch.Tensor:
            encoded = evaluator.pair.held_out.encoded(number * BATCH, (number + 1) * BATCH)
            return change(evaluator.modality.to_sample(encoded), number)

        return evaluator.extractor.extract(
            evaluator.space, map(block, own_blocks(evaluator.count)), evaluator.count, asked, name
        )

    def noise(samples: torch.Tensor, number: int) -> torch.Tensor:
        return torch.rand(samples.shape, generator=torch.Generator().manual_seed(number)) * 2 - 1

    def blurred(samples: torch.Tensor, number: int) -> torch.Tensor:
        return avg_pool2d(samples, 5, 1, 2, count_include_pad=False)

    of_class = [numpy.flatnonzero(labels.numpy() == number) for number in range(classes)]
    few = [of_class[int(one) % (classes // 2)] for one in asked]
    half = numpy.array([train.numbers[rows[i % min(50, len(rows))]] for i, rows in enumerate(few)])
    return {
        "one picture per class": real(train.numbers[first[asked].numpy()], "one a class"),
        "the training pictures": evaluator.extractor.real(
            evaluator.space, Rows(every.data, every.numbers[-evaluator.count :]), "copies"
        ),
        "half of the classes": real(half, "half"),
        "shuffled classes": real(train.numbers, "disorder"),
        "blurred": changed(blurred, "blurred"),
        "noise": changed(noise, "noise"),
    }


def cell(name: str, value: float | None, baseline: float) -> str:
    """A metric, in bold where it is on the bad side of the baseline."""
    if value is None:
        return ""
    worse = value - baseline if name in LOWER_IS_BETTER else baseline - value
    margin = SEEN * max(abs(baseline), 0.1)
    return f"**{number(value)}**" if worse > margin else number(value)


if __name__ == "__main__":
    main()
