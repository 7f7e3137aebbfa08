"""SPADE: Park et al. 2019, "Semantic image synthesis with spatially-adaptive normalization", arXiv:1903.07291.

There is no encoder: at every layer the label map decides how normalised activations are scaled and shifted (section 3;
figures 2 and 3). The generator starts from a 4 x 4 map made of the latent, or of the downsampled label map where there
is no latent, and doubles its sides between residual blocks (figure 4 and appendix A). The published size for 256 x 256
is a width of 64 with 256 numbers in a latent.

Differences: normalisation is over a sample instead of a batch, and the generator has no spectral normalisation.
Convolutions before a normalisation have no bias, which it would cancel.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from multigan.networks.activations import leaky_relu
from multigan.networks.convolutional import first_sides, levels
from multigan.networks.normalization import instance_norm
from multigan.networks.padding import cropped, pad_to_multiple

MOST_WIDTHS = 16  # most channels of a block, as a multiple of the width
MODULATION = 0.5  # deviation that scales and shifts start with
HIDDEN_WIDTHS = 2  # channels between labels and scales and shifts, as a multiple of the width: 128 as published


class SPADEGenerator(nn.Module):
    """``(B, latent_dim), condition (B, classes, H, W) -> (B, outputs, H, W)`` in [-1, 1], for any H and W.

    Args:
        latent_dim: Numbers in a latent; 0 for a deterministic network.
        classes: Channels of the condition: 1 where a pixel is of the class, else 0.
        outputs: Channels of a sample.
        sides: Height and width of the samples that it is trained on, at least 8: they decide the number of blocks.
        width: Channels of the last block; twice as many at each half of the sides, 16 times as many at most.
    """

    def __init__(self, latent_dim: int, classes: int, outputs: int, sides: tuple[int, int], width: int) -> None:
        super().__init__()
        widths = [width * min(2**level, MOST_WIDTHS) for level in reversed(range(levels(sides) + 1))]
        self.stride = 2 ** levels(sides)
        self.first_shape = widths[0], *first_sides(sides)
        self.first: nn.Module
        if latent_dim:
            self.first = nn.Linear(latent_dim, math.prod(self.first_shape))
            nn.init.normal_(self.first.weight, std=1 / math.sqrt(latent_dim))
            nn.init.zeros_(self.first.bias)
        else:
            self.first = of_classes(classes, widths[0], bias=False)
        self.from_latent = bool(latent_dim)
        self.blocks = nn.ModuleList(
            SPADEBlock(*channels, classes, HIDDEN_WIDTHS * width) for channels in pairwise([widths[0], *widths])
        )
        self.last = convolution(width, outputs, 3, bias=True)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        height, width = condition.shape[2:]
        condition = pad_to_multiple(condition, self.stride, least=2)  # one pixel cannot be normalised
        hidden = self.start(latent, resized(condition, [side // self.stride for side in condition.shape[2:]]))
        for place, block in enumerate(self.blocks):
            if place:
                hidden = interpolate(hidden, scale_factor=2)
            hidden = block(hidden, resized(condition, hidden.shape[2:]))
        samples: Tensor = self.last(leaky_relu(hidden))
        return cropped(samples.tanh(), height, width)

    def start(self, latent: Tensor, classes: Tensor) -> Tensor:
        """The first map, with the sides of these labels."""
        if not self.from_latent:
            hidden: Tensor = self.first(classes)
            return hidden
        hidden = self.first(latent).view(latent.shape[0], *self.first_shape)
        if hidden.shape[2:] == classes.shape[2:]:
            return hidden
        return interpolate(hidden, classes.shape[2:], mode="bilinear")  # at another size than that of training


class SPADEBlock(nn.Module):
    """Hidden ``(B, inputs, H, W)``, classes ``(B, classes, H, W)`` -> ``(B, outputs, H, W)``: figure 4, left."""

    def __init__(self, inputs: int, outputs: int, classes: int, hidden: int) -> None:
        super().__init__()
        between = min(inputs, outputs)
        self.first_norm, self.first = SPADE(inputs, classes, hidden), convolution(inputs, between, 3)
        self.second_norm, self.second = SPADE(between, classes, hidden), convolution(between, outputs, 3)
        self.skip_norm = self.skip = None
        if inputs != outputs:
            self.skip_norm, self.skip = SPADE(inputs, classes, hidden), convolution(inputs, outputs, 1)

    def forward(self, hidden: Tensor, classes: Tensor) -> Tensor:
        change = self.first(leaky_relu(self.first_norm(hidden, classes)))
        change = self.second(leaky_relu(self.second_norm(change, classes)))
        if self.skip is not None and self.skip_norm is not None:
            hidden = self.skip(self.skip_norm(hidden, classes))
        total: Tensor = hidden + change
        return total


class SPADE(nn.Module):
    """Hidden ``(B, channels, H, W)``, classes ``(B, classes, H, W)`` -> as hidden: equation 1 and figure 2.

    Normalised over each channel of each sample, times ``1 + scale`` plus ``shift``, which two convolutions make of the
    classes for each channel and place.
    """

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.from_classes = of_classes(classes, hidden, bias=True)
        # Without a bias: before the sum of a block, later normalisations would cancel a shift constant over places.
        self.scale_and_shift = convolution(hidden, 2 * channels, 3)
        with torch.no_grad():
            self.scale_and_shift.weight.mul_(MODULATION)

    def forward(self, hidden: Tensor, classes: Tensor) -> Tensor:
        scale, shift = self.scale_and_shift(self.from_classes(classes).relu()).chunk(2, 1)
        modulated: Tensor = instance_norm(hidden) * (1 + scale) + shift
        return modulated


def resized(classes: Tensor, sides: list[int] | torch.Size) -> Tensor:
    """Labels resized to these sides: the class at the centre of each pixel, not at its corner."""
    return interpolate(classes, tuple(sides), mode="nearest-exact")


def of_classes(classes: int, outputs: int, bias: bool) -> nn.Conv2d:
    """3 x 3, from one-hot labels: in each place one channel is 1, so the fan-in is 9 for any number of classes."""
    layer = nn.Conv2d(classes, outputs, 3, padding=1, bias=bias)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / 9))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def convolution(inputs: int, outputs: int, side: int, bias: bool = False) -> nn.Conv2d:
    """Outputs have the mean square of the inputs as their variance, without the factor 2 that ReLU asks for.

    The two branches of a block make up for it when they are added.
    """
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
