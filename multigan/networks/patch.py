"""Discriminators that judge the patches of a picture.

PatchGAN: Isola et al. 2017, "Image-to-image translation with conditional adversarial networks", arXiv:1611.07004,
section 3.2.2 and appendix 6.1.2: strided convolutions of 4 x 4, and a logit for each place of what they make. With
three strided layers each logit is about a patch of 70 x 70. Several scales: Wang et al. 2018, "High-resolution image
synthesis and semantic manipulation with conditional GANs" (pix2pixHD), arXiv:1711.11585, section 3.2.

Nothing is normalised, because a gradient penalty is about one sample; instead, weights start so that the signal keeps
its scale.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from multigan.interface import DiscriminatorOutput
from multigan.networks.activations import LEAK, leaky_relu
from multigan.networks.convolutional import down

MOST_WIDTHS = 8  # most channels of a layer, as a multiple of the width


def least_side(layers: int, scales: int = 1) -> int:
    """The least side of a sample: 3 after the strided layers, which two 4 x 4 convolutions reduce to 1."""
    return 3 << (layers + scales - 1)


class PatchDiscriminator(nn.Module):
    """``(B, channels, H, W), condition (B, condition_channels, h, w) or None -> (B, h', w')`` logits, one a patch.

    The condition is resized to the samples' size and concatenated with them. Sides must be at least `least_side`.

    Args:
        channels: Channels of a sample.
        condition_channels: Channels of the condition; 0 for a discriminator that is told nothing.
        width: Channels of the first layer; twice as many in each further one, eight times as many at most.
        layers: Number of strided layers: 3 for patches of 70 x 70, 2 for 34 x 34, 1 for 16 x 16.
        features: Return a `DiscriminatorOutput`, whose features are the activations of each layer but the last.
    """

    def __init__(self, channels: int, condition_channels: int, width: int, layers: int, features: bool = False) -> None:
        super().__init__()
        widths = [width * min(2**level, MOST_WIDTHS) for level in range(layers + 1)]
        strided = pairwise([channels + condition_channels, *widths[:-1]])
        self.layers = nn.ModuleList(down(*pair) for pair in strided)
        self.layers.append(convolution(widths[-2], widths[-1], LEAK))
        self.last = convolution(widths[-1], 1, 1.0)  # linear
        self.told, self.features = bool(condition_channels), features

    def forward(self, samples: Tensor, condition: Tensor | None) -> Tensor | DiscriminatorOutput:
        if self.told:
            samples = beside(samples, condition)
        features = []
        for layer in self.layers:
            samples = leaky_relu(layer(samples))
            features.append(samples)
        logits: Tensor = self.last(samples).squeeze(1)
        return DiscriminatorOutput((logits,), tuple(features)) if self.features else logits


class MultiScaleDiscriminator(nn.Module):
    """Samples and condition as of `PatchDiscriminator` -> a head and features for each scale, the finest first.

    Args:
        channels: Channels of a sample.
        condition_channels: Channels of the condition; 0 for a discriminator that is told nothing.
        width: As in `PatchDiscriminator`.
        layers: As in `PatchDiscriminator`.
        scales: Number of discriminators; each sees half the resolution of the one before.
    """

    def __init__(self, channels: int, condition_channels: int, width: int, layers: int, scales: int) -> None:
        super().__init__()
        self.told = bool(condition_channels)
        # The condition is pooled together with the samples, as further channels.
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels + condition_channels, 0, width, layers, features=True) for _ in range(scales)
        )

    def forward(self, samples: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        if self.told:
            samples = beside(samples, condition)
        heads: list[Tensor] = []
        features: list[Tensor] = []
        for place, discriminator in enumerate(self.scales):
            if place:
                samples = avg_pool2d(samples, 3, stride=2, padding=1, count_include_pad=False)
            output = discriminator(samples, None)
            heads += output.heads
            features += output.features
        return DiscriminatorOutput(tuple(heads), tuple(features))


class TwoWayDiscriminator(nn.Module):
    """Both discriminators of CycleGAN as one: ``(B, 2 channels, H, W), anything`` -> a head each, without features.

    Zhu et al. 2017, arXiv:1703.10593. Samples are a picture of A and one of B, stacked in channels. The condition is
    ignored: each picture is judged by itself, not beside the one it was translated from.

    Args:
        channels: Channels of one picture.
        width: As in `PatchDiscriminator`.
        layers: As in `PatchDiscriminator`.
    """

    unconditional = True

    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.of_a = PatchDiscriminator(channels, 0, width, layers)
        self.of_b = PatchDiscriminator(channels, 0, width, layers)

    def forward(self, samples: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        a, b = samples.chunk(2, 1)
        return DiscriminatorOutput((self.of_a(a, None), self.of_b(b, None)))


def beside(samples: Tensor, condition: Tensor | None) -> Tensor:
    """Samples ``(B, C, H, W)`` and a condition ``(B, D, h, w)`` -> ``(B, C + D, H, W)``."""
    assert condition is not None
    if condition.shape[2:] != samples.shape[2:]:
        condition = interpolate(condition, samples.shape[2:], mode="bilinear")
    return torch.cat([samples, condition], 1)


def convolution(inputs: int, outputs: int, leak: float) -> nn.Conv2d:
    """4 x 4 of stride 1, the variance kept through a leaky ReLU of this leak (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv2d(inputs, outputs, 4, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=leak)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
