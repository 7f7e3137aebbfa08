"""The generator of SRGAN: Ledig et al. 2017, "Photo-realistic single image super-resolution using a generative
adversarial network", arXiv:1609.04802.

SRResNet (figure 4): residual blocks at the small side, a skip around all of them, then sub-pixel convolutions that
double the sides. As in EDSR (Lim et al. 2017, arXiv:1707.02921) and ESRGAN (Wang et al. 2018, arXiv:1809.00219) nothing
is normalised, and all convolutions are 3 x 3: at factor 4 the published baseline of EDSR, 64 channels and 16 blocks.

The network learns the difference to a bicubic enlargement (Kim et al. 2016, arXiv:1511.04587) and starts with a small
one. Sub-pixel convolutions start as nearest-neighbour upsampling, without the checkerboards of independent weights
(ICNR: Aitken et al. 2017, arXiv:1707.02937).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from multigan.networks.activations import LEAK, leaky_relu

FACTORS = 2, 4, 8
BESIDE_BLOCKS = 4  # pixels to any side that the layers beside the blocks add to the receptive field, at any factor
DIFFERENCE = 0.1  # scale of the difference to the bicubic enlargement that weights start with


class SuperResolutionGenerator(nn.Module):
    """``(B, latent_dim), condition (B, channels, H, W) -> (B, channels, factor H, factor W)``, for any H and W.

    Samples are clamped to [-1, 1], because a bicubic enlargement overshoots at edges; tanh would distort every value.
    Gradients ignore the clamp (straight-through), so that a pixel out of range can return.

    Args:
        latent_dim: Numbers in a latent; 0 for a deterministic network.
        channels: Channels of condition and sample.
        width: Channels of every layer between them.
        blocks: Number of residual blocks.
        factor: How many times as high and wide samples are: 2, 4 or 8.

    Raises:
        ValueError: The factor is another.
    """

    def __init__(self, latent_dim: int, channels: int, width: int, blocks: int, factor: int) -> None:
        super().__init__()
        if factor not in FACTORS:
            raise ValueError(f"factor is {factor}: expected 2, 4 or 8")
        self.factor = factor
        # Without normalisation nothing cancels constants, so the latent can be constant maps beside the picture.
        self.first = convolution(channels + latent_dim, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, blocks) for _ in range(blocks)))
        self.after_blocks = convolution(width, width)
        self.doublings = nn.Sequential(*(Double(width) for _ in range(FACTORS.index(factor) + 1)))
        self.last = convolution(width, channels, scale=DIFFERENCE)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        maps = latent[:, :, None, None].expand(-1, -1, *condition.shape[2:])
        hidden = leaky_relu(self.first(torch.cat([condition, maps], 1)))
        hidden = hidden + self.after_blocks(self.blocks(hidden))
        enlarged = interpolate(condition, scale_factor=self.factor, mode="bicubic")
        return clamp(enlarged + self.last(self.doublings(hidden)))


def reach(blocks: int) -> int:
    """How many pixels of the condition away, to any side, a pixel of a sample depends on: two for each block."""
    return 2 * blocks + BESIDE_BLOCKS


class ResidualBlock(nn.Module):
    """``(B, width, H, W)`` -> the same.

    Args:
        width: Channels.
        blocks: Number of blocks in the network, by which their variance is divided, so that the sum does not grow.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = convolution(width, width, scale=1 / math.sqrt(blocks))

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.second(leaky_relu(self.first(hidden)))
        return hidden + change


class Double(nn.Module):
    """``(B, width, H, W) -> (B, width, 2 H, 2 W)``: four channels for each become the four pixels of each pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = convolution(width, 4 * width)
        with torch.no_grad():
            self.convolution.weight.copy_(self.convolution.weight[::4].repeat_interleave(4, 0))
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, hidden: Tensor) -> Tensor:
        return leaky_relu(self.shuffle(self.convolution(hidden)))


def convolution(inputs: int, outputs: int, scale: float = 1.0) -> nn.Conv2d:
    """3 x 3, the variance kept through a leaky ReLU (He et al. 2015, arXiv:1502.01852), times the square of a scale."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=LEAK)
    with torch.no_grad():
        layer.weight.mul_(scale)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def clamp(samples: Tensor) -> Tensor:
    """Samples clamped to [-1, 1], with the gradient of the identity."""
    constant = samples.detach()
    return constant.clamp(-1, 1) + (samples - constant)  # the difference is exactly 0
