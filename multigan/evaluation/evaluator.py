"""How good a trained generator is: measured as real samples are, in its place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor
from tqdm import tqdm

from multigan.engine import distributed
from multigan.errors import BrokenSamplesError, UserError
from multigan.evaluation import features as feature_spaces
from multigan.evaluation.classifier import inception_score
from multigan.evaluation.held_out import Pair, Rows, open_pair
from multigan.evaluation.metrics.frechet import frechet_distance
from multigan.evaluation.metrics.kernel import kernel_distance
from multigan.evaluation.metrics.neighbours import nearest, neighbours, radii
from multigan.evaluation.report import MEMORIZATION_QUANTILE, Evaluation, limits, verdict
from multigan.generation.generator import BATCH, TrainedGenerator
from multigan.modality import Modality
from multigan.version import __version__

K = 5  # neighbours
MIN_CLASSIFIER_ACCURACY = 0.8  # of real samples: a classifier that is right of fewer has not learned much
EXTRA_METRICS_SAMPLES = 1000  # samples that a modality's own metrics are of
MAX_SEARCHED = 100_000  # training samples in which copies are sought, at most
SECOND_METRICS = ("precision", "recall", "density", "coverage")  # beside the Frechet distance
MAX_FEATURES = 4096  # features: a covariance of more takes minutes
MAX_KEPT_BYTES = 2**31  # bytes of generated samples kept to train a classifier on
VERSION = 3  # of the definitions here: figures of another one are others


class FeatureSet(NamedTuple):
    """What is known of some samples.

    Attributes:
        features: ``(N, F)``, of those that are finite.
        numbers: ``(N,)``: which samples these are.
        labels: ``(N,)`` or None: what class they are, or should be.
        broken: How many were not finite, or had features that are not.
    """

    features: Tensor
    numbers: Tensor
    labels: Tensor | None
    broken: int = 0

    def first(self, count: int) -> FeatureSet:
        """Of the first samples alone."""
        few = int((self.numbers < count).sum())
        labels = None if self.labels is None else self.labels[:few]
        return FeatureSet(self.features[:few], self.numbers[:few], labels, count - few)

    def of_class(self, number: int) -> Tensor:
        assert self.labels is not None
        return self.features[self.labels == number]


class Evaluator:
    """Real data and a feature space to hold generators of one modality against.

    Every process of a launch makes one and asks it the same; each works out its share, and all get the same answer.

    Args:
        modality: Of the generators, as it was trained: it says how the data is encoded.
        dataset: What they were trained on.
        subset, split, skip_corrupt: As in training.
        held_out: A split that they were not trained on; None takes test or validation where there is one, and half of
            the training data otherwise.
        count: Samples of each kind, or as many as there are.
        features: auto, classifier, random, pca, samples, inception, or an encoder of transformers by name or folder.
        seed: Decides which real samples are taken, and what is generated.
        search_all: Whether copies are sought among all that was trained on, and not only among the samples compared
            with. In a space of foreign weights they never are.
        quiet: Whether no progress bar is shown; None shows one on a terminal.

    Raises:
        UserError: No such data or features, labels that are missing, or too few samples.
    """

    def __init__(
        self,
        modality: Modality,
        dataset: str,
        subset: str | None = None,
        split: str = "train",
        skip_corrupt: bool = False,
        held_out: str | None = None,
        count: int = 10_000,
        features: str = "auto",
        seed: int = 0,
        search_all: bool = True,
        quiet: bool | None = None,
    ) -> None:
        if count <= K:
            raise UserError(f"n is {count}: expected at least {K + 1}, for {K} neighbours of each")
        if not 0 <= seed < 2**63:
            raise UserError(f"seed is {seed}: expected 0 or more, and less than 2^63")
        self.modality, self.view = modality, modality.evaluation_view()
        self.device, self.seed, self.asked = PartialState().device, seed, count
        # Distances are in double precision and sounds come of complex numbers, which not every device has.
        self.home = self.device if self.device.type == "cuda" else torch.device("cpu")
        self.quiet = quiet if PartialState().is_main_process else True

        problem = None
        try:
            pair = open_pair(modality, dataset, subset, split, skip_corrupt, held_out, count, seed)
            self.prepare(pair, features, search_all)
        except UserError as error:  # of one host, perhaps
            problem = error
        distributed.raise_on_all(problem)
        distributed.check_same(self.space.stamp)
        # Copies are sought among all that was trained on, of which the first are the reference.
        self.searched_in = self.real(Rows(self.training_rows.data, self.training_rows.numbers[: self.searched]), "real")
        self.reference = self.searched_in.first(self.count)
        if self.reference.features.shape[1] > MAX_FEATURES:
            raise UserError(
                f"{self.reference.features.shape[1]} features are too many to compare: expected {MAX_FEATURES} at most"
            )
        self.protocol = {
            "version": VERSION,
            "dataset": dataset,
            "split": split,
            "held_out": self.held_out_name,
            "digest": self.train.data.digest,
            "held_out_digest": self.held_out.data.digest,
            "count": self.count,
            "searched": self.searched,
            "neighbours": K,
            "seed": seed,
            **self.space.stamp,
            "multigan": __version__,
            "torch": torch.__version__.partition("+")[0],
        }
        self.radii = radii(self.reference.features, K)
        held = self.real(self.held_out, "held out")
        distances, _ = nearest(held.features, self.searched_in.features)
        self.near = torch.quantile(distances, MEMORIZATION_QUANTILE, interpolation="higher")
        self.baseline, self.baseline_by_class = self.measure(held, distances), self.by_class(held)
        self.held_broken = held.broken

    # --- where it is compared ---

    def prepare(self, pair: Pair, features: str, search_all: bool) -> None:
        """What needs no other process: the rows, and the feature space."""
        self.train, self.held_out, self.known, self.training_rows, self.held_out_name = pair
        self.count = len(self.train)
        if self.count <= K:
            raise UserError(
                f"there are {self.count} samples to compare with (held out: {self.held_out_name}), too few for {K} "
                f"neighbours: expected at least {K + 1} of each"
            )
        self.space = feature_spaces.find(features, self.modality, self.known, self.seed, self.device, self.quiet)
        # A network that is not ours takes long.
        self.searched = min(MAX_SEARCHED, len(self.training_rows)) if search_all and self.space.ours else self.count

    # --- features ---

    def real(self, rows: Rows, name: str) -> FeatureSet:
        """Features of real samples."""

        def block(number: int) -> Tensor:
            return self.view.to_sample(rows.encoded(number * BATCH, (number + 1) * BATCH).to(self.device))

        return self.found(map(block, own_blocks(len(rows))), len(rows), rows.labels, name)

    def generated(self, model: TrainedGenerator) -> FeatureSet:
        """Features of generated samples, as many as there are real ones and, told the class, of the same classes."""
        labels = self.wanted(model)
        made = model.batches(self.count, self.seed, labels, blocks=own_blocks(self.count))
        judged = (self.view.from_generated(batch.to(self.home)) for batch in made)
        wanted = None if labels is None else torch.tensor(labels)
        return self.found(ahead(judged), self.count, wanted, "generating")

    def wanted(self, model: TrainedGenerator) -> list[int] | None:
        """The classes that a model is asked for: those of the real samples held out, for the floor to be one."""
        labels = self.held_out.labels
        return labels.tolist() if model.classes and labels is not None else None

    def found(self, blocks: Iterator[Tensor], count: int, labels: Tensor | None, name: str) -> FeatureSet:
        """Features of samples that come in blocks, those of this process; gathered from all of them."""
        features: dict[int, Tensor | None] = {}
        finite: dict[int, Tensor] = {}
        own = own_blocks(count)
        progress = tqdm(own, name, unit=" blocks", disable=self.quiet, leave=False)
        for number, samples in zip(progress, blocks, strict=True):
            samples, good = finite_ones(samples)
            features[number], finite[number] = None, good
            if len(samples):
                with torch.no_grad():
                    extracted = self.space.extract(samples.to(self.device)).float().cpu()
                features[number], good[good.clone()] = finite_ones(extracted)
        for part, good in gather_object([(features, finite)]):
            features, finite = features | part, finite | good
        kept = torch.cat([finite[number] for number in sorted(finite)])
        broken = int((~kept).sum())
        if len(kept) - broken <= K:
            raise BrokenSamplesError(
                f"{broken} of {len(kept)} samples are not finite numbers: nothing can be said of the rest"
            )
        known_of_all = torch.cat([one for number in sorted(features) if (one := features[number]) is not None])
        return FeatureSet(
            known_of_all.to(self.home), kept.nonzero()[:, 0], None if labels is None else labels[kept], broken
        )

    # --- figures ---

    def measure(self, found: FeatureSet, distances: Tensor | None = None) -> dict[str, float]:
        """Metrics of samples beside the training rows.

        Args:
            found: What is known of the samples.
            distances: ``(N,)``, of each to the nearest of all training rows searched, where they are known.
        """
        real, fake = self.reference.features, found.features
        # A cube makes much of the size of features, which is any in a space of our own.
        scale = real.square().mean().sqrt() if self.space.ours else 1.0
        kernel = kernel_distance(real / scale, fake / scale, self.seed)
        values = {
            "frechet_distance": frechet_distance(real, fake),
            "kernel_distance": kernel.mean,
            "kernel_distance_std": kernel.std,
            **neighbours(real, fake, K, self.radii)._asdict(),
        }
        if self.space.last is not None:
            with torch.no_grad():
                logits = self.space.last(fake.to(self.device)).cpu()
            values["inception_score"] = inception_score(logits)
            if found.labels is not None and self.space.own_classes:
                values["class_accuracy"] = (logits.argmax(1) == found.labels).double().mean().item()
        if distances is None:
            distances, _ = nearest(fake, self.searched_in.features)
        return values | {"memorization": (distances <= self.near).double().mean().item()}

    def by_class(self, found: FeatureSet) -> dict[str, dict[str, float]]:
        """Of each class that there are enough of, what can be said of few samples."""
        if found.labels is None or self.reference.labels is None:
            return {}
        classes = {}
        for number, name in enumerate(feature_spaces.class_names(self.modality)):
            real, fake = self.reference.of_class(number), found.of_class(number)
            if min(len(real), len(fake)) <= K:
                continue
            values = neighbours(real, fake, K)._asdict()
            if self.space.last is not None and self.space.own_classes:
                with torch.no_grad():
                    guesses = self.space.last(fake.to(self.device)).argmax(1)
                values["class_accuracy"] = (guesses == number).double().mean().item()
            classes[name] = values
        return classes

    def evaluate(self, model: TrainedGenerator, found: FeatureSet, quick: bool = False) -> Evaluation:
        """All metrics of a generator, and of what it has `generated`.

        Args:
            model: The generator.
            found: What it has generated.
            quick: Leaves out what takes more than features: a classifier to train, a modality's own metrics.
        """
        generated, baseline = self.measure(found), dict(self.baseline)
        if found.broken:
            generated["non_finite_samples"], baseline["non_finite_samples"] = found.broken, 0
        if not quick:
            for values, more in zip((generated, baseline), self.further(model), strict=True):
                values.update(more)
        evaluation = Evaluation(self.protocol, generated, baseline, self.by_class(found))
        evaluation.baseline_of_classes = self.baseline_by_class
        evaluation.steps = model.training.get("steps")
        evaluation.warnings = self.warnings(model)
        evaluation.verdict = verdict(generated, baseline)
        evaluation.limits = limits(self.space.name, self.space.own_classes, pretrained=not self.space.ours)
        return evaluation

    def measure_second(self, model: TrainedGenerator) -> dict[str, dict[str, Any]]:
        """Metrics in principal components, beside those of a space that was trained on labels; of no other space.

        Every process calls it: each extracts its share.
        """
        if not self.space.own_classes:
            return {}
        main, self.space = (
            self.space,
            feature_spaces.find("pca", self.modality, self.train, self.seed, self.device, self.quiet),
        )
        try:
            reference = self.real(self.train, "real").features
            held, made = self.real(self.held_out, "held out").features, self.generated(model).features
            stamp = self.space.stamp
        finally:
            self.space = main
        around = radii(reference, K)

        def metrics(features: Tensor) -> dict[str, float]:
            values = neighbours(reference, features, K, around)._asdict()
            kept = {name: values[name] for name in SECOND_METRICS}
            return {"frechet_distance": frechet_distance(reference, features), **kept}

        protocol = {key: value for key, value in self.protocol.items() if key not in (*main.stamp, "searched")} | stamp
        return {"protocol": protocol, "generated": metrics(made), "baseline": metrics(held)}

    def further(self, model: TrainedGenerator) -> tuple[dict[str, float], dict[str, float]]:
        """Metrics that need samples and not features: of the generated ones, and the floor."""
        generated: dict[str, float] = {}
        baseline: dict[str, float] = {}
        if model.classes and self.space.own_classes:
            name = "classification_accuracy_score"
            generated[name], baseline[name] = self.classification_accuracy_score(model), self.baseline["class_accuracy"]
        extra_metrics = self.modality.extra_metrics()
        if extra_metrics is not None:
            few = min(EXTRA_METRICS_SAMPLES, self.count // 2)
            labels = self.wanted(model)
            made = model.generate(few, self.seed, labels)
            train, real = self.presented(self.train, self.count), self.presented(self.held_out, 2 * few)
            generated |= extra_metrics(made, train, real[:few])
            baseline |= extra_metrics(real[few:], train, real[:few])
        return generated, baseline

    def presented(self, rows: Rows, count: int) -> list[Any]:
        """Real samples as people see them."""
        shown: list[Any] = []
        for start in range(0, count, BATCH):
            shown += self.view.to_outputs(self.view.to_sample(rows.encoded(start, min(start + BATCH, count))))
        return shown

    def classification_accuracy_score(self, model: TrainedGenerator) -> float:
        """A classifier that has seen no real sample, on real ones. Ravuri and Vinyals 2019, arXiv:1905.10887."""
        wanted, held = self.known.labels, self.held_out
        assert wanted is not None and held.labels is not None
        first = self.view.from_generated(next(model.batches(1, self.seed)))
        count = min(len(wanted), max(2, MAX_KEPT_BYTES // (first.numel() * first.element_size())))
        samples, labels = [], []
        for number, batch in enumerate(model.batches(count, self.seed, wanted[:count].tolist())):
            judged, good = finite_ones(self.view.from_generated(batch.to(self.home)).cpu())
            samples.append(judged)
            labels.append(wanted[number * BATCH : number * BATCH + len(good)][good])
        judge = feature_spaces.train(
            self.modality,
            torch.cat(samples),
            torch.cat(labels),
            lambda batch: batch,
            self.seed,
            self.device,
            self.quiet,
        )
        guesses = [
            judge(self.view.to_sample(held.encoded(start, start + BATCH).to(self.device))).argmax(1).detach().cpu()
            for start in range(0, len(held), BATCH)
        ]
        return (torch.cat(guesses) == held.labels).double().mean().item()

    def nearest_training(self, model: TrainedGenerator, found: FeatureSet, count: int) -> Tensor:
        """The generated samples that are nearest to a training sample, each followed by that: ``(2 count, *S)``."""
        distances, places = nearest(found.features, self.searched_in.features)
        labels = self.wanted(model)
        pairs = []
        for number in distances.argsort()[:count].tolist():
            block, row = divmod(int(found.numbers[number]), BATCH)
            batch = next(model.batches(self.count, self.seed, labels, blocks=[block]))
            place = int(self.searched_in.numbers[int(places[number])])
            pairs.append(self.view.from_generated(batch.to(self.home))[row].cpu())
            pairs.append(self.view.to_sample(self.training_rows.encoded(place, place + 1))[0])
        return torch.stack(pairs)

    def warnings(self, model: TrainedGenerator) -> list[str]:
        """What to know before one trusts the figures."""
        lines = []
        if self.count < self.asked:
            lines.append(f"{self.count:,} and not {self.asked:,} of each: there are no more real ones")
        if self.searched < len(self.training_rows):
            lines.append(f"copies were sought among {self.searched:,} of {len(self.training_rows):,} training samples")
        if broken := self.reference.broken + self.held_broken:
            lines.append(f"{broken} real samples are not finite numbers, or their features, and are left out")
        dimensions = self.reference.features.shape[1]
        if self.count < 2 * dimensions:
            lines.append(
                f"{self.count:,} samples are few for {dimensions:,} features: the Frechet distance is too large; "
                "compare it with the baseline, or use the kernel distance"
            )
        if self.protocol["held_out"].startswith("half of"):
            lines.append(
                "half of the training data is held out, so the model was trained on the baseline's samples too"
            )
        if self.baseline.get("class_accuracy", 1) < MIN_CLASSIFIER_ACCURACY:
            lines.append(
                f"the classifier is right for only {self.baseline['class_accuracy']:.0%} of real samples, so its "
                "features say little: compare with --features random"
            )
        known = model.training.get("digest")
        if known and known != self.protocol["digest"]:
            lines.append("the model was trained on other data than it is compared with")
        return lines


def own_blocks(count: int) -> range:
    """The numbers of this process's blocks of so many samples: as large as the batches that are generated.

    What is real comes in the same, for the features to differ by nothing else.
    """
    return range(-(-count // BATCH))[PartialState().process_index :: PartialState().num_processes]


def finite_ones(values: Tensor) -> tuple[Tensor, Tensor]:
    """Of ``(B, ...)`` those that are finite, and which they are: ``(B,)`` on the CPU."""
    if values.sum().isfinite():  # of all at once, which is quicker
        return values, torch.ones(len(values), dtype=torch.bool)
    good = values.flatten(1).isfinite().all(1)
    return values[good], good.cpu()


def ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same, each made while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
