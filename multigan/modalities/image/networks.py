"""The fully connected networks of the original GAN: Goodfellow et al. 2014, arXiv:1406.2661.

Leaky ReLU stands in the discriminator for the paper's maxout, and nothing is dropped out, because a run must be
repeatable to the bit. A class is told to both as an embedding beside their input (Mirza and Osindero 2014,
arXiv:1411.1784).
"""

import math

import torch
from torch import Tensor, nn

from multigan.networks.embedding import ClassEmbedding

SLOPE = 0.2


class FullyConnectedGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, *sides)`` in [-1, 1].

    Hidden layers of width, 2 width and 4 width units; ``classes`` is 0 for an unconditional network.
    """

    def __init__(self, latent_dim: int, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        self.shape = (channels, *sides)
        self.embedding = ClassEmbedding(classes, latent_dim) if classes else None
        self.layers = nn.Sequential(
            nn.Linear(latent_dim * (2 if classes else 1), width),
            nn.ReLU(),
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, channels * math.prod(sides)),
            nn.Tanh(),
        )

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(condition)], 1)
        samples: Tensor = self.layers(latent)
        return samples.view(-1, *self.shape)


class FullyConnectedDiscriminator(nn.Module):
    """``(B, channels, *sides), condition -> (B,)`` logits. Hidden layers of 4, 2 and 1 times width units."""

    def __init__(self, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        self.embedding = ClassEmbedding(classes, width) if classes else None
        self.layers = nn.Sequential(
            nn.Linear(channels * math.prod(sides) + (width if classes else 0), 4 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(4 * width, 2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(2 * width, width),
            nn.LeakyReLU(SLOPE),
            nn.Linear(width, 1),
        )

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        inputs = samples.flatten(1)
        if self.embedding is not None:
            inputs = torch.cat([inputs, self.embedding(condition)], 1)
        logits: Tensor = self.layers(inputs)
        return logits.squeeze(1)
