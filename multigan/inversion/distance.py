"""How far samples are from each other, and how unlikely latents are: what the encoder and the descent minimise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from multigan.engine.shell import represented
from multigan.generation.generator import TrainedGenerator
from multigan.modality import Modality

PRIOR = 0.1  # weight of the prior, in the unit of the distance
SCALED = 256  # generated samples whose distances from each other are the unit


def values_of(modality: Modality, device: torch.device) -> Callable[[Tensor], Tensor]:
    """What is compared of samples ``(B, *S) -> (B, N)``: what the discriminator looks at, a spectrogram of sounds."""
    with torch.random.fork_rng(devices=[]):
        discriminator = modality.discriminator().to(device)  # of which no weight is used
    return lambda samples: represented(discriminator, samples).flatten(1)


class Distance:
    """Squared distances of samples, in values and in features of an encoder.

    The unit of both is the mean of two samples that the generator makes at random, so that they can be added.

    Args:
        generator: The generator.
        features: The feature network of its encoder.
        seed: Of the samples that give the unit.
    """

    def __init__(self, generator: TrainedGenerator, features: nn.Module, seed: int) -> None:
        device = next(generator.network.parameters()).device
        self.values, self.features = values_of(generator.modality, device), features
        with torch.no_grad():
            forms = [self.forms(batch.to(device)) for batch in generator.batches(SCALED, seed)]
        both = [torch.cat(parts) for parts in zip(*forms, strict=True)]
        means = torch.stack([(one - one.roll(1, 0)).square().mean() for one in both])
        self.units = means.clamp_min(torch.finfo(torch.float32).tiny)

    def forms(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples ``(B, *S)`` as they are compared: values and features, ``(B, ...)`` each."""
        return self.values(samples), self.features(samples)

    def between(self, ones: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> Tensor:
        """Distances of samples given by their `forms`: ``(2, B)``, in values and in features."""
        means = [(one - other).square().mean(1) for one, other in zip(ones, others, strict=True)]
        return torch.stack(means) / self.units[:, None]


def norm_prior(latents: Tensor) -> Tensor:
    """How unlikely the lengths of latents are, ``(B,)``: 0 for the likeliest.

    The negative log-density of the length of a standard normal vector, divided by its dimensions: Samuel et al. 2023,
    arXiv:2306.08687. A Gaussian prior would pull latents to zero, where the generator has never been.

    Args:
        latents: ``(B, d)``.
    """
    dim = latents.shape[1]
    likeliest = max(dim - 1, 1e-3)  # the square of the likeliest length
    squared = latents.square().sum(1).clamp_min(1e-12)
    return (squared - likeliest - likeliest * (squared / likeliest).log()) / (2 * dim)
