"""The feature network for sounds, on mel spectrograms."""

import math

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from multigan.networks.convolutional import ConvolutionalFeatures

SIDE = 64  # mel bands, and frames
TOGETHER = 4  # sounds


class SoundFeatures(nn.Module):
    """Sounds ``(B, channels, length) -> (B, 128)``, on their mel spectrograms.

    Args:
        channels: 1 for mono, 2 for stereo.
        length: Samples of a sound.
        rate: Samples a second.
    """

    def __init__(self, channels: int, length: int, rate: int) -> None:
        super().__init__()
        hop = length // SIDE
        longest = 2 ** math.floor(math.log2(length))  # half of it is mirrored at either end
        # Long enough to separate the lowest bands.
        window = max(4 * hop, min(2 ** math.ceil(math.log2(rate / 16)), longest))
        self.mel = MelSpectrogram(rate, n_fft=window, win_length=4 * hop, hop_length=hop, n_mels=SIDE)
        self.body = ConvolutionalFeatures(channels, (SIDE, SIDE), width=16)
        self.last = nn.Linear(self.body.features, 128)

    def forward(self, sounds: Tensor) -> Tensor:
        # A few at a time: the spectra of a batch at 48 kHz are half a gigabyte, as slow to allocate as to compute.
        power = torch.cat([self.mel(some) for some in torch.split(sounds, TOGETHER)])[..., :SIDE]
        levels = (power + 1e-5).log10() / 2.5  # from -2 at silence
        features: Tensor = self.last(self.body(levels)).relu()
        return features
