"""Features of real and of generated samples, extracted by all processes of a launch together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
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
from multigan.interface import Condition
from multigan.modality import Modality, PairMetrics

Block = tuple[Tensor, dict[str, Tensor]]  # samples, and values of metrics of each by name, (B,)


class FeatureSet(NamedTuple):
    """Features of samples.

    Attributes:
        features: ``(N, F)``, of the samples that are finite and have finite features.
        numbers: ``(N,)``, the indices of these samples.
        labels: ``(N,)``, ``(N, classes)`` or None: the classes they have, or were asked for.
        broken: How many samples were left out because they or their features are not finite.
        pairs: Values of the metrics that compare each sample with its truth, by name, ``(N,)`` each; empty without any.
    """

    features: Tensor
    numbers: Tensor
    labels: Tensor | None
    broken: int = 0
    pairs: Mapping[str, Tensor] = MappingProxyType({})

    def first(self, count: int) -> FeatureSet:
        """Those of the first ``count`` samples."""
        few = int((self.numbers < count).sum())
        labels = None if self.labels is None else self.labels[:few]
        pairs = {name: values[:few] for name, values in self.pairs.items()}
        return FeatureSet(self.features[:few], self.numbers[:few], labels, count - few, pairs)

    def of_class(self, number: int) -> Tensor:
        """Features of one class, ``(N, F)``."""
        assert self.labels is not None
        return self.features[self.labels == number if self.labels.dim() == 1 else self.labels[:, number] == 1]


class Inputs(NamedTuple):
    """What a model that takes inputs is told, and what its outputs are compared with: held-out rows.

    Attributes:
        modality: It makes samples and conditions of the rows.
        rows: The rows; sample i is the output for row i.
        metrics: Metrics that compare each output with its truth; None where there is no truth, or no such metric.
        device: Where the outputs are compared.
    """

    modality: Modality
    rows: Rows
    metrics: PairMetrics | None
    device: torch.device

    def pair(self, numbers: range) -> tuple[Tensor, Condition]:
        """The true samples of rows, and what the generator is told of them."""
        return self.rows.pair(self.modality, numbers.start, numbers.stop, self.device)

    def condition(self, numbers: range) -> Condition:
        """What the generator is told of rows."""
        return self.pair(numbers)[1]

    def compared(self, outputs: Tensor | None, numbers: range) -> dict[str, Tensor]:
        """Metrics of the outputs ``(B, *S)`` for rows, None for the truth itself, beside their truth, ``(B,)`` each."""
        if self.metrics is None:
            return {}
        real, condition = self.pair(numbers)
        with torch.no_grad():
            found = self.metrics.compute(real if outputs is None else outputs.to(self.device), real, condition)
        return {name: values.detach().double().cpu() for name, values in found.items()}


class Extractor:
    """Extracts features: each process of its share of the samples, and all get all of them.

    Args:
        modality: Of the samples.
        quiet: Whether no progress bar is shown; None shows one on a terminal.

    Attributes:
        device: Where features are extracted.
        home: Where they are compared: distances are in double precision, which not every device supports. CUDA, or the
            CPU.
    """

    def __init__(self, modality: Modality, quiet: bool | None) -> None:
        self.modality = modality
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
        device = self.home if self.modality.takes_inputs else self.device

        def block(number: int) -> Block:
            return rows.samples(self.modality, number * BATCH, (number + 1) * BATCH, device), {}

        return self.extract(space, map(block, own_blocks(len(rows))), len(rows), rows.labels, name)

    def generated(
        self,
        space: Space,
        model: TrainedGenerator,
        count: int,
        seed: int,
        labels: Tensor | None,
        inputs: Inputs | None = None,
    ) -> FeatureSet:
        """Features of generated samples, of the classes given or for the inputs given."""
        blocks = own_blocks(count)
        batches = (
            model.batches(count, seed, labels, blocks=blocks)
            if inputs is None
            else model.batches(count, seed, blocks=blocks, conditions_of=inputs.condition)
        )
        return self.outputs(space, batches, count, labels, inputs, "generating")

    def outputs(
        self,
        space: Space,
        batches: Iterator[Tensor],
        count: int,
        labels: Tensor | None,
        inputs: Inputs | None,
        name: str,
    ) -> FeatureSet:
        """Features of samples ``(B, *F)`` as a generator makes them, in this process's blocks, and metrics of pairs."""

        def block(number: int, batch: Tensor) -> Block:
            numbers = range(number * BATCH, number * BATCH + len(batch))
            values = {} if inputs is None else inputs.compared(batch, numbers)
            return batch, values

        return self.extract(space, ahead(map(block, own_blocks(count), batches)), count, labels, name)

    def extract(
        self, space: Space, blocks: Iterator[Block], count: int, labels: Tensor | None, name: str
    ) -> FeatureSet:
        """Features of samples that come in blocks, those of this process; gathered from all processes.

        Raises:
            BrokenSamplesError: Too few samples are finite.
        """
        features: dict[int, Tensor | None] = {}
        finite: dict[int, Tensor] = {}
        pairs: dict[int, dict[str, Tensor]] = {}
        progress = tqdm(own_blocks(count), name, unit=" blocks", disable=self.quiet, leave=False)
        for number, (samples, pairs[number]) in zip(progress, blocks, strict=True):
            samples, good = finite_ones(samples)
            features[number], finite[number] = None, good
            if len(samples):
                with torch.no_grad():
                    extracted = space.extract(samples.to(self.device)).float().cpu()
                features[number], good[good.clone()] = finite_ones(extracted)
        for part, good, compared in gather_object([(features, finite, pairs)]):
            features, finite, pairs = features | part, finite | good, pairs | compared
        kept = torch.cat([finite[number] for number in sorted(finite)])
        broken = int((~kept).sum())
        if len(kept) - broken <= K:
            raise BrokenSamplesError(
                f"{broken} of {len(kept)} samples are not finite numbers: nothing can be said of the rest"
            )
        gathered = torch.cat([one for number in sorted(features) if (one := features[number]) is not None])
        return FeatureSet(
            gathered.to(self.home),
            kept.nonzero()[:, 0],
            None if labels is None else labels[kept],
            broken,
            {name: torch.cat([pairs[number][name] for number in sorted(pairs)])[kept] for name in pairs[0]},
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
