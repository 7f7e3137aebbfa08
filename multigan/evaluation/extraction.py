"""Features of real and of generated samples, extracted by all processes of a launch together."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor
from tqdm import tqdm

from multigan.errors import BrokenSamplesError
from multigan.evaluation.held_out import Rows
from multigan.evaluation.metrics.neighbours import K
from multigan.evaluation.spaces import Space
from multigan.generation.generator import BATCH, TrainedGenerator
from multigan.modality import Modality


class FeatureSet(NamedTuple):
    """Features of samples.

    Attributes:
        features: ``(N, F)``, of the samples that are finite and have finite features.
        numbers: ``(N,)``, the indices of these samples.
        labels: ``(N,)``, ``(N, classes)`` or None: the classes they have, or were asked for.
        broken: How many samples were left out because they or their features are not finite.
    """

    features: Tensor
    numbers: Tensor
    labels: Tensor | None
    broken: int = 0

    def first(self, count: int) -> FeatureSet:
        """Those of the first ``count`` samples."""
        few = int((self.numbers < count).sum())
        labels = None if self.labels is None else self.labels[:few]
        return FeatureSet(self.features[:few], self.numbers[:few], labels, count - few)

    def of_class(self, number: int) -> Tensor:
        """Features of one class, ``(N, F)``."""
        assert self.labels is not None
        return self.features[self.labels == number if self.labels.dim() == 1 else self.labels[:, number] == 1]


class Extractor:
    """Extracts features: each process of its share of the samples, and all get all of them.

    Args:
        modality: Of the samples.
        quiet: Whether no progress bar is shown; None shows one on a terminal.

    Attributes:
        view: The modality's view of samples for evaluation.
        device: Where features are extracted.
        home: Where they are compared. Distances are in double precision and sounds are made of complex numbers, which
            not every device supports: CUDA, or the CPU.
    """

    def __init__(self, modality: Modality, quiet: bool | None) -> None:
        self.view = modality.evaluation_view()
        self.device = PartialState().device
        self.home = self.device if self.device.type == "cuda" else torch.device("cpu")
        self.quiet = quiet if PartialState().is_main_process else True

    def real(self, space: Space, rows: Rows, name: str) -> FeatureSet:
        """Features of real samples.

        Args:
            space: The feature space.
            rows: The samples.
            name: What the progress bar says.
        """

        def block(number: int) -> Tensor:
            return self.view.to_sample(rows.encoded(number * BATCH, (number + 1) * BATCH).to(self.device))

        return self.extract(space, map(block, own_blocks(len(rows))), len(rows), rows.labels, name)

    def generated(
        self, space: Space, model: TrainedGenerator, count: int, seed: int, labels: Tensor | None
    ) -> FeatureSet:
        """Features of generated samples, of the classes given."""
        batches = model.batches(count, seed, labels, blocks=own_blocks(count))
        samples = (self.view.from_generated(batch.to(self.home)) for batch in batches)
        return self.extract(space, ahead(samples), count, labels, "generating")

    def extract(
        self, space: Space, blocks: Iterator[Tensor], count: int, labels: Tensor | None, name: str
    ) -> FeatureSet:
        """Features of samples that come in blocks, those of this process; gathered from all processes.

        Raises:
            BrokenSamplesError: Too few samples are finite.
        """
        features: dict[int, Tensor | None] = {}
        finite: dict[int, Tensor] = {}
        progress = tqdm(own_blocks(count), name, unit=" blocks", disable=self.quiet, leave=False)
        for number, samples in zip(progress, blocks, strict=True):
            samples, good = finite_ones(samples)
            features[number], finite[number] = None, good
            if len(samples):
                with torch.no_grad():
                    extracted = space.extract(samples.to(self.device)).float().cpu()
                features[number], good[good.clone()] = finite_ones(extracted)
        for part, good in gather_object([(features, finite)]):
            features, finite = features | part, finite | good
        kept = torch.cat([finite[number] for number in sorted(finite)])
        broken = int((~kept).sum())
        if len(kept) - broken <= K:
            raise BrokenSamplesError(
                f"{broken} of {len(kept)} samples are not finite numbers: nothing can be said of the rest"
            )
        gathered = torch.cat([one for number in sorted(features) if (one := features[number]) is not None])
        return FeatureSet(
            gathered.to(self.home), kept.nonzero()[:, 0], None if labels is None else labels[kept], broken
        )


def own_blocks(count: int) -> range:
    """The numbers of this process's blocks of ``count`` samples, as large as the batches that are generated.

    Real samples come in the same blocks, so that features differ by nothing else.
    """
    return range(-(-count // BATCH))[PartialState().process_index :: PartialState().num_processes]


def finite_ones(values: Tensor) -> tuple[Tensor, Tensor]:
    """Those of ``(B, ...)`` that are finite, and which they are: ``(B,)`` on the CPU."""
    if values.sum().isfinite():  # of all at once, which is faster
        return values, torch.ones(len(values), dtype=torch.bool)
    good = values.flatten(1).isfinite().all(1)
    return values[good], good.cpu()


def ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, each prepared in the background while the one before is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
