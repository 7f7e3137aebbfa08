"""R3GAN: Huang, Gokaslan, Kuleshov and Tompkin 2024, "The GAN is dead; long live the GAN!", arXiv:2501.05441.

Generator and discriminator mirror each other (section 3 and appendix; figure 2c). At each side from 4 x 4 up to the
picture's there are two residual blocks, grouped inverted bottlenecks: 1 x 1 to twice the channels, a grouped 3 x 3,
1 x 1 back. Nothing is normalised; instead weights start so that the variance stays (Fixup: Zhang et al. 2019,
arXiv:1901.09321): each block starts as the identity. There are no styles, no noise, no mixing, no minibatch deviation.
The published objective is `relativistic` with R1 and R2 of the same weight.

A class is an embedding beside the latent in the generator, and in the discriminator the vector that its features are
projected on (Miyato and Koyama 2018, arXiv:1802.05637), which here is all of the logit.

The published sizes follow from one width, the channels at the picture's own side: 96 is FFHQ at 256 x 256, 384 FFHQ at
64 x 64, 768 CIFAR-10, 1536 ImageNet at 32 x 32 and 64 x 64, with 64 numbers in a latent.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from multigan.networks.activations import LEAK, leaky_relu
from multigan.networks.convolutional import first_sides, levels
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.resampling import Downsample, Upsample

MOST_CHANNELS = 768
PER_GROUP = 8  # channels of a block to each group of its grouped convolution
MOST_GROUPS = 96
BLOCKS = 2  # at each side
EXPANSION = 2
GAIN = math.sqrt(2 / (1 + LEAK**2))  # keeps the variance through a leaky ReLU: He et al. 2015, arXiv:1502.01852


def channels_by_side(sides: tuple[int, int], width: int) -> list[int]:
    """Channels at 4 x 4, 8 x 8, ... the full side: ``width`` there, twice as many at each smaller, 768 at most.

    With a width above 768 all sides have that many.

    Raises:
        ValueError: A number of channels cannot be shared out to groups.
    """
    most = max(MOST_CHANNELS, width)
    channels = [min(width * 2**level, most) for level in reversed(range(levels(sides) + 1))]
    if any(count % PER_GROUP or count % groups(count) for count in channels):
        raise ValueError(
            f"width is {width}: expected a multiple of {PER_GROUP}, and above {MOST_CHANNELS} of {MOST_GROUPS}"
        )
    return channels


def groups(channels: int) -> int:
    """Groups of the grouped convolution in a block of so many channels."""
    return min(channels // PER_GROUP, MOST_GROUPS)


class ResidualBlock(nn.Module):
    """``(B, channels, H, W)`` -> the same: ``x + contract(act(grouped(act(expand(x)))))``.

    Args:
        channels: Input and output channels.
        blocks: Blocks in the whole network. With L = 3 layers in a block, Fixup scales the weights of all but the last
            by ``blocks^(-1 / (2 L - 2))``; the last one starts at zero.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        hidden, gain = EXPANSION * channels, GAIN * blocks ** (-1 / 4)
        self.expand = initialized(nn.Conv2d(channels, hidden, 1), gain)
        self.grouped = initialized(nn.Conv2d(hidden, hidden, 3, padding=1, groups=groups(channels)), gain)
        self.contract = initialized(nn.Conv2d(hidden, channels, 1, bias=False), 0)

    def forward(self, samples: Tensor) -> Tensor:
        hidden = leaky_relu(self.grouped(leaky_relu(self.expand(samples))))
        change: Tensor = self.contract(hidden)
        return samples + change


class GenerativeBasis(nn.Module):
    """``(B, features) -> (B, channels, *sides)``: learned pictures of 4 x 4, each scaled by a linear function."""

    def __init__(self, features: int, channels: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(1, channels, *sides))
        self.scales = initialized(nn.Linear(features, channels, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        scales: Tensor = self.scales(features)
        return self.basis * scales[:, :, None, None]


class DiscriminativeBasis(nn.Module):
    """``(B, channels, *sides) -> (B, features)``: each channel against a learned picture of 4 x 4, then linear."""

    def __init__(self, channels: int, features: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.basis = initialized(nn.Conv2d(channels, channels, sides, groups=channels, bias=False))
        self.last = initialized(nn.Linear(channels, features, bias=False))

    def forward(self, samples: Tensor) -> Tensor:
        features: Tensor = self.last(self.basis(samples).flatten(1))
        return features


class R3GANGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, *sides)``, not bounded: what is written is clamped to [-1, 1].

    Args:
        latent_dim: Numbers in a latent.
        channels: Channels of a sample.
        sides: Height and width, at least 8, that can be halved until the shorter is 4 to 7.
        width: Channels at the full side, a multiple of 8.
        classes: Number of classes; 0 for an unconditional network.

    Raises:
        ValueError: The width cannot be shared out to groups.
    """

    def __init__(self, latent_dim: int, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        widths = channels_by_side(sides, width)
        blocks = BLOCKS * len(widths)
        self.embedding = class_embedding(classes, latent_dim) if classes else None
        layers: list[nn.Module] = [GenerativeBasis(latent_dim * (2 if classes else 1), widths[0], first_sides(sides))]
        layers += [ResidualBlock(widths[0], blocks) for _ in range(BLOCKS)]
        for inputs, outputs in pairwise(widths):
            layers += [*transition(inputs, outputs), Upsample()]
            layers += [ResidualBlock(outputs, blocks) for _ in range(BLOCKS)]
        self.layers = nn.Sequential(*layers)
        self.to_picture = initialized(nn.Conv2d(widths[-1], channels, 1, bias=False))

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(condition)], 1)
        samples: Tensor = self.to_picture(self.layers(latent))
        return samples


class R3GANDiscriminator(nn.Module):
    """``(B, channels, *sides), condition -> (B,)`` logits. Arguments and errors as in `R3GANGenerator`."""

    def __init__(self, channels: int, sides: tuple[int, int], width: int, classes: int) -> None:
        super().__init__()
        widths = channels_by_side(sides, width)[::-1]
        blocks = BLOCKS * len(widths)
        features = widths[-1] if classes else 1
        self.from_picture = initialized(nn.Conv2d(channels, widths[0], 1, bias=False))
        layers: list[nn.Module] = [ResidualBlock(widths[0], blocks) for _ in range(BLOCKS)]
        for inputs, outputs in pairwise(widths):
            layers += [Downsample(), *transition(inputs, outputs)]
            layers += [ResidualBlock(outputs, blocks) for _ in range(BLOCKS)]
        self.layers = nn.Sequential(*layers, DiscriminativeBasis(widths[-1], features, first_sides(sides)))
        self.embedding = class_embedding(classes, features, 1 / math.sqrt(features)) if classes else None

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor:
        features: Tensor = self.layers(self.from_picture(samples))
        if self.embedding is not None:
            features = features * self.embedding(condition)
        return features.sum(1)


def transition(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1 x 1 convolution where the number of channels changes."""
    return [] if inputs == outputs else [initialized(nn.Conv2d(inputs, outputs, 1, bias=False))]


def class_embedding(classes: int, features: int, gain: float = 1.0) -> ClassEmbedding:
    """A linear layer on one-hot classes: their number is its fan-in."""
    embedding = ClassEmbedding(classes, features)
    nn.init.normal_(embedding.weight, std=gain / math.sqrt(classes))
    return embedding


def initialized(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """Weights of deviation ``gain / sqrt(fan-in)`` and biases of zero: He et al. 2015."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
