"""The feature network for sounds, on mel spectrograms."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from multigan.networks.convolutional import ConvolutionalFeatures

SIDE = 64  # mel bands, and frames


class SoundFeatures(nn.Module):
    """Samples ``(B, *S) -> (B, 128)``, on the mel spectrogram of the sound.

    Args:
        to_sound: Samples ``(B, *S) -> (B, channels, length)``.
        channels: Of the sounds.
        length: Samples of a sound.
        rate: Samples a second.
    """

    def __init__(self, to_sound: Callable[[Tensor], Tensor], channels: int, length: int, rate: int) -> None:
        super().__init__()
        self.to_sound = to_sound
        hop = length // SIDE
        window = max(4 * hop, 2 ** math.ceil(math.log2(rate / 16)))  # long enough to separate the lowest bands
        self.mel = MelSpectrogram(rate, n_fft=window, win_length=4 * hop, hop_length=hop, n_mels=SIDE)
        self.body = ConvolutionalFeatures(channels, (SIDE, SIDE), width=16)
        self.last = nn.Linear(self.body.features, 128)

    def forward(self, samples: Tensor) -> Tensor:
        power = self.mel(self.to_sound(samples))[..., :SIDE]
        levels = (power + 1e-5).log10() / 2.5  # from -2 at silence
        features: Tensor = self.last(self.body(levels)).relu()
        return features
