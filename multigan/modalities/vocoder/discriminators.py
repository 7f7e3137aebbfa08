"""The discriminators of a vocoder, as the heads of one.

Of periods: Kong et al. 2020 (HiFi-GAN), arXiv:2010.05646, section 2.3. Of spectrograms of several resolutions: Jang et
al. 2021 (UnivNet), arXiv:2106.07889, section 2.3; here of the logarithms of magnitudes, in which quiet sounds count.
Both are far narrower than there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import pad

from multigan.interface import DiscriminatorOutput
from multigan.modalities.vocoder.mel import magnitudes, mirrored
from multigan.networks.activations import LEAK, leaky_relu

PERIODS = (2, 3, 5, 7, 11)  # samples
DOUBLINGS = (1, 2, 4, 8)  # channels of the layers, over the width


class WaveDiscriminators(nn.Module):
    """``(B, 1, length), condition`` -> a head and features for each period and each resolution.

    Args:
        width: Channels of the first layers.
        sizes: Samples of the windows of the spectrograms.
    """

    unconditional = True

    def __init__(self, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.of_periods = nn.ModuleList(Layers(width, (5, 1), (3, 1)) for _ in PERIODS)
        self.of_spectrograms = nn.ModuleList(Layers(width, (4, 4), (2, 2)) for _ in self.sizes)

    def forward(self, samples: Tensor, condition: object) -> DiscriminatorOutput:
        waves = samples[:, 0]
        views = [folded(waves, period) for period in PERIODS]
        views += [decibels(waves, size) for size in self.sizes]
        outputs = [layers(view) for layers, view in zip([*self.of_periods, *self.of_spectrograms], views, strict=True)]
        return DiscriminatorOutput(
            tuple(logits for logits, _ in outputs), tuple(layer for _, features in outputs for layer in features)
        )


class Layers(nn.Module):
    """``(B, 1, height, width)`` -> logits, one for each place of what strided convolutions make, and their features.

    Args:
        width: Channels of the first layer.
        kernel: Height and width of each kernel.
        stride: Rows and columns from one place to the next.
    """

    def __init__(self, width: int, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
        widths = [1, *(width * times for times in DOUBLINGS)]
        layers = [nn.Conv2d(*pair, kernel, stride, padding) for pair in pairwise(widths)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, a=LEAK)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.layers:
            samples = leaky_relu(layer(samples))
            features.append(samples)
        logits: Tensor = self.last(samples).squeeze(1)
        return logits, features


def folded(waves: Tensor, period: int) -> Tensor:
    """Waves ``(B, T) -> (B, 1, T / period, period)``, mirrored at the end where a period is not complete."""
    waves = pad(waves[:, None], (0, -waves.shape[1] % period), mode="reflect")
    return waves.view(len(waves), 1, -1, period)


def decibels(waves: Tensor, size: int) -> Tensor:
    """Waves ``(B, T) -> (B, 1, size / 2 + 1, frames)``: logarithms of magnitudes, about -1 to 1."""
    scaled = magnitudes(mirrored(waves, size), size) * (4 / size)  # 1 is a sine of full scale
    levels = scaled.clamp_min(10**-4.5).log10()
    return (1 + levels / 2.25)[:, None]
