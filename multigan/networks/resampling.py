"""Resampling with the binomial filter [1, 3, 3, 1], for pictures of any shape.

StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) uses it throughout. R3GAN (Huang et al. 2024, arXiv:2501.05441) names
[1, 2, 1], bilinear interpolation: copying each pixel, [1, 1], and smoothing with [1, 2, 1] are together [1, 3, 3, 1].
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

TAPS = 1.0, 3.0, 3.0, 1.0


class Filter(nn.Module):
    """``(B, C, H, W) -> (B, C, H', W')``: each channel by itself through the 4 x 4 filter, which sums to 1."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS) / sum(TAPS)
        # Not saved: it is no weight, and the same in every network.
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def spread(self, channels: int) -> Tensor:
        """The filter for each channel, ``(channels, 1, 4, 4)``."""
        return self.kernel.expand(channels, -1, -1, -1)


class Blur(Filter):
    """The filter alone: ``padding`` zeros on each side, so the sides grow by ``2 padding - 3``; times ``gain``."""

    def __init__(self, padding: int, gain: float = 1.0) -> None:
        super().__init__()
        self.padding, self.gain = padding, gain

    def forward(self, samples: Tensor) -> Tensor:
        channels = samples.shape[1]
        return conv2d(samples, self.spread(channels) * self.gain, padding=self.padding, groups=channels)


class Upsample(Filter):
    """Twice the sides: zeros between the pixels, then the filter, times 4 so that the brightness stays."""

    def forward(self, samples: Tensor) -> Tensor:
        channels = samples.shape[1]
        return conv_transpose2d(samples, self.spread(channels) * 4, stride=2, padding=1, groups=channels)


class Downsample(Filter):
    """Half the sides: the filter, then every second pixel."""

    def forward(self, samples: Tensor) -> Tensor:
        channels = samples.shape[1]
        return conv2d(samples, self.spread(channels), stride=2, padding=1, groups=channels)
