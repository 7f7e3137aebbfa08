"""The residual generator of fast style transfer and of CycleGAN.

Johnson et al. 2016, "Perceptual losses for real-time style transfer and super-resolution", arXiv:1603.08155, in the
form that Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent adversarial networks",
arXiv:1703.10593, give it (appendix 7.2): a 7 x 7 convolution, two of stride 2, residual blocks, two that double the
sides, a 7 x 7 convolution and tanh; reflection padding, instance normalisation. The published size is a width of 64
with 6 blocks for 128 x 128 and 9 for 256 x 256.

Differences: sides are doubled by nearest-neighbour upsampling before a 3 x 3 convolution instead of a transposed one of
as many weights, whose kernel overlaps unevenly and draws checkerboards (Odena et al. 2016,
doi:10.23915/distill.00003). And a latent may scale and shift the first normalised map of each block (adaptive instance
normalisation: Huang and Belongie 2017, arXiv:1703.06868; in residual blocks: MUNIT, Huang et al. 2018,
arXiv:1804.04732). As constant maps beside the picture it would be cancelled by the first normalisation.
"""

import math

import torch
from torch import Tensor, nn

from multigan.networks.normalization import InstanceNorm2d
from multigan.networks.padding import cropped, pad_to_multiple

LEAST_SIDE = 2  # of the smallest map: one pixel cannot be normalised or reflected


class ResNetGenerator(nn.Module):
    """``(B, latent_dim), condition (B, inputs, H, W) -> (B, outputs, H, W)`` in [-1, 1], for any H and W.

    Args:
        latent_dim: Numbers in a latent; 0 for a deterministic network.
        inputs: Channels of the condition.
        outputs: Channels of a sample.
        width: Channels at the full side; twice as many at each half.
        blocks: Number of residual blocks, at the smallest side.
        halvings: How often the sides are halved, at least once: sides are padded to a multiple of ``2**halvings``.
    """

    def __init__(self, latent_dim: int, inputs: int, outputs: int, width: int, blocks: int, halvings: int = 2) -> None:
        super().__init__()
        self.stride = 2**halvings
        encoder: list[nn.Module] = [*normalized(inputs, width, side=7)]
        for level in range(halvings):
            encoder += normalized(width << level, width << (level + 1), side=3, stride=2)
        self.encoder = nn.Sequential(*encoder)
        self.blocks = nn.ModuleList(ResidualBlock(latent_dim, width << halvings) for _ in range(blocks))
        decoder: list[nn.Module] = []
        for level in reversed(range(halvings)):
            decoder += [
                nn.UpsamplingNearest2d(scale_factor=2),
                *normalized(width << (level + 1), width << level, side=3),
            ]
        self.decoder = nn.Sequential(*decoder, convolution(width, outputs, side=7, bias=True))

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        height, width = condition.shape[2:]
        hidden = self.encoder(pad_to_multiple(condition, self.stride, LEAST_SIDE))
        for block in self.blocks:
            hidden = block(hidden, latent)
        samples: Tensor = self.decoder(hidden)
        return cropped(samples.tanh(), height, width)


class ResidualBlock(nn.Module):
    """Hidden ``(B, channels, H, W)``, latent -> as hidden. The sum is passed on as it is, without ReLU."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, side=3)
        self.first_norm = InstanceNorm2d(channels)
        self.scale_and_shift = nn.Linear(latent_dim, 2 * channels, bias=False) if latent_dim else None
        if self.scale_and_shift is not None:
            nn.init.normal_(self.scale_and_shift.weight, std=1 / math.sqrt(latent_dim))
        self.second = convolution(channels, channels, side=3)
        self.second_norm = InstanceNorm2d(channels, bias=False)  # later normalisations would cancel it

    def forward(self, hidden: Tensor, latent: Tensor) -> Tensor:
        change = self.first_norm(self.first(hidden))
        if self.scale_and_shift is not None:
            scale, shift = self.scale_and_shift(latent)[:, :, None, None].chunk(2, 1)
            change = change * (1 + scale) + shift
        change = self.second_norm(self.second(change.relu()))
        total: Tensor = hidden + change
        return total


class TwoWayGenerator(nn.Module):
    """Both generators of CycleGAN as one: ``condition (B, 2 C, H, W) -> (B, 2 C, H, W)``.

    The condition is a picture of A and one of B, stacked in channels. So are samples: B's picture translated to A, and
    A's picture translated to B. Applied to its own samples, the network closes both cycles.

    A condition of one picture, ``(B, C, H, W)``, is translated in the ``direction`` that is set, AB at first.

    Args:
        to_a: Generator from B to A.
        to_b: Generator from A to B, of as many channels.
        channels: C, channels of one picture.
    """

    def __init__(self, to_a: nn.Module, to_b: nn.Module, channels: int) -> None:
        super().__init__()
        self.to_a, self.to_b, self.channels = to_a, to_b, channels
        self.direction = "AB"

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        if condition.shape[1] == self.channels:
            one: Tensor = (self.to_b if self.direction == "AB" else self.to_a)(latent, condition)
            return one
        a, b = condition.chunk(2, 1)
        return torch.cat([self.to_a(latent, b), self.to_b(latent, a)], 1)


def convolution(inputs: int, outputs: int, side: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """With reflection padding, and the variance kept through a ReLU (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=bias, padding_mode="reflect")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def normalized(inputs: int, outputs: int, side: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """A convolution without a bias, which the normalisation would cancel, then normalisation and ReLU."""
    return convolution(inputs, outputs, side, stride), InstanceNorm2d(outputs), nn.ReLU()
