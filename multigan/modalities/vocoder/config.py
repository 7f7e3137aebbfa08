"""The configuration of the vocoder modality."""

import math
from dataclasses import dataclass
from typing import Literal

from multigan.errors import UserError
from multigan.sounds import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE

MIN_LENGTH, MAX_LENGTH = 2048, 131072  # samples of a piece
HOPS = 4  # in a window
WINDOW = 0.05  # seconds, about
LONGER = 2  # the longest window of the losses and of a discriminator, over that of the mel spectrogram
WINDOWS = 8  # in a piece, at least: as many frames of the longest window as the discriminator halves


@dataclass(frozen=True)
class VocoderConfig:
    """The sounds, their log-mel spectrograms and the networks.

    Args:
        sampling_rate: In Hz, 8000 to 48000; null takes the most common of the dataset. Others are resampled.
        length: Samples of a piece that is trained on; null takes eight windows. Recordings of any length can be
            generated.
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
    length: int | None = None
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
        return self.sampling_rate or MIN_SAMPLING_RATE

    @property
    def size(self) -> int:
        """Samples of a window."""
        return self.window or 2 ** round(math.log2(WINDOW * self.rate))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.size // HOPS

    @property
    def piece(self) -> int:
        """Samples of a piece."""
        return self.length or max(WINDOWS * self.size, MIN_LENGTH)

    def __post_init__(self) -> None:
        rate = self.sampling_rate
        if rate is not None and not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
            expected = f"{MIN_SAMPLING_RATE} to {MAX_SAMPLING_RATE}, or null (as the dataset is)"
            raise UserError(f"sampling_rate is {rate}: expected {expected}")
        if self.length is not None and not MIN_LENGTH <= self.length <= MAX_LENGTH:
            raise UserError(f"length is {self.length}: expected {MIN_LENGTH} to {MAX_LENGTH}, or null (eight windows)")
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
        if self.piece < WINDOWS * self.size:
            raise UserError(
                f"length is {self.length}: expected at least {WINDOWS * self.size}, {WINDOWS} windows of {self.size} "
                f"samples at {self.rate} Hz; or a shorter window"
            )
        if self.piece % self.hop:
            raise UserError(f"length is {self.length}: expected a multiple of {self.hop}, a quarter of a window")
        if not 8 <= self.bins <= self.size // 4:
            raise UserError(f"bins is {self.bins}: expected 8 to {self.size // 4}, a quarter of a window")
