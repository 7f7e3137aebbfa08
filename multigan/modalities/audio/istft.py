"""A generator of waves that ends in an inverse short-time Fourier transform, and a discriminator of spectrograms.

The generator is a convolutional one for a picture of three channels: the logarithm of the magnitude at each frequency
and time, and a vector whose angle is the phase. The inverse transform turns them into a wave, as in vocoders: Kaneko et
al. 2022 (iSTFTNet), arXiv:2203.02395. The wave is judged on its own spectrogram, which has no phase: so the generator
is free to choose phases. R1 and R2 are computed at the spectrogram: computed at the wave, where a logarithm is steep
wherever it is quiet, they left the drums with a precision of 0.04 instead of 0.50 after a minute.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from multigan.interface import full_precision
from multigan.modalities.audio import spectrogram
from multigan.networks import keyed_noise
from multigan.networks.activations import leaky_relu
from multigan.networks.convolutional import ConvolutionalDiscriminator, channels_by_side, first_sides, levels, up
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.inverse_stft import capped, inverse_stft, limited
from multigan.networks.styled import linear

LOUDEST = 1.5  # cap of the generator's logarithms; with the two below, a magnitude of 0.78 of a sine of full scale
SLOPE, OFFSET = 2.3, -3.0 - math.log(2)  # magnitude: exp(SLOPE * logarithm + OFFSET)
NOISE_GAIN = 0.1  # at first


def sides(length: int, bins: int, hop: int) -> tuple[int, int]:
    """Bins, and frames that hold a sound of this length and that can be halved as often as the shorter side."""
    frames = -(-length // hop)
    unit = 2 ** levels((bins, frames))
    return bins, -(-frames // unit) * unit


class Layer(nn.Module):
    """``(B, inputs, H, W), w, key -> (B, outputs, 2 H, 2 W)``: scaled and shifted by w, with noise, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style: int, stream: int) -> None:
        super().__init__()
        self.up = up(inputs, outputs, bias=True)
        self.scale_and_shift = nn.Linear(style, 2 * outputs)
        self.noise_gain = nn.Parameter(torch.full((outputs, 1, 1), NOISE_GAIN))
        self.stream = stream

    def forward(self, hidden: Tensor, w: Tensor, key: Tensor) -> Tensor:
        hidden = self.up(hidden)
        scale, shift = self.scale_and_shift(w)[:, :, None, None].chunk(2, 1)
        noise = keyed_noise.normal(key, self.stream, math.prod(hidden.shape[2:])).to(hidden.dtype)
        return leaky_relu(hidden * (1 + scale) + shift + self.noise_gain * noise.view(-1, 1, *hidden.shape[2:]))


class ISTFTGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, length)`` in [-1, 1].

    Args:
        latent_dim: Numbers in a latent.
        channels: 1 for mono, 2 for stereo.
        length: Samples of a sound.
        bins: Frequencies of the transform, half a window's samples.
        hop: Samples from one window to the next.
        width: Channels just before the last layer, twice as many at half the sides, 512 at most.
        classes: Number of classes; 0 for an unconditional network.
    """

    def __init__(
        self, latent_dim: int, channels: int, length: int, bins: int, hop: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.length, self.hop = length, hop
        widths = channels_by_side(sides(length, bins, hop), width)
        style = 2 * latent_dim
        self.first_shape = widths[0], *first_sides(sides(length, bins, hop))
        self.embedding = ClassEmbedding(classes, latent_dim) if classes else None
        self.mapping = nn.ModuleList(linear(inputs, style) for inputs in (latent_dim * (2 if classes else 1), style))
        self.first = linear(style, math.prod(self.first_shape))
        self.layers = nn.ModuleList(Layer(*pair, style, stream) for stream, pair in enumerate(pairwise(widths)))
        self.last = up(widths[-1], 3 * channels, bias=True)

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        w = latent if self.embedding is None else torch.cat([latent, self.embedding(condition)], 1)
        for layer in self.mapping:
            w = leaky_relu(layer(w))
        key = keyed_noise.keys(latent)
        hidden = leaky_relu(self.first(w).view(len(latent), *self.first_shape))
        for layer in self.layers:
            hidden = layer(hidden, w, key)
        logarithm, cosine, sine = full_precision(self.last(hidden)).chunk(3, 1)
        waves = inverse_stft((SLOPE * capped(logarithm, LOUDEST) + OFFSET).exp(), cosine, sine, self.hop)
        return limited(waves[..., : self.length])


class SpectrogramDiscriminator(ConvolutionalDiscriminator):
    """Spectrograms ``(B, channels, bins, frames)``, condition -> ``(B,)`` logits. Arguments as in `ISTFTGenerator`."""

    def __init__(self, channels: int, length: int, bins: int, hop: int, width: int, classes: int) -> None:
        super().__init__(channels, sides(length, bins, hop), width, classes)
        self.bins, self.hop = bins, hop
        self.missing = sides(length, bins, hop)[1] * hop - length

    def represent(self, samples: Tensor) -> Tensor:
        """Sounds ``(B, channels, length)`` -> their spectrograms, with silence after those that end before a frame."""
        return spectrogram.log_power(pad(samples, (0, self.missing)), self.bins, self.hop)
