"""WaveGAN's networks, of any length and number of channels: Donahue et al. 2019, arXiv:1802.04208, appendix D.

Transposed convolutions of 25 taps that make the sound four times as long each, their mirror image in the
discriminator, and no batch normalisation. They depart from it in two places. Weights start so that the signal keeps its
scale: PyTorch's own start takes the fan-in from the wrong side and ignores the stride, and the generator begins near
silence. And a class, which the paper does not know, reaches the generator as an embedding beside the latent (Mirza and
Osindero 2014, arXiv:1411.1784), and the discriminator by projection (Miyato and Koyama 2018, arXiv:1802.05637), which
learned faster than the class as one more channel of the input.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from multigan.modalities.audio.config import levels
from multigan.networks.activations import LEAK, leaky_relu
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.heads import ProjectionHead

TAPS = 25
STRIDE = 4


class WaveGenerator(nn.Module):
    """``(B, latent_dim), condition -> (B, channels, length)``, in [-1, 1] but for what a post filter adds.

    Args:
        latent_dim: Numbers in a latent.
        channels: 1 for mono, 2 for stereo.
        length: Samples of a sound.
        width: Channels just before the last layer: the paper's model size, d.
        classes: Number of classes; 0 for an unconditional network.
        post_filter: Taps of a filter that is learned and goes over each channel at the end; 0 for none.
    """

    def __init__(self, latent_dim: int, channels: int, length: int, width: int, classes: int, post_filter: int) -> None:
        super().__init__()
        count = levels(length)
        widths = [width * 2**level for level in reversed(range(count))]
        self.first_shape = widths[0], length // STRIDE**count
        self.embedding = ClassEmbedding(classes, latent_dim) if classes else None
        self.first = nn.Linear(latent_dim * (2 if classes else 1), math.prod(self.first_shape))
        nn.init.normal_(self.first.weight, std=math.sqrt(1 / self.first.in_features))
        nn.init.zeros_(self.first.bias)
        self.layers = nn.ModuleList(up(inputs, outputs) for inputs, outputs in pairwise([*widths, channels]))
        self.post_filter = None
        if post_filter:
            self.post_filter = nn.Conv1d(channels, channels, post_filter, padding=post_filter // 2, groups=channels)

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        if self.embedding is not None:
            latent = torch.cat([latent, self.embedding(condition)], 1)
        samples: Tensor = self.first(latent).view(latent.shape[0], *self.first_shape)
        for layer in self.layers:
            samples = layer(samples.relu())
        samples = samples.tanh()
        if self.post_filter is not None:
            samples = self.post_filter(samples)[..., : samples.shape[2]]
        return samples


class WaveFeatures(nn.Module):
    """``(B, channels, length), shifts -> (B, features)``: the discriminator without its last layer."""

    def __init__(self, channels: int, length: int, width: int) -> None:
        super().__init__()
        count = levels(length)
        widths = [channels, *(width * 2**level for level in range(count))]
        self.layers = nn.ModuleList(down(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.features = widths[-1] * (length // STRIDE**count)

    def forward(self, samples: Tensor, shifts: Tensor | None) -> Tensor:
        for number, layer in enumerate(self.layers):
            samples = leaky_relu(layer(samples))
            if shifts is not None and number < len(self.layers) - 1:
                samples = phase_shuffle(samples, shifts[:, number])
        return samples.flatten(1)


class WaveDiscriminator(nn.Module):
    """``(B, channels, length), condition, (B, levels - 1) or None -> (B,)`` logits.

    The last are uniform numbers in [0, 1) that decide how far each layer but the last is moved by phase shuffle.

    Args:
        channels: As in `WaveGenerator`.
        length: As in `WaveGenerator`.
        width: Channels after the first layer.
        classes: As in `WaveGenerator`.
        phase_shuffle: Samples that a layer is moved by at most, either way.
    """

    def __init__(self, channels: int, length: int, width: int, classes: int, phase_shuffle: int) -> None:
        super().__init__()
        self.phase_shuffle = phase_shuffle
        self.random_numbers = levels(length) - 1 if phase_shuffle else 0
        self.body = WaveFeatures(channels, length, width)
        self.head = ProjectionHead(self.body.features, classes)

    def forward(self, samples: Tensor, condition: Tensor | None, numbers: Tensor | None = None) -> Tensor:
        most = self.phase_shuffle
        shifts = None if numbers is None else (numbers * (2 * most + 1)).long() - most
        logits: Tensor = self.head(self.body(samples, shifts), condition)
        return logits


def phase_shuffle(samples: Tensor, shifts: Tensor) -> Tensor:
    """Shift each sample in time by its own amount, mirrored at the ends: section 3.2 of the paper.

    Args:
        samples: ``(B, C, T)``.
        shifts: int64 ``(B,)``, shorter than T: later for positive ones.

    Returns:
        ``(B, C, T)``.
    """
    length = samples.shape[2]
    places = (torch.arange(length, device=samples.device) - shifts[:, None]).abs()
    places = length - 1 - (length - 1 - places).abs()
    return samples.gather(2, places[:, None].expand_as(samples))


def up(inputs: int, outputs: int) -> nn.ConvTranspose1d:
    """A layer that upsamples by 4."""
    layer = nn.ConvTranspose1d(inputs, outputs, TAPS, STRIDE, padding=11, output_padding=1)
    nn.init.normal_(
        layer.weight, std=math.sqrt(2 * STRIDE / (inputs * TAPS))
    )  # each output depends on 25 / 4 taps per input
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def down(inputs: int, outputs: int) -> nn.Conv1d:
    """A layer that downsamples by 4, initialized for a leaky ReLU (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv1d(inputs, outputs, TAPS, STRIDE, padding=11)
    nn.init.kaiming_normal_(layer.weight, a=LEAK)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
