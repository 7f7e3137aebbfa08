"""Measures trained generators against real data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from multigan.engine import distributed
from multigan.errors import UserError
from multigan.evaluation import features as feature_spaces
from multigan.evaluation.extraction import Extractor, FeatureSet, Inputs, own_blocks
from multigan.evaluation.held_out import Pair, Rows, has_truth, open_pair
from multigan.evaluation.metrics.neighbours import K, nearest
from multigan.evaluation.reference import Reference
from multigan.evaluation.report import REFERENCE_MODEL, TRIVIAL, Evaluation, limits, verdict
from multigan.evaluation.spaces import Space
from multigan.generation.generator import BATCH, TrainedGenerator
from multigan.interface import Condition
from multigan.modality import Modality
from multigan.version import __version__

MIN_CLASSIFIER_ACCURACY = 0.8  # on real samples: a less accurate classifier has not learned much
EXTRA_METRICS_SAMPLES = 1000  # samples for a modality's own metrics
MAX_SEARCHED = 100_000  # training samples among which copies are sought
SECOND_METRICS = ("frechet_distance", "precision", "recall", "density", "coverage")
MAX_FEATURES = 4096  # the covariance of more takes minutes
VERSION = 3  # of the definitions of the metrics: figures of different versions are not comparable


class Evaluator:
    """Measures generators of one modality against real data in a feature space.

    `open` loads the data and prepares the feature space. Every process of a launch must call the same methods: each
    does its share of the work, and all get the same result.

    Args:
        modality: The generators' modality, with the configuration that they were trained with.
        extractor: Extracts features of its samples.
        pair: Real samples: those trained on, and those held out.
        reference: Features of both, and the baseline.
        seed: Seed of the generated samples.
        protocol: How it is measured, for the report.
        asked: Requested number of samples of each kind.
        inputs: What a generator that takes inputs is told; None for others.

    Attributes:
        baseline: Metrics of the real samples held out.
        references: Metrics of what else generated samples stand beside, by name: the trivial output, where there is
            one, and a reference model once it is added.
    """

    def __init__(
        self,
        modality: Modality,
        extractor: Extractor,
        pair: Pair,
        reference: Reference,
        seed: int,
        protocol: dict[str, Any],
        asked: int,
        inputs: Inputs | None = None,
    ) -> None:
        self.modality, self.extractor = modality, extractor
        self.pair, self.reference = pair, reference
        self.seed, self.protocol, self.asked = seed, protocol, asked
        self.count = len(pair.train)
        self.inputs = inputs
        self.baseline, self.references = dict(reference.baseline), dict[str, dict[str, float]]()

    @classmethod
    def open(
        cls,
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
    ) -> Evaluator:
        """Load real data and prepare the feature space, which may mean training a classifier.

        Args:
            modality: The generators' modality, with the configuration that they were trained with.
            dataset: The dataset that they were trained on.
            subset: Its subset, as in training.
            split: Its split, as in training.
            skip_corrupt: As in training.
            held_out: A split that they were not trained on; None takes test or validation where there is one, and half
                of the training data otherwise.
            count: Maximum number of samples of each kind.
            features: auto, classifier, random, pca, samples, inception, or an encoder of transformers by name or
                folder.
            seed: Seed of the generated samples and of the choice of real ones.
            search_all: Look for copies of all training samples, and not only of those compared with. Ignored with
                pretrained features, which take too long.
            quiet: Whether no progress bar is shown; None shows one on a terminal.

        Raises:
            UserError: No such data or features, labels that are missing, or too few samples.
        """
        if count <= K:
            raise UserError(f"n is {count}: expected at least {K + 1}, for {K} neighbours of each")
        if not 0 <= seed < 2**63:
            raise UserError(f"seed is {seed}: expected 0 or more, and less than 2^63")
        extractor = Extractor(modality, quiet)
        problem = None
        try:
            pair = open_pair(modality, dataset, subset, split, skip_corrupt, held_out, count, seed)
            if len(pair.train) <= K:
                crop = pair.train.data.crop
                pieces = "; a long recording counts as one: cut it into files" if crop and crop.random else ""
                raise UserError(
                    f"there are {len(pair.train)} samples to compare with (held out: {pair.name}), too few for {K} "
                    f"neighbours: expected at least {K + 1} of each{pieces}"
                )
            space = feature_spaces.find(features, modality, pair.known, seed, extractor.device, extractor.quiet)
        except UserError as error:  # perhaps of one host
            problem = error
        distributed.raise_on_all(problem)
        distributed.check_same(space.stamp)
        # A pretrained network takes long.
        searched = min(MAX_SEARCHED, len(pair.every)) if search_all and space.ours else len(pair.train)
        reference = open_reference(extractor, space, modality, pair, searched, seed)
        protocol = {
            "version": VERSION,
            "dataset": dataset,
            "split": split,
            "held_out": pair.name,
            "digest": pair.train.data.digest,
            "held_out_digest": pair.held_out.data.digest,
            "count": len(pair.train),
            "searched": searched,
            "neighbours": K,
            "seed": seed,
            **space.stamp,
            "multigan": __version__,
            "torch": torch.__version__.partition("+")[0],
        }
        inputs = open_inputs(modality, pair, extractor.home) if modality.takes_inputs else None
        evaluator = cls(modality, extractor, pair, reference, seed, protocol, count, inputs)
        if inputs is not None:
            evaluator.baseline |= evaluator.truth(inputs)
            if (trivial := evaluator.trivial(inputs)) is not None:
                evaluator.references[TRIVIAL] = evaluator.measure(trivial)
        return evaluator

    @property
    def space(self) -> Space:
        """The feature space."""
        return self.reference.space

    def generated(self, model: TrainedGenerator, space: Space | None = None) -> FeatureSet:
        """Features of as many generated samples as there are real ones, with the same classes or of the same inputs.

        Raises:
            BrokenSamplesError: Too few of them are finite.
        """
        inputs = self.inputs if space is None or self.inputs is None else self.inputs._replace(metrics=None)
        labels = self.asked_classes(model)
        return self.extractor.generated(space or self.space, model, self.count, self.seed, labels, inputs)

    def batches(
        self, model: TrainedGenerator, count: int, first: int = 0, blocks: Sequence[int] | None = None
    ) -> Iterator[Tensor]:
        """Generated samples ``(b, *S)``, with the classes or for the inputs of the held-out rows from ``first`` on."""
        if self.inputs is None:
            return model.batches(count, self.seed, self.asked_classes(model), blocks=blocks)
        inputs = self.inputs

        def told(numbers: range) -> Condition:
            return inputs.condition(range(numbers.start + first, numbers.stop + first))

        return model.batches(count, self.seed, blocks=blocks, conditions_of=told)

    def truth(self, inputs: Inputs) -> dict[str, float]:
        """The metrics of pairs of the true samples in the place of outputs. Every process computes all of them."""
        if inputs.metrics is None:
            return {}
        parts = []
        for start in range(0, self.count, BATCH):
            numbers = range(start, min(start + BATCH, self.count))
            parts.append(inputs.compared(None, numbers))
        return {name: torch.cat([part[name] for part in parts]).mean().item() for name in parts[0]}

    def trivial(self, inputs: Inputs) -> FeatureSet | None:
        """Features of what one could show without a network for the held-out inputs; None where there is nothing."""

        def output(number: int) -> Tensor | None:
            numbers = range(number * BATCH, min((number + 1) * BATCH, self.count))
            with torch.no_grad():
                return self.modality.trivial_output(inputs.condition(numbers))

        if output(0) is None:
            return None
        batches = (found for number in own_blocks(self.count) if (found := output(number)) is not None)
        return self.extractor.outputs(self.space, batches, self.count, self.pair.held_out.labels, inputs, TRIVIAL)

    def measure(self, samples: FeatureSet) -> dict[str, float]:
        """Metrics of samples: in the feature space, and beside their truth."""
        values = self.reference.measure(samples)
        values |= {name: value.mean().item() for name, value in samples.pairs.items()}
        if samples.broken:
            values["non_finite_samples"] = samples.broken
        return values

    def add_reference_model(self, model: TrainedGenerator, of: TrainedGenerator) -> None:
        """Measure a generator that is the reference of another, to stand beside it in the reports from now on.

        Raises:
            UserError: It cannot be compared with: see `check_reference_model`.
            BrokenSamplesError: Too few of its samples are finite.
        """
        check_reference_model(model, of)
        first = range(min(self.count, BATCH))
        if self.inputs is not None and not same(
            self.inputs.pair(first), self.inputs._replace(modality=model.modality).pair(first)
        ):
            raise UserError(
                "the reference model does not make the same inputs and samples of the data: expected a run with the "
                "same settings of the task"
            )
        found = self.generated(model)
        self.references[REFERENCE_MODEL] = self.measure(found) | self.beyond_features(model)[0]

    def asked_classes(self, model: TrainedGenerator) -> Tensor | None:
        """The classes to generate: those of the held-out samples, so that the baseline is comparable."""
        return self.pair.held_out.labels if model.classes else None

    def evaluate(self, model: TrainedGenerator, samples: FeatureSet, quick: bool = False) -> Evaluation:
        """All metrics of a generator.

        Args:
            model: The generator.
            samples: What it has `generated`.
            quick: Leaves out what takes more than features: a classifier to train, a modality's own metrics.
        """
        generated, baseline = self.measure(samples), dict(self.baseline)
        if samples.broken:
            baseline["non_finite_samples"] = 0
        if not quick:
            for values, more in zip((generated, baseline), self.beyond_features(model), strict=True):
                values.update(more)
        evaluation = Evaluation(self.protocol, generated, baseline, self.reference.by_class(samples))
        evaluation.references = {name: dict(values) for name, values in self.references.items()}
        evaluation.baseline_of_classes = self.reference.baseline_by_class
        evaluation.steps = model.training.get("steps")
        evaluation.warnings = self.warnings(model)
        evaluation.verdict = verdict(generated, baseline, self.reference.variance, self.references.get(TRIVIAL))
        evaluation.limits = limits(
            self.space.name, self.space.own_classes, pretrained=not self.space.ours, inputs=self.inputs is not None
        )
        return evaluation

    def measure_second(self, model: TrainedGenerator) -> dict[str, dict[str, Any]]:
        """Metrics in principal components, beside those of a space that was trained on labels.

        Empty for other spaces, and for samples with too many values.
        """
        if not self.space.own_classes:
            return {}
        device, quiet = self.extractor.device, self.extractor.quiet
        try:
            space = feature_spaces.find("pca", self.modality, self.pair.known, self.seed, device, quiet)
        except UserError:  # the same in every process
            return {}
        reference = open_reference(self.extractor, space, self.modality, self.pair, self.count, self.seed)
        generated = reference.measure(self.generated(model, space))
        protocol = {key: value for key, value in self.protocol.items() if key not in (*self.space.stamp, "searched")}
        return {
            "protocol": protocol | space.stamp,
            "generated": {name: generated[name] for name in SECOND_METRICS},
            "baseline": {name: reference.baseline[name] for name in SECOND_METRICS},
        }

    def beyond_features(self, model: TrainedGenerator) -> tuple[dict[str, float], dict[str, float]]:
        """Metrics computed from samples instead of features: of generated samples, and the baseline."""
        generated: dict[str, float] = {}
        baseline: dict[str, float] = {}
        if model.classes and self.space.own_classes and self.inputs is None:
            name = "classification_accuracy_score"
            generated[name], baseline[name] = self.classification_accuracy_score(model), self.baseline["class_accuracy"]
        extra_metrics = self.modality.extra_metrics()
        if extra_metrics is not None:
            few = min(EXTRA_METRICS_SAMPLES, self.count // 2)
            # Of other inputs than those whose truth they are compared with, as the baseline is.
            batches = self.batches(model, few, first=few if self.inputs else 0)
            made = [sample for batch in batches for sample in self.modality.to_outputs(batch)]
            train, real = self.outputs(self.pair.train, self.count), self.outputs(self.pair.held_out, 2 * few)
            generated |= extra_metrics(made, train, real[:few])
            baseline |= extra_metrics(real[few:], train, real[:few])
        return generated, baseline

    def outputs(self, rows: Rows, count: int) -> list[Any]:
        """Real samples, converted like generated ones."""
        shown: list[Any] = []
        for start in range(0, count, BATCH):
            samples = rows.samples(self.modality, start, min(start + BATCH, count), torch.device("cpu"))
            shown += self.modality.to_outputs(samples)
        return shown

    def classification_accuracy_score(self, model: TrainedGenerator) -> float:
        """Accuracy on real samples of a classifier trained on generated ones. Ravuri and Vinyals 2019, 1905.10887."""
        asked, device, quiet = self.pair.known.labels, self.extractor.device, self.extractor.quiet
        assert asked is not None
        samples, labels = feature_spaces.labelled(model, asked, self.seed)
        classifier = feature_spaces.train(self.modality, samples, labels, lambda batch: batch, self.seed, device, quiet)
        return feature_spaces.held_out_accuracy(classifier, self.modality, self.pair.held_out, device)

    def nearest_training(self, model: TrainedGenerator, samples: FeatureSet, count: int) -> Tensor:
        """The generated samples nearest to a training sample, each followed by that one: ``(2 count, *F)``."""
        distances, places = nearest(samples.features, self.reference.searched.features)
        pairs = []
        for number in distances.argsort()[:count].tolist():
            block, row = divmod(int(samples.numbers[number]), BATCH)
            batch = next(self.batches(model, self.count, blocks=[block]))
            place = int(self.reference.searched.numbers[int(places[number])])
            pairs.append(batch[row])
            pairs.append(self.pair.every.samples(self.modality, place, place + 1, torch.device("cpu"))[0])
        return torch.stack(pairs)

    def warnings(self, model: TrainedGenerator) -> list[str]:
        """What limits how far the metrics can be trusted."""
        lines = []
        halved = self.protocol["held_out"].startswith("half of")
        if self.count < self.asked:
            if halved:
                why = f"half of the {len(self.pair.every) + self.count:,} real ones are held out"
            else:
                side = "training" if self.count == len(self.pair.every) else self.protocol["held_out"]
                why = f"the {side} data has no more"
            lines.append(f"{self.count:,} samples of each instead of {self.asked:,}: {why}")
        if self.protocol["searched"] < len(self.pair.every):
            lines.append(
                f"copies were looked for among {self.protocol['searched']:,} of {len(self.pair.every):,} training "
                "samples"
            )
        if broken := self.reference.broken:
            lines.append(f"{broken} real samples, or their features, are not finite numbers and are left out")
        dimensions = self.reference.real.features.shape[1]
        if self.count < 2 * dimensions:
            lines.append(
                f"{self.count:,} samples are few for {dimensions:,} features: the Frechet distance is too large; "
                "compare it with the baseline, or use the kernel distance"
            )
        known = model.training.get("digest")
        if known and known != self.protocol["digest"]:
            lines.append("the model was trained on other data than what it is compared with")
        elif halved:
            also = "" if self.inputs is None else ", and on the pairs that its outputs are compared with"
            lines.append(
                "half of the training data is taken as held out, so the model was trained on the baseline's samples "
                f"too{also}"
            )
        if self.inputs is not None:
            lines += self.inputs.metrics.notes if self.inputs.metrics is not None else ()
            if self.modality.unpaired and not has_truth(self.pair.held_out):
                lines.append("there are no true pairs, so outputs are compared with real samples as a whole alone")
        if self.baseline.get("class_accuracy", 1) < MIN_CLASSIFIER_ACCURACY:
            lines.append(
                f"the classifier is right for only {self.baseline['class_accuracy']:.0%} of real samples, so its "
                "features are not reliable: compare with --features random"
            )
        lines += [f"held out, {note}" for note in self.pair.held_out.data.notes if note.startswith("left out")]
        return lines


def open_inputs(modality: Modality, pair: Pair, device: torch.device) -> Inputs:
    """The inputs of the held-out rows, and how outputs are compared with the truth, which may mean training a network.

    Args:
        modality: It takes inputs.
        pair: Real samples.
        device: Where outputs are compared.
    """

    def training() -> Iterator[tuple[Tensor, Condition]]:
        for start in range(0, len(pair.known), BATCH):
            yield pair.known.pair(modality, start, start + BATCH, torch.device("cpu"))

    metrics = None
    if not modality.unpaired or has_truth(pair.held_out):
        with torch.random.fork_rng(devices=[]):
            metrics = modality.pair_metrics(training)
    return Inputs(modality, pair.held_out, metrics, device)


def check_reference_model(model: TrainedGenerator, of: TrainedGenerator) -> None:
    """Check that a generator can be the reference of another, by what is known of them.

    Raises:
        UserError: It is of another modality, sees the data in another form, or was trained on other data.
    """
    if type(model.modality) is not type(of.modality):
        raise UserError(f"the reference model is of modality {model.name!r}: expected {of.name!r}, as the model is")
    keys = [one.modality.encode_key() for one in (model, of)]
    different = [name for name in sorted(keys[0].keys() | keys[1].keys()) if keys[0].get(name) != keys[1].get(name)]
    if different:
        raise UserError(
            f"the reference model reads the data differently (its settings {', '.join(different)} are others): "
            "expected a run with the same settings of the data"
        )
    digests = [one.training.get("digest") for one in (model, of)]
    if all(digests) and digests[0] != digests[1]:
        raise UserError("the reference model was trained on other data: expected a run on the data of the model")


def same(one: tuple[Tensor, Condition], other: tuple[Tensor, Condition]) -> bool:
    """Whether samples and conditions are equal."""
    first, second = (flat(*pair) for pair in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def flat(samples: Tensor, condition: Condition) -> dict[str, Tensor]:
    """Samples and all that a condition consists of, by name."""
    if isinstance(condition, dict):
        return {"samples": samples, **{f"condition.{name}": value for name, value in condition.items()}}
    return {"samples": samples} if condition is None else {"samples": samples, "condition": condition}


def open_reference(
    extractor: Extractor, space: Space, modality: Modality, pair: Pair, searched: int, seed: int
) -> Reference:
    """Extract features of the real samples of a pair.

    Raises:
        UserError: There are too many features.
    """
    # Copies are sought among all that was trained on, of which the first are the ones compared with.
    training = extractor.real(space, Rows(pair.every.data, pair.every.numbers[:searched]), "real")
    if training.features.shape[1] > MAX_FEATURES:
        raise UserError(
            f"{training.features.shape[1]} features are too many to compare: expected {MAX_FEATURES} at most"
        )
    held_out = extractor.real(space, pair.held_out, "held out")
    names = feature_spaces.class_names(modality)
    return Reference(space, training, len(pair.train), held_out, names, extractor.device, seed)
