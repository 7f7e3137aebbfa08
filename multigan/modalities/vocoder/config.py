"""The configuration of the vocoder modality."""

import math
from dataclasses import dataclass
from typing import Literal

from multigan.errors import UserError
from multigan.sounds import HIGHEST, LOWEST

SHORTEST, LONGEST = 2048, 131072  # samples of a piece
HOPS = 4  # in a window
WINDOW = 0.05  # seconds, about
LONGER = 2  # the longest window of the losses and of a discriminator, over that of the mel spectrogram


@dataclass(frozen=True)
class VocoderConfig:
    """The sounds, their log-mel spectrograms and the networks.

    Args:
        sampling_rate: In Hz, 8000 to 48000; null takes the most common of the dataset. Others are resampled.
        length: Samples of a piece that is trained on; recordings of any length can be generated.
        normalization: peak scales each recording to full scale, none leaves levels unchanged.
        gain: A piece is made quieter by up to this many decibels, at random, so that quiet recordings work too.
        bins: Bins of the mel spectrogram.
        window: Samples of its window, a power of two; null takes about 50 ms. It advances by a quarter of that.
        latent_dim: Always 0: each spectrogram has one sound.
        generator_width: Channels of the generator.
        blocks: Blocks of the generator.
        discriminator_width: Channels of each discriminator's first layer.
        mel: Weight of the mean absolute difference of log-mel spectrograms, the mean over three resolutions, in the
            generator's loss.
        features: Weight of the mean absolute difference of the discriminators' features.
        audio_column: The dataset's column of sounds; null finds it.
    """

    sampling_rate: int | None = None
    length: int = 8192
    normalization: Literal["peak", "none"] = "peak"
    gain: float = 12.0
    bins: int = 80
    window: int | None = None
    latent_dim: int = 0
    generator_width: int = 192
    blocks: int = 4
    discriminator_width: int = 8
    mel: float = 10.0
    features: float = 2.0
    audio_column: str | None = None

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.sampling_rate or LOWEST

    @property
    def size(self) -> int:
        """Samples of a window."""
        return self.window or 2 ** round(math.log2(WINDOW * self.rate))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.size // HOPS

    def __post_init__(self) -> None:
        rate = self.sampling_rate
        if rate is not None and not LOWEST <= rate <= HIGHEST:
            raise UserError(f"sampling_rate is {rate}: expected {LOWEST} to {HIGHEST}, or null (as the dataset is)")
        if not SHORTEST <= self.length <= LONGEST:
            raise UserError(f"length is {self.length}: expected {SHORTEST} to {LONGEST}")
        if self.window is not None and (not 64 <= self.window <= 8192 or self.window & (self.window - 1)):
            raise UserError(f"window is {self.window}: expected a power of two from 64 to 8192, or null")
        for name in ("generator_width", "blocks", "discriminator_width"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name in ("gain", "mel", "features"):
            if not getattr(self, name) >= 0:  # NaN neither
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 0")
        if self.latent_dim:
            raise UserError(f"latent_dim is {self.latent_dim}: expected 0, as each spectrogram has one sound")
        if rate is not None or self.window is not None:
            self.check_window()

    def check_window(self) -> None:
        """Raise UserError for windows that do not fit the pieces, or bins that do not fit the window."""
        if self.length < LONGER * self.size:
            raise UserError(
                f"length is {self.length}: expected at least {LONGER * self.size}, as windows have {self.size} samples "
                f"at {self.rate} Hz and those of the losses {LONGER} times as many; or a shorter window"
            )
        if self.length % self.hop:
            raise UserError(f"length is {self.length}: expected a multiple of {self.hop}, a quarter of a window")
        if not 8 <= self.bins <= self.size // 4:
            raise UserError(f"bins is {self.bins}: expected 8 to {self.size // 4}, a quarter of a window")
