"""The configuration of the audio modality."""

import math
from dataclasses import dataclass
from typing import Literal

from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig
from multigan.sounds import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE

MIN_LENGTH, MAX_LENGTH = 4096, 131072  # samples
MAX_SECONDS = 60.0  # of a generated sound


@dataclass(frozen=True)
class AudioConfig(ClassConditionalConfig):
    """The sounds and the networks.

    Args:
        sampling_rate: In Hz, 8000 to 48000; null takes the most common of the dataset. Others are resampled.
        length: Samples of a generated sound, 4096 to 131072; null takes the power of two that holds 95 % of the
            dataset's sounds, or 16384 where that is over 65536.
        crop: Which part of longer sounds is used: start, or random (another part each time); null takes the start
            where most sounds are no longer than the length.
        channels: 1 for mono, 2 for stereo; null takes stereo if the whole dataset is.
        normalization: peak scales each recording to full scale, none leaves levels unchanged.
        trim: Cut off the start and end of a recording where they are this many decibels below its peak; null keeps all.
        architecture: istft generates magnitudes and phases, turns them into the waveform by an inverse Fourier
            transform, and is judged on spectrograms of that; specgan generates a spectrogram, from which the
            waveform is reconstructed, and wavegan the waveform (both Donahue et al. 2019). istft learns the built-in
            drums in minutes; specgan takes longer, wavegan far longer.
        conditional: Condition both networks on the class, so that samples of a chosen class can be generated.
        latent_dim: Dimensions of the noise that a sound is generated from.
        generator_width: Channels before the generator's last layer; for wavegan the paper's model size.
        discriminator_width: Channels after the discriminator's first layer.
        phase_shuffle: wavegan: each layer of the discriminator is shifted at random by up to this many samples, so that
            it cannot detect the generator's artifacts by their pitch; 0 disables it.
        post_filter: wavegan: taps of a learned filter after the generator, 512 in the paper; 0 disables it.
        spectrogram_bins: istft, specgan: frequency bins, half a window's samples, a power of two; null takes windows
            of about 32 ms; of istft, these are the short ones.
        spectrogram_hop: istft, specgan: samples between spectrogram frames; null is a quarter of a window.
        gain: Augmentation of real and generated sounds for the discriminator: random gain of up to this many decibels.
        shift: Augmentation: random shift in time by up to this share of the length.
        audio_column: The dataset's column of sounds; null finds it.
        label_column: The dataset's column of classes; null finds it.
        classes: The names of the classes; empty takes them from the dataset.
    """

    sampling_rate: int | None = None
    length: int | None = None
    crop: Literal["start", "random"] | None = None
    channels: int | None = None
    normalization: Literal["peak", "none"] = "peak"
    trim: float | None = None
    architecture: Literal["istft", "specgan", "wavegan"] = "istft"
    latent_dim: int = 64
    generator_width: int = 16
    discriminator_width: int = 16
    phase_shuffle: int = 2
    post_filter: int = 0
    spectrogram_bins: int | None = None
    spectrogram_hop: int | None = None
    gain: float = 0.0
    shift: float = 0.0
    audio_column: str | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("sampling_rate", MIN_SAMPLING_RATE, MAX_SAMPLING_RATE),
            ("length", MIN_LENGTH, MAX_LENGTH),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UserError(f"{name} is {value}: expected {low} to {high}, or null (as the dataset is)")
        if self.channels not in (None, 1, 2):
            raise UserError(f"channels is {self.channels}: expected 1 (mono), 2 (stereo) or null (as the sounds are)")
        for name in ("latent_dim", "generator_width", "discriminator_width", "spectrogram_hop"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name, most in (
            ("phase_shuffle", 63),
            ("post_filter", MIN_LENGTH),
        ):  # the smallest layer moved has 64 samples
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name)}: expected 0 to {most}")
        for name, highest in (("gain", 40), ("shift", 1)):
            if not 0 <= getattr(self, name) <= highest:
                raise UserError(f"{name} is {getattr(self, name)}: expected 0 to {highest}")
        if self.trim is not None and self.trim <= 0:
            raise UserError(f"trim is {self.trim}: expected decibels, more than 0, or null")
        bins = self.spectrogram_bins
        if bins is not None and (bins < 8 or bins & (bins - 1)):
            raise UserError(f"spectrogram_bins is {bins}: expected a power of two, 8 or more")
        if self.length is not None and (self.architecture == "wavegan" or self.sampling_rate is not None):
            self.check_length(self.length)

    def check_length(self, length: int) -> None:
        """Raise UserError for a length that the networks cannot generate."""
        bins, hop = self.spectrogram()
        if self.architecture == "istft":  # any length: it cuts off what is too long
            most = 2 ** int(math.log2(length / 4))  # the discriminator has windows of twice these
            if not (16 <= bins <= most and hop <= min(bins // 2, length // 32)):  # and hops of four times
                raise UserError(
                    f"spectrogram_bins is {bins} and spectrogram_hop {hop}: for sounds of {length} samples expected 16 "
                    f"to {most} bins, and a hop of at most {min(bins // 2, length // 32)}"
                )
            return
        if self.architecture == "specgan" and not (hop <= bins < length and 8 * hop <= length):
            raise UserError(
                f"no spectrogram of {length} samples has windows of {2 * bins} (twice spectrogram_bins) at a hop of "
                f"{hop}: expected shorter windows, no longer than the sound, and a hop of no more than half a window "
                "and an eighth of the length"
            )
        unit = self.unit(length)
        if length % unit:
            near = [length - length % unit, length - length % unit + unit]
            names = " and ".join(str(at) for at in near if MIN_LENGTH <= at <= MAX_LENGTH)
            raise UserError(
                f"length is {length}: {self.architecture} cannot generate this length, the nearest are {names}"
            )

    def unit(self, length: int) -> int:
        """The networks make multiples of this many samples, about this length."""
        if self.architecture == "wavegan":
            return int(4 ** levels(length))
        bins, hop = self.spectrogram()
        frames = min(bins, length // hop)  # layers of twice the side, from 4 to 7
        return hop << max((frames // 4).bit_length() - 1, 0)

    def spectrogram(self) -> tuple[int, int]:
        """Bins, and the hop in samples."""
        bins = 2 ** round(math.log2(0.016 * (self.sampling_rate or MIN_SAMPLING_RATE)))
        if self.architecture == "istft" and self.length:  # a short sound of a high rate has 32 frames as well
            bins = min(bins, 2 ** int(math.log2(self.length / 16)))
        bins = self.spectrogram_bins or bins
        return bins, self.spectrogram_hop or bins // 2


@dataclass(frozen=True)
class AudioOptions:
    """Options of generating sounds with architecture istft.

    Args:
        seconds: Length of a sound, from that of training to 60; null is that of training.
        loop: Whether a sound can be repeated without a seam. It is then as long as a whole number of windows' steps.
    """

    seconds: float | None = None
    loop: bool = False


def levels(length: int) -> int:
    """How often WaveGAN makes a sound four times as long, from 16 to 63 samples up to ``length``."""
    return (length // 16).bit_length() - 1 >> 1
