"""Real samples in a feature space: what generated samples are measured against."""

from __future__ import annotations

import torch
from torch import Tensor

from multigan.evaluation.classifier import accuracy, inception_score
from multigan.evaluation.extraction import FeatureSet
from multigan.evaluation.metrics.frechet import frechet_distance
from multigan.evaluation.metrics.kernel import kernel_distance
from multigan.evaluation.metrics.neighbours import K, nearest, neighbours, radii
from multigan.evaluation.report import MEMORIZATION_QUANTILE
from multigan.evaluation.spaces import Space


class Reference:
    """Real samples in one feature space, and the baseline: the score of as many held-out real samples.

    Args:
        space: The feature space.
        searched: Features of training samples among which copies are sought.
        count: How many of these, from the first on, distributions are compared with.
        held_out: Features of real samples that are held out.
        class_names: Names of the classes, in order of their numbers.
        device: Where the feature network is.
        seed: Of the kernel distance's subsets.

    Attributes:
        variance: Total variance of the features of the real samples.
    """

    def __init__(
        self,
        space: Space,
        searched: FeatureSet,
        count: int,
        held_out: FeatureSet,
        class_names: tuple[str, ...],
        device: torch.device,
        seed: int,
    ) -> None:
        self.space, self.class_names, self.device, self.seed = space, class_names, device, seed
        self.searched = searched
        # Of a classifier whose classes do not exclude each other.
        self.several = space.own_classes and searched.labels is not None and searched.labels.dim() == 2
        self.real = searched.first(count)
        self.variance = self.real.features.double().var(0).sum().item()
        self.radii = radii(self.real.features, K)
        distances, _ = nearest(held_out.features, searched.features)
        self.near = torch.quantile(distances, MEMORIZATION_QUANTILE, interpolation="higher")
        self.broken = self.real.broken + held_out.broken
        self.baseline = self.measure(held_out, distances)
        self.baseline_by_class = self.by_class(held_out)

    def measure(self, samples: FeatureSet, distances: Tensor | None = None) -> dict[str, float]:
        """Metrics of samples against the real ones.

        Args:
            samples: Features of the samples.
            distances: ``(N,)``, from each to the nearest of all training samples searched, where known.
        """
        real, fake = self.real.features, samples.features
        # The kernel is cubic, so it depends on the scale of the features, which is arbitrary in a space of our own.
        scale = real.square().mean().sqrt() if self.space.ours else 1.0
        kernel = kernel_distance(real / scale, fake / scale, self.seed)
        values = {
            "frechet_distance": frechet_distance(real, fake),
            "kernel_distance": kernel.mean,
            "kernel_distance_std": kernel.std,
            **neighbours(real, fake, K, self.radii)._asdict(),
        }
        if self.space.last is not None:
            logits = self.logits(fake)
            if not self.several:
                values["inception_score"] = inception_score(logits)
            if samples.labels is not None and self.space.own_classes:
                values["class_accuracy"] = accuracy(logits, samples.labels)
        if distances is None:
            distances, _ = nearest(fake, self.searched.features)
        return values | {"memorization": (distances <= self.near).double().mean().item()}

    def by_class(self, samples: FeatureSet) -> dict[str, dict[str, float]]:
        """Metrics of each class with enough samples, those that few samples allow."""
        if samples.labels is None or self.real.labels is None:
            return {}
        classes = {}
        for number, name in enumerate(self.class_names):
            real, fake = self.real.of_class(number), samples.of_class(number)
            if min(len(real), len(fake)) <= K:
                continue
            values = neighbours(real, fake, K)._asdict()
            if self.space.last is not None and self.space.own_classes:
                logits = self.logits(fake)
                right = logits[:, number] > 0 if self.several else logits.argmax(1) == number
                values["class_accuracy"] = right.double().mean().item()
            classes[name] = values
        return classes

    def logits(self, features: Tensor) -> Tensor:
        """The classifier's logits ``(N, K)`` of features ``(N, F)``."""
        assert self.space.last is not None
        with torch.no_grad():
            logits: Tensor = self.space.last(features.to(self.device)).cpu()
        return logits
