"""Convolutional networks for anything laid out as a square of pixels: pictures, and spectrograms.

They follow DCGAN (Radford et al. 2016, arXiv:1511.06434): strided convolutions of 4 x 4 that halve or double the side,
twice the channels at half the side, batch normalisation and ReLU in the generator, leaky ReLU in the discriminator.
They depart from it where measurements asked for it: the discriminator has no batch normalisation, because a gradient
penalty is about one sample and such a discriminator judges batches; and weights start so that the signal keeps its
scale, instead of at a deviation of 0.02.

A class reaches the generator as an embedding beside the latent (Mirza and Osindero 2014, arXiv:1411.1784), and the
discriminator by projection (Miyato and Koyama 2018, arXiv:1802.05637).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from multigan.networks.activations import LEAK, leaky_relu
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.heads import ProjectionHead
from multigan.networks.normalization import GhostBatchNorm2d

FIRST_SIDE = 4
MOST_CHANNELS = 512


def levels(sides: tuple[int, int]) -> int:
    """How often the sides can be halved until the shorter is 4 to 7."""
    return int(math.log2(min(sides) // FIRST_SIDE))


def first_sides(sides: tuple[int, int]) -> tuple[int, int]:
    """The sides of the smallest layer: 4 x 4, for a square."""
    return sides[0] >> levels(sides), sides[1] >> levels(sides)


def channels_by_side(sides: tuple[int, int], width: int) -> list[int]:
    """Channels at 4 x 4, 8 x 8, ... side / 2: ``width`` at the largest, twice as many at each smaller, 512 at most."""
    return [min(width * 2**level, MOST_CHANNELS) for level in reversed(range(levels(sides)))]


class ConvolutionalGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, *sides)`` in [-1, 1].

    Args:
        latent_dim: Numbers in a latent.
        channels: Channels of a sample.
        sides: Height and width, at least 8: for a square, a power of two.
        width: Channels just before the last layer.
        classes: Number of classes; 0 for an unconditional network.
    """

    def __init__(self, latent_dim: int, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        widths = channels_by_side(sides, width)
        self.first_shape = widths[0], *first_sides(sides)
        self.embedding = ClassEmbedding(classes, latent_dim) if classes else None
        self.first = nn.Linear(latent_dim * (2 if classes else 1), math.prod(self.first_shape), bias=False)
        self.first_norm = GhostBatchNorm2d(widths[0])
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [up(inputs, outputs, bias=False), GhostBatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, up(widths[-1], channels, bias=True))

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(condition)], 1)
        hidden = self.first(latent).view(latent.shape[0], *self.first_shape)
        samples: Tensor = self.layers(self.first_norm(hidden).relu())
        return samples.tanh()


class ConvolutionalFeatures(nn.Module):
    """``(B, channels, *sides) -> (B, features)``: what the discriminator and the classifier build on."""

    def __init__(self, channels: int, sides: tuple[int, int], width: int) -> None:
        super().__init__()
        widths = [channels, *reversed(channels_by_side(sides, width))]
        self.layers = nn.ModuleList(down(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.features = widths[-1] * math.prod(first_sides(sides))

    def forward(self, samples: Tensor) -> Tensor:
        for layer in self.layers:
            samples = leaky_relu(layer(samples))
        return samples.flatten(1)


class ConvolutionalDiscriminator(nn.Module):
    """``(B, channels, *sides), condition -> (B,)`` logits. Arguments as in `ConvolutionalGenerator`."""

    def __init__(self, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        self.body = ConvolutionalFeatures(channels, sides, width)
        self.head = ProjectionHead(self.body.features, classes)

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        logits: Tensor = self.head(self.body(samples), condition)
        return logits


def up(inputs: int, outputs: int, bias: bool) -> nn.ConvTranspose2d:
    """Twice the side. PyTorch's own start takes the fan-in from the wrong side and ignores the stride."""
    layer = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (inputs * 4)))  # each output hears 4 x 4 / 2^2 taps an input
    return layer


def down(inputs: int, outputs: int, bias: bool = True) -> nn.Conv2d:
    """Half the side, the variance kept through a leaky ReLU (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=bias)
    nn.init.kaiming_normal_(layer.weight, a=LEAK)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
