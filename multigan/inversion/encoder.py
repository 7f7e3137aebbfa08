"""An encoder: guesses the latent and the class of a sample, having seen what a generator makes of known ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from tqdm import tqdm

from multigan.config import plain
from multigan.data.cache import cache_home, hashed
from multigan.files import network_tensors
from multigan.generation.generator import TrainedGenerator
from multigan.inversion.distance import PRIOR, norm_prior, values_of
from multigan.modality import Modality
from multigan.version import __version__

VERSION = 1  # of what is cached
STEPS, BATCH, LEARNING_RATE = 500, 32, 1e-3
TIMED = 20  # steps, after which it is known how long it takes
HIDDEN = 128  # units of the network for samples of a modality without a feature network


class Encoder(nn.Module):
    """A modality's feature network with a linear head: ``(B, *S) -> features, latents, logits``.

    Args:
        features: ``(B, *S) -> (B, F)``.
        latent_dim: Numbers of a latent.
        classes: How many classes, or combinations of them, are told apart.
    """

    def __init__(self, features: nn.Module, latent_dim: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.LazyLinear(latent_dim + classes)
        self.latent_dim = latent_dim

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, *S)`` -> features ``(B, F)``, latents ``(B, latent_dim)`` and logits ``(B, classes)``."""
        features = self.features(samples)
        latents, logits = self.head(features).tensor_split((self.latent_dim,), 1)
        return features, latents, logits


def trained_encoder(
    generator: TrainedGenerator, seed: int, quiet: bool | None, say: Callable[[str], object]
) -> Encoder:
    """The encoder of a generator, from the cache if there is one for these weights; on the generator's device.

    Args:
        generator: Its modality must have latents that nearby samples share, and make samples of them alone.
        seed: Decides the initial weights and the samples.
        quiet: Whether no progress bar is shown; None shows one on a terminal.
        say: Called with a line that says how long training takes.
    """
    parts = [VERSION, generator.name, plain(generator.modality.config), generator.digest, seed, STEPS, __version__]
    file = cache_home() / f"encoder-{hashed(parts)}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    device = next(generator.network.parameters()).device
    with FileLock(f"{file}.lock"):
        encoder = untrained(generator, seed, device)
        if not read_weights(encoder, file):
            train(encoder, generator, seed, quiet, say)
            with contextlib.suppress(OSError, SafetensorError):  # the disk is full: it is trained again the next time
                aside = file.with_suffix(".writing")
                save_file(network_tensors(encoder), aside)
                aside.replace(file)
    return encoder.eval().requires_grad_(False)


def untrained(generator: TrainedGenerator, seed: int, device: torch.device) -> Encoder:
    """An encoder with its initial weights."""
    conditions = generator.conditions()
    latents = torch.randn(2, generator.modality.config.latent_dim, generator=torch.Generator().manual_seed(seed))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        classes = 0 if conditions is None else len(conditions)
        encoder = Encoder(feature_network(generator.modality), generator.modality.config.latent_dim, classes)
        condition = None if conditions is None else conditions[[0, 0]].to(device)
        encoder.to(device)(generator.network(latents.to(next(generator.network.parameters())), condition))
    return encoder


def feature_network(modality: Modality) -> nn.Module:
    """The modality's own for metrics or, for samples that are compared as they are, two layers."""
    network = modality.classifier()
    if network is None:
        layers = (nn.LazyLinear(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        network = nn.Sequential(nn.Flatten(), *layers)
    return network


def read_weights(encoder: Encoder, file: Path) -> bool:
    """Load the weights in a file; False if there is none or it is damaged."""
    with contextlib.suppress(OSError, SafetensorError, RuntimeError):
        encoder.load_state_dict(load_file(file))
        return True
    return False


def train(
    encoder: Encoder, generator: TrainedGenerator, seed: int, quiet: bool | None, say: Callable[[str], object]
) -> None:
    """Train with Adam on the generator's own samples; on a CPU the result is deterministic.

    The loss is how far what the generator makes of the guess is from the sample, as in f-AnoGAN and iGAN, the prior of
    the guess and, for a class-conditional generator, the cross-entropy of the class. For the same steps on digits that
    left an error of 0.13, and the squared distance of latents one of 0.35: different latents make the same picture.
    """
    network, conditions = generator.network, generator.conditions()
    weight = next(network.parameters())
    values = values_of(generator.modality, weight.device)
    numbers = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    began = time.perf_counter()
    encoder.train()
    for step in tqdm(range(STEPS), "training an encoder", unit=" steps", disable=quiet, leave=False):
        latents = torch.randn(BATCH, encoder.latent_dim, generator=numbers, dtype=torch.float32).to(weight)
        classes = None if conditions is None else torch.randint(len(conditions), (BATCH,), generator=numbers)
        condition = None if conditions is None else conditions[classes].to(weight.device)
        with torch.no_grad():
            samples = network(latents, condition)
            target = values(samples)
        _, guessed, logits = encoder(samples)
        loss = mse_loss(values(network(guessed, condition)), target) / mse_loss(target, target.roll(1, 0))
        loss = loss + PRIOR * norm_prior(guessed).mean()
        if classes is not None:
            loss = loss + cross_entropy(logits, classes.to(weight.device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step == TIMED - 1:
            minutes = (time.perf_counter() - began) / TIMED * STEPS / 60
            say(f"training an encoder on the model's own samples, once: about {minutes:.1f} min")
