"""Finds latents: the encoder guesses, gradient descent refines.

Zhu et al. 2016, arXiv:1609.03552 (an encoder, then descent); Schlegl et al. 2017, arXiv:1703.05921 (AnoGAN: what
remains is an anomaly score); Schlegl et al. 2019, f-AnoGAN (the encoder's part in it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from multigan.errors import UserError
from multigan.generation.generator import Label, TrainedGenerator, label_names
from multigan.interface import Condition, joined
from multigan.inversion.distance import PRIOR, Distance, norm_prior
from multigan.inversion.encoder import trained_encoder

BATCH = 32  # samples whose latents are refined at a time
STEPS, LEARNING_RATE = 100, 0.1
CANDIDATES, LEAST = 3, 0.01  # classes that are tried, where none is given, and how likely the encoder must find them


@dataclass(frozen=True)
class Inversion:
    """What was found for N samples.

    Attributes:
        latents: float32 ``(N, latent_dim)``.
        conditions: The classes, as `TrainedGenerator.conditions` returns them, one a sample; None without classes.
        labels: Their names; empty without classes.
        reconstructions: What the generator makes of these, ``(N, *S)`` on the CPU.
        values: The squared distance of each reconstruction from its sample, in the unit of `Distance`, ``(N,)``.
        features: The same for the encoder's features.
    """

    latents: Tensor
    conditions: Tensor | None
    labels: list[str]
    reconstructions: Tensor
    values: Tensor
    features: Tensor

    @property
    def distances(self) -> Tensor:
        """The mean of both, ``(N,)``: 0 for the same sample, about 1 for an unrelated one of the generator."""
        return (self.values + self.features) / 2


def check_invertible(generator: TrainedGenerator) -> None:
    """Raise UserError for a generator that has no latents to find."""
    if generator.modality.takes_inputs:
        raise UserError("this model makes something of inputs, so there are no latents to find")
    if not generator.modality.latent_space:
        raise UserError(
            f"nearby latents of modality {generator.name!r} do not give similar samples, so none can be found"
        )
    if generator.modality.finish is not None:  # inputs are compared with what the network makes
        raise UserError("this model finishes what its network makes, spectrograms into waves, so none can be found")


class Inverter:
    """Finds latents of samples for one generator.

    Args:
        generator: A trained generator that makes samples from latents.
        seed: Of the encoder. All else is a function of the samples.
        quiet: Whether no progress bar is shown; None shows one on a terminal.
        say: Called with a line on what takes long.

    Raises:
        UserError: The generator has no latents to find.
    """

    def __init__(
        self,
        generator: TrainedGenerator,
        seed: int = 0,
        quiet: bool | None = True,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        check_invertible(generator)
        modality = generator.modality
        self.generator, self.seed, self.quiet = generator, seed, quiet
        modality.apply_options(generator.network, modality.Options())
        self.encoder = trained_encoder(generator, seed, quiet, say)
        self.distance = Distance(generator, self.encoder.features, seed)
        self.weight = next(generator.network.parameters())

    def invert(self, samples: Tensor, label: Label = None) -> Inversion:
        """Find the latents of samples.

        Args:
            samples: ``(N, *S)``, in the form of the generator's own.
            label: As in `TrainedGenerator.generate`: the classes of the samples, in turn. Default: the likeliest that
                the encoder finds are tried, and the nearest is taken.

        Raises:
            UserError: There is no such class.
        """
        given = None if label is None else self.generator.conditions(label)
        if given is not None:
            given = given[[place % len(given) for place in range(len(samples))]]
        starts = range(0, len(samples), BATCH)
        found = [
            self.refined(samples[at : at + BATCH], None if given is None else given[at : at + BATCH])
            for at in tqdm(starts, "inverting", unit=" batches", disable=self.quiet, leave=False)
        ]
        latents = torch.cat([latents for latents, _ in found])
        return self.result(samples, latents, joined([conditions for _, conditions in found]))

    def refined(self, samples: Tensor, given: Tensor | None) -> tuple[Tensor, Condition]:
        """Latents of a few samples and their classes, on the CPU."""
        samples = samples.to(self.weight)
        with torch.no_grad():
            _, guess, logits = self.encoder(samples)
            target = self.distance.forms(samples)
        every, owners, conditions = self.generator.conditions(), torch.arange(len(samples)), given
        if given is None and every is not None:
            likely = logits.softmax(1).cpu().topk(min(CANDIDATES, len(every)))
            tried = likely.values >= LEAST
            tried[:, 0] = True
            owners, _ = tried.nonzero(as_tuple=True)  # the samples that the candidates are for, ascending
            conditions = every[likely.indices[tried]]
        told = None if conditions is None else conditions.to(self.weight.device)
        at = owners.to(self.weight.device)
        latents, losses = self.descend(guess[at], told, (target[0][at], target[1][at]))
        nearest = torch.stack(
            [torch.where(owners == owner, losses, math.inf).argmin() for owner in range(len(samples))]
        )
        return latents[nearest], None if conditions is None else conditions[nearest]

    def descend(self, start: Tensor, condition: Condition, target: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Adam on latents; the nearest that was met of each, ``(B, latent_dim)``, and its loss ``(B,)``, on the CPU.

        The gradient goes through what is differentiable. Noise that is keyed by the bits of a latent is not, and jumps.
        """
        latents = nn.Parameter(start.clone())
        optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        best, least = start.clone(), torch.full((len(start),), math.inf, device=start.device)
        for step in range(STEPS + 1):
            made = self.distance.forms(self.generator.network(latents, condition))
            losses = self.distance.between(made, target).mean(0) + PRIOR * norm_prior(latents)
            with torch.no_grad():
                better = losses < least
                best[better], least[better] = latents[better], losses[better].float()
            if step < STEPS:
                (latents.grad,) = torch.autograd.grad(losses.sum(), latents)
                optimizer.step()
                schedule.step()
        return best.float().cpu(), least.cpu()

    def result(self, samples: Tensor, latents: Tensor, conditions: Condition) -> Inversion:
        """What the generator makes of latents, in the way in which it generates, and how far that is from samples."""
        assert not isinstance(conditions, dict)  # which only models that take inputs have
        made = torch.cat(list(self.generator.batches(len(latents), label=conditions, latents=latents)))
        distances = []
        for pair in zip(torch.split(samples, BATCH), torch.split(made, BATCH), strict=True):
            with torch.no_grad():
                one, other = (self.distance.forms(part.to(self.weight)) for part in pair)
                distances.append(self.distance.between(one, other).float().cpu())
        values, features = torch.cat(distances, 1)
        labels = [] if conditions is None else label_names(conditions, self.generator.classes)
        return Inversion(latents, conditions, labels, made, values, features)


def invert(
    generator: TrainedGenerator,
    inputs: Tensor | str | Path | Iterable[str | Path],
    label: Label = None,
    seed: int = 0,
    quiet: bool | None = None,
) -> Inversion:
    """Find the latents of pictures or sounds: what the generator would make them from.

    The first call for a model trains an encoder on its own samples, which is kept in the cache.

    Args:
        generator: A trained generator.
        inputs: Files, brought to the shape of the training data as training does; or samples ``(N, *S)``.
        label: As in `TrainedGenerator.generate`. Default: the nearest of the likeliest classes.
        seed: Of the encoder: the same seed gives the same latents.
        quiet: Whether no progress bar is shown; None shows one on a terminal.

    Returns:
        The latents, which `TrainedGenerator.generate` takes, the reconstructions and their distances.

    Raises:
        UserError: The generator has no latents to find, an input cannot be used, or there is no such class.
    """
    from multigan.inversion.inputs import read_samples

    inverter = Inverter(generator, seed, quiet)
    if isinstance(inputs, Tensor):
        return inverter.invert(inputs, label)
    files = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    return inverter.invert(read_samples(generator.modality, [Path(file) for file in files]).samples, label)
