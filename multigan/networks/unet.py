"""The generator of pix2pix: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks",
arXiv:1611.07004.

Section 3.2.1 and appendix 6.1.1: an encoder of strided 4 x 4 convolutions down to a bottleneck, a decoder that mirrors
it, and skips between layers of the same size, so that detail need not pass the bottleneck (U-Net: Ronneberger et al.
2015, arXiv:1505.04597). The published size for 256 x 256 is a width of 64 and a depth of 8.

Differences: the noise is a latent instead of dropout, because no network here draws random numbers of its own; and
normalisation is over a sample instead of a batch (published batches have one sample, where both are the same). The
innermost layer is not normalised, as in the authors' later code: normalising a map of one pixel always gives 0.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from multigan.networks.activations import leaky_relu
from multigan.networks.convolutional import down, up
from multigan.networks.normalization import InstanceNorm2d
from multigan.networks.padding import cropped, pad_to_multiple

MOST_WIDTHS = 8  # most channels of a layer, as a multiple of the width


class UNetGenerator(nn.Module):
    """``(B, latent_dim), condition (B, inputs, H, W) -> (B, outputs, H, W)`` in [-1, 1], for any H and W.

    Args:
        latent_dim: Numbers in a latent; 0 for a deterministic network.
        inputs: Channels of the condition.
        outputs: Channels of a sample.
        width: Channels at half the side; twice as many at each further half, eight times as many at most.
        depth: How often the sides are halved, at least 2: sides are padded to a multiple of ``2**depth``.
    """

    def __init__(self, latent_dim: int, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * min(2**level, MOST_WIDTHS) for level in range(depth)]
        self.stride = 2**depth
        self.first = down(inputs, widths[0])
        self.encoder = nn.ModuleList(Encode(*channels) for channels in pairwise(widths[:-1]))
        self.innermost = down(widths[-2], widths[-1])
        self.latent = spread(latent_dim, widths[-1]) if latent_dim else None
        # Each layer of the decoder but the first receives the one below and the encoder's layer of the same size.
        below = [widths[-1], *(2 * channels for channels in reversed(widths[1:-1]))]
        self.decoder = nn.ModuleList(Decode(*pair) for pair in zip(below, reversed(widths[:-1]), strict=True))
        self.last = up(2 * widths[0], outputs, bias=True)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        height, width = condition.shape[2:]
        skips = [self.first(pad_to_multiple(condition, self.stride))]
        for encode in self.encoder:
            skips.append(encode(skips[-1]))
        hidden = self.innermost(leaky_relu(skips[-1]))
        if self.latent is not None:
            # Constant maps, added before the ReLU: without a nonlinearity in between, the next normalisation would
            # cancel them.
            hidden = hidden + self.latent(latent)[:, :, None, None]
        for decode, skip in zip(self.decoder, reversed(skips), strict=True):
            hidden = torch.cat([decode(hidden), skip], 1)
        samples: Tensor = self.last(hidden.relu())
        return cropped(samples.tanh(), height, width)


class Encode(nn.Module):
    """``(B, inputs, H, W) -> (B, outputs, H / 2, W / 2)``: activation, convolution, normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = down(inputs, outputs, bias=False)
        self.norm = InstanceNorm2d(outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        normal: Tensor = self.norm(self.convolution(leaky_relu(hidden)))
        return normal


class Decode(nn.Module):
    """``(B, inputs, H, W) -> (B, outputs, 2 H, 2 W)``: activation, transposed convolution, normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = up(inputs, outputs, bias=False)
        self.norm = InstanceNorm2d(outputs)

    def forward(self, hidden: Tensor) -> Tensor:
        normal: Tensor = self.norm(self.convolution(hidden.relu()))
        return normal


def spread(latent_dim: int, channels: int) -> nn.Linear:
    """From a latent to an offset for each channel, of the channels' own scale, so that it matters from the start."""
    layer = nn.Linear(latent_dim, channels, bias=False)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(latent_dim))
    return layer
