"""A generator of waves that ends in inverse short-time Fourier transforms, and a discriminator of spectrograms.

The generator is a convolutional one for a picture of three channels: the logarithm of the magnitude at each frequency
and time, and a vector whose angle is the phase. An inverse transform turns them into a wave, as in vocoders: Kaneko et
al. 2022 (iSTFTNet), arXiv:2203.02395. Two such waves are added: one of short windows, for what happens in a moment, and
one of windows four times as long, in which a steady tone is little more than a number.

The sum is judged on its own spectrograms, which have no phase: so the generator is free to choose phases. Two
resolutions are judged, as in vocoders (Jang et al. 2021, UnivNet, arXiv:2106.07889). R1 and R2 are computed at the
spectrograms: computed at the wave, where a logarithm is steep wherever it is quiet, they left the drums with a
precision of 0.04 instead of 0.50 after a minute.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from multigan.interface import DiscriminatorOutput, full_precision
from multigan.modalities.audio import spectrogram
from multigan.networks import keyed_noise
from multigan.networks.activations import leaky_relu
from multigan.networks.convolutional import ConvolutionalDiscriminator, channels_by_side, first_sides, levels, up
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.inverse_stft import capped, faded_in, inverse_stft, limited
from multigan.networks.styled import linear

LOUDEST = 2.2  # cap of the generator's logarithms; with the two below, a magnitude of 3.9 times a sine of full scale's
SLOPE, OFFSET = 2.3, -3.0 - math.log(2)  # magnitude: exp(SLOPE * logarithm + OFFSET)
NOISE_GAIN = 0.1  # at first
LONGER = 4  # the windows for tones, over the others
FADES_IN_HOP = 8  # a sound rises from silence in an eighth of a hop, about a millisecond


def sides(length: int, bins: int, hop: int) -> tuple[int, int]:
    """Bins, and frames that hold a sound of this length and that can be halved as often as the shorter side."""
    frames = -(-length // hop)
    unit = 2 ** levels((bins, frames))
    return bins, -(-frames // unit) * unit


class Extent(NamedTuple):
    """How a generator makes sounds longer than those it was trained on: of windows that are as long as those.

    Attributes:
        samples: Length of a sound; for a loop a multiple of `ISTFTGenerator.unit`.
        overlapping: Whether windows overlap by half or more and are crossfaded in the smallest layer; if not, each is
            a sound by itself, and they are joined end to end.
        loop: Whether the sound can be repeated without a seam.
    """

    samples: int
    overlapping: bool
    loop: bool


class Layer(nn.Module):
    """``(B, inputs, H, W), w (B, columns, style), noise (B, 2 H, 2 W) -> (B, outputs, 2 H, 2 W)``.

    Scaled and shifted by w, which is one for the whole width or has columns of equal width; with noise, as much of it
    as w says; leaky ReLU.
    """

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.up = up(inputs, outputs, bias=True)
        self.modulation = nn.Linear(style, 3 * outputs)
        self.noise_gain = nn.Parameter(torch.full((outputs, 1, 1), NOISE_GAIN))

    def forward(self, hidden: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        hidden = self.up(hidden)
        modulation = self.modulation(w).transpose(1, 2)[:, :, None]
        if w.shape[1] > 1:
            modulation = interpolate(modulation, (1, hidden.shape[3]), mode="bilinear")
        scale, shift, more_noise = modulation.chunk(3, 1)
        noise = self.noise_gain * (1 + more_noise) * noise.to(hidden.dtype)[:, None]
        return leaky_relu(hidden * (1 + scale) + shift + noise)


class ISTFTGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, length)`` in [-1, 1]; with an `extent`, as long as that says.

    Args:
        latent_dim: Numbers in a latent.
        channels: 1 for mono, 2 for stereo.
        length: Samples of a sound.
        bins: Frequencies of the transform with short windows, half a window's samples.
        hop: Samples from one short window to the next.
        width: Channels just before the last layer, twice as many at half the sides, 512 at most.
        classes: Number of classes; 0 for an unconditional network.
    """

    def __init__(
        self, latent_dim: int, channels: int, length: int, bins: int, hop: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.length, self.bins, self.hop = length, bins, hop
        widths = channels_by_side(sides(length, bins, hop), width)
        style = 2 * latent_dim
        self.first_shape = widths[0], *first_sides(sides(length, bins, hop))
        self.embedding = ClassEmbedding(classes, latent_dim) if classes else None
        self.mapping = nn.ModuleList(linear(inputs, style) for inputs in (latent_dim * (2 if classes else 1), style))
        self.first = linear(style, math.prod(self.first_shape))
        self.layers = nn.ModuleList(Layer(*pair, style) for pair in pairwise(widths))
        self.last = up(widths[-1], 3 * channels, bias=True)
        # (B, C, bins / 2, frames / 2) -> (B, 3 * channels * 8, bins / 2, frames / 4): each eight channels are eight
        # neighbouring bins of the long windows, which have four times as many bins and a quarter of the frames.
        self.tones = nn.Conv2d(widths[-1], 3 * channels * 2 * LONGER, 5, stride=(1, LONGER // 2), padding=2)
        self.extent: Extent | None = None

    @property
    def column(self) -> int:
        """Samples of a sound for each column of the smallest layer."""
        return self.hop << len(self.layers) + 1

    @property
    def step(self) -> int:
        """Columns of the smallest layer from one overlapping window of a longer sound to the next.

        The most, up to half a window, that are whole long windows of the transform, so that carriers stay in phase; 0
        if there are none.
        """
        half = self.first_shape[2] // 2
        return half - half % (math.lcm(self.column, 2 * LONGER * self.bins) // self.column)

    def unit(self, overlapping: bool) -> int:
        """Samples from one window of a longer sound to the next."""
        return self.step * self.column if overlapping else self.length

    @property
    def per_sample(self) -> bool:
        """Whether each sample is made by itself, so that others beside it only cost time."""
        return self.extent is not None

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.extent is None:
            hidden, w = self.first_layer(latent, condition)
            return self.sounds(hidden, w, keyed_noise.keys(latent))
        rows = [slice(row, row + 1) for row in range(latent.shape[0])]
        conditions = [None if condition is None else condition[row] for row in rows]
        return torch.cat(
            [self.long_sound(latent[row], one, self.extent) for row, one in zip(rows, conditions, strict=True)]
        )

    def first_layer(self, latent: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """The smallest layer ``(B, C, H, W)``, and w ``(B, style)``."""
        w = latent if self.embedding is None else torch.cat([latent, self.embedding(condition)], 1)
        for layer in self.mapping:
            w = leaky_relu(layer(w))
        return leaky_relu(self.first(w).view(latent.shape[0], *self.first_shape)), w

    def sounds(self, hidden: Tensor, w: Tensor, key: Tensor) -> Tensor:
        """The smallest layer, w ``(B, style)`` and keys of noise -> sounds ``(B, channels, length)``."""
        return limited(self.faded_in(self.waves(hidden, w[:, None], key)[..., : self.length]))

    def faded_in(self, waves: Tensor) -> Tensor:
        """Waves ``(B, channels, T)`` that rise from silence."""
        return faded_in(waves, max(1, self.hop // FADES_IN_HOP))

    def waves(self, hidden: Tensor, w: Tensor, key: Tensor, loop: int = 0) -> Tensor:
        """The smallest layer, w ``(B, columns, style)`` and keys of noise -> waves ``(B, channels, W * column)``.

        Args:
            hidden: As `first_layer` makes it, of any width.
            w: One column for all of the width, or as many as it has.
            key: Keys of the noise, as `keyed_noise.keys` makes them.
            loop: Columns after which the noise repeats itself; 0 for never.
        """
        for number, layer in enumerate(self.layers):
            height, width = 2 * hidden.shape[2], 2 * hidden.shape[3]
            period = loop * 2 ** (number + 1) or width
            noise = keyed_noise.normal(key, number, height * period).view(-1, period, height).transpose(1, 2)
            places = torch.arange(width, device=noise.device) % period
            hidden = layer(hidden, w, noise[:, :, places] if loop else noise)
        waves = inverse_transform(self.last(hidden), self.hop)
        tones = self.tones(hidden).unflatten(1, (-1, 2 * LONGER)).transpose(2, 3).flatten(2, 3)
        return waves + inverse_transform(tones, LONGER * self.hop)

    def long_sound(self, latent: Tensor, condition: Tensor | None, extent: Extent) -> Tensor:
        """A longer sound ``(1, channels, extent.samples)`` from a latent ``(1, latent_dim)``."""
        samples, overlapping, loop = extent
        unit = self.unit(overlapping)
        count = -(-samples // unit)
        if overlapping and not loop:  # one more, so that the start of a longer sound is the shorter sound to its end
            count = count + 1 if samples > self.length else 1
        latents = self.window_latents(latent, count)
        conditions = None if condition is None else condition.expand(count, *condition.shape[1:])
        hidden, w = self.first_layer(latents, conditions)
        if overlapping:
            waves = self.overlapped(hidden, w, keyed_noise.keys(latent), loop)[..., :samples]
            return limited(waves if loop else self.faded_in(waves))
        waves = self.sounds(hidden, w, keyed_noise.keys(latents))
        # Or the next one would begin with a click.
        fade = torch.linspace(1, 0, self.hop, device=w.device, dtype=w.dtype)
        waves = torch.cat([waves[..., : -self.hop], waves[..., -self.hop :] * fade], 2)
        return waves.transpose(0, 1).flatten(1)[None, :, :samples]

    def window_latents(self, latent: Tensor, count: int) -> Tensor:
        """A latent ``(1, latent_dim)``, and those of the windows after the first: ``(count, latent_dim)``.

        Their numbers are its own in another order and with other signs, for each window the same ones: so they are as
        likely as it is, keep what it was drawn from, and move as it moves.
        """
        key = torch.zeros(1, dtype=torch.int64, device=latent.device)
        numbers = (keyed_noise.uniform(key, stream, count * latent.shape[1]).view(count, -1) for stream in range(2))
        orders, signs = next(numbers).argsort(1), 2 * (next(numbers) > 0.5) - 1
        return torch.cat([latent, (latent[0][orders] * signs)[1:]])

    def overlapped(self, hidden: Tensor, w: Tensor, key: Tensor, loop: bool) -> Tensor:
        """The smallest layer of each window ``(N, C, H, W)``, and its w ``(N, style)`` -> waves ``(1, channels, T)``.

        Where windows overlap, one fades into the other. A loop is made with its end before it and its start after
        it, which are farther than any layer sees, and are cut off.
        """
        count, _, _, window = hidden.shape
        step = self.step
        size = count * step if loop else (count - 1) * step + window
        ramp = (torch.arange(window, device=w.device, dtype=w.dtype) + 0.5) / (window - step)
        weights = torch.minimum(ramp, ramp.flip(0)).clamp_max(1)
        places = torch.arange(count, device=w.device)[:, None] * step + torch.arange(window, device=w.device)
        places = (places % size).flatten()

        def crossfaded(values: Tensor) -> Tensor:  # (N, window, numbers) -> (size, numbers)
            weighted = (values * weights[:, None]).flatten(0, 1)
            return weighted.new_zeros(size, values.shape[2]).index_add(0, places, weighted)

        total = crossfaded(torch.ones_like(w[:, None, :1]).expand(-1, window, -1))
        columns = crossfaded(hidden.flatten(1, 2).transpose(1, 2)) / total
        styles = crossfaded(w[:, None].expand(-1, window, -1)) / total
        if loop:
            wrapped = torch.arange(-window, size + window, device=w.device) % size
            columns, styles = columns[wrapped], styles[wrapped]
        waves = self.waves(columns.T.view(1, *self.first_shape[:2], -1), styles[None], key, size if loop else 0)
        start = window * self.column if loop else 0
        return waves[..., start : start + size * self.column]


def inverse_transform(numbers: Tensor, hop: int) -> Tensor:
    """Logarithms of magnitudes, then cosines and sines -> waves ``(B, channels, frames * hop)``, in full precision.

    Args:
        numbers: ``(B, 3 * channels, bins, frames)``.
        hop: Samples from one window to the next.
    """
    logarithm, cosine, sine = full_precision(numbers).chunk(3, 1)
    magnitude = (SLOPE * capped(logarithm, LOUDEST) + OFFSET).exp()
    return inverse_stft(magnitude, cosine, sine, hop)


class SpectrogramDiscriminator(nn.Module):
    """What `represent` makes of sounds, condition -> ``(B,)`` logits of a head for each resolution.

    One spectrogram has windows of twice the generator's short ones and tells tones apart, the other has windows of half
    of those and tells moments apart. Both overlap half as much as the generator's, which costs half as much and shows
    as much. Arguments as in `ISTFTGenerator`.
    """

    def __init__(self, channels: int, length: int, bins: int, hop: int, width: int, classes: int) -> None:
        super().__init__()
        self.channels, self.length = channels, length
        self.scales = [(2 * bins, 4 * hop), (bins // 2, hop)]
        self.shapes = [sides(length, *scale) for scale in self.scales]
        self.parts = nn.ModuleList(ConvolutionalDiscriminator(channels, shape, width, classes) for shape in self.shapes)

    def represent(self, samples: Tensor) -> Tensor:
        """Sounds ``(B, channels, length)`` -> the numbers of both spectrograms, ``(B, N)``.

        After a sound that ends before a frame does there is silence.
        """
        pictures = []
        for (bins, hop), (_, frames) in zip(self.scales, self.shapes, strict=True):
            padded = pad(samples, (0, frames * hop - self.length))
            pictures.append(spectrogram.log_power(padded, bins, hop).flatten(1))
        return torch.cat(pictures, 1)

    def forward(self, spectrograms: Tensor, condition: Tensor | None) -> DiscriminatorOutput:
        flat = torch.split(spectrograms, [self.channels * math.prod(shape) for shape in self.shapes], 1)
        pictures = (part.view(-1, self.channels, *shape) for part, shape in zip(flat, self.shapes, strict=True))
        heads = (part(picture, condition) for part, picture in zip(self.parts, pictures, strict=True))
        return DiscriminatorOutput(tuple(heads))
