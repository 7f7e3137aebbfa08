"""A generator of waves that ends in an inverse short-time Fourier transform, and a discriminator of spectrograms.

The generator is a convolutional one for a picture of three channels: the logarithm of the magnitude at each frequency
and time, and a vector whose angle is the phase. The inverse transform turns them into a wave, as in vocoders: Kaneko et
al. 2022 (iSTFTNet), arXiv:2203.02395. The wave is judged on its own spectrogram, which has no phase: so the generator
is free to choose phases. R1 and R2 are computed at the spectrogram: computed at the wave, where a logarithm is steep
wherever it is quiet, they left the drums with a precision of 0.04 instead of 0.50 after a minute.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

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


class Extent(NamedTuple):
    """How a generator makes sounds longer than those it was trained on: windows, blended in its smallest layer.

    Attributes:
        samples: Of a sound; for a loop a multiple of the step's.
        step: Columns of the smallest layer from one window to the next; a window has as many as a sound in training.
        loop: Whether the end of the sound goes over into its start.
    """

    samples: int
    step: int
    loop: bool


class Layer(nn.Module):
    """``(B, inputs, H, W), w (B, columns, style), noise (B, 2 H, 2 W) -> (B, outputs, 2 H, 2 W)``.

    Scaled and shifted by w, which is one for the whole width or has columns of equal width; with noise; leaky ReLU.
    """

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.up = up(inputs, outputs, bias=True)
        self.scale_and_shift = nn.Linear(style, 2 * outputs)
        self.noise_gain = nn.Parameter(torch.full((outputs, 1, 1), NOISE_GAIN))

    def forward(self, hidden: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        hidden = self.up(hidden)
        scale_and_shift = self.scale_and_shift(w).transpose(1, 2)[:, :, None]
        if w.shape[1] > 1:
            scale_and_shift = interpolate(scale_and_shift, (1, hidden.shape[3]), mode="bilinear")
        scale, shift = scale_and_shift.chunk(2, 1)
        noise = noise.to(hidden.dtype)[:, None]
        return leaky_relu(hidden * (1 + scale) + shift + self.noise_gain * noise)


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
        self.layers = nn.ModuleList(Layer(*pair, style) for pair in pairwise(widths))
        self.last = up(widths[-1], 3 * channels, bias=True)
        self.extent: Extent | None = None

    @property
    def column(self) -> int:
        """Samples of a sound for each column of the smallest layer."""
        return self.hop << len(self.layers) + 1

    @property
    def separately(self) -> bool:
        """Whether each sample is made by itself, so that others beside it only cost time."""
        return self.extent is not None

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.extent is None:
            hidden, w = self.begun(latent, condition)
            return limited(self.waves(hidden, w[:, None], keyed_noise.keys(latent))[..., : self.length])
        rows = [slice(row, row + 1) for row in range(len(latent))]
        told = [None if condition is None else condition[row] for row in rows]
        return torch.cat([self.extended(latent[row], of, self.extent) for row, of in zip(rows, told, strict=True)])

    def begun(self, latent: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """The smallest layer ``(B, C, H, W)``, and w ``(B, style)``."""
        w = latent if self.embedding is None else torch.cat([latent, self.embedding(condition)], 1)
        for layer in self.mapping:
            w = leaky_relu(layer(w))
        return leaky_relu(self.first(w).view(len(latent), *self.first_shape)), w

    def waves(self, hidden: Tensor, w: Tensor, key: Tensor, loop: int = 0) -> Tensor:
        """The smallest layer, w ``(B, columns, style)`` and keys of noise -> waves ``(B, channels, W * column)``.

        Args:
            hidden: As `begun` makes it, of any width.
            w: One column for all of the width, or as many as it has.
            key: Of `keyed_noise`.
            loop: Columns after which the noise repeats itself; 0 for never.
        """
        for number, layer in enumerate(self.layers):
            height, width = 2 * hidden.shape[2], 2 * hidden.shape[3]
            period = loop * 2 ** (number + 1) or width
            noise = keyed_noise.normal(key, number, height * period).view(-1, period, height).transpose(1, 2)
            places = torch.arange(width, device=noise.device) % period
            hidden = layer(hidden, w, noise[:, :, places] if loop else noise)
        logarithm, cosine, sine = full_precision(self.last(hidden)).chunk(3, 1)
        return inverse_stft((SLOPE * capped(logarithm, LOUDEST) + OFFSET).exp(), cosine, sine, self.hop)

    def extended(self, latent: Tensor, condition: Tensor | None, extent: Extent) -> Tensor:
        """A longer sound ``(1, channels, extent.samples)`` from a latent ``(1, latent_dim)``.

        The latents of the further windows are the given one's numbers in other orders and with other signs: as likely,
        and within what it was drawn from. A loop is made with its end before it and its start after it, which are
        farther than any layer sees, and are cut off.
        """
        samples, step, loop = extent
        columns = -(-samples // self.column)
        window, key = self.first_shape[2], keyed_noise.keys(latent)
        count = columns // step if loop else 1 + max(0, -(-(columns - window) // step))
        orders, signs = (
            keyed_noise.uniform(key, len(self.layers) + stream, count * latent.shape[1]).view(count, -1)
            for stream in range(2)
        )
        latents = latent[0][orders.argsort(1)] * (2 * (signs > 0.5) - 1)
        latents[0] = latent[0]
        parts, w = self.begun(latents, None if condition is None else condition.expand(count, *condition.shape[1:]))
        # From a half to a half over the columns that two windows share, and 1 where there is one alone.
        ramp = (torch.arange(window, device=latent.device, dtype=latent.dtype) + 0.5) / max(window - step, 0.5)
        weights = torch.minimum(ramp, ramp.flip(0)).clamp_max(1)
        places = torch.arange(count, device=latent.device)[:, None] * step + torch.arange(window, device=latent.device)
        places = (places % columns if loop else places).flatten()
        size = columns if loop else int(places[-1]) + 1

        def blended(values: Tensor) -> Tensor:  # (count, window, N) -> (size, N)
            weighted = (values * weights[:, None]).flatten(0, 1)
            return weighted.new_zeros(size, values.shape[2]).index_add(0, places, weighted)

        total = blended(torch.ones_like(parts[:, 0, :1].transpose(1, 2)))
        hidden = blended(parts.flatten(1, 2).transpose(1, 2)) / total
        styles = blended(w[:, None].expand(-1, window, -1)) / total
        if loop:
            around = torch.arange(-window, columns + window, device=latent.device) % columns
            hidden, styles = hidden[around], styles[around]
        waves = self.waves(hidden.T.view(1, *self.first_shape[:2], -1), styles[None], key, columns if loop else 0)
        start = window * self.column if loop else 0
        return limited(waves[..., start : start + samples])


class SpectrogramDiscriminator(ConvolutionalDiscriminator):
    """Spectrograms ``(B, channels, bins, frames)``, condition -> ``(B,)`` logits. Arguments as in `ISTFTGenerator`."""

    def __init__(self, channels: int, length: int, bins: int, hop: int, width: int, classes: int) -> None:
        super().__init__(channels, sides(length, bins, hop), width, classes)
        self.bins, self.hop = bins, hop
        self.missing = sides(length, bins, hop)[1] * hop - length

    def represent(self, samples: Tensor) -> Tensor:
        """Sounds ``(B, channels, length)`` -> their spectrograms, with silence after those that end before a frame."""
        return spectrogram.log_power(pad(samples, (0, self.missing)), self.bins, self.hop)
