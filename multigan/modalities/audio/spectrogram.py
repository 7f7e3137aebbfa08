"""Sounds to spectrograms and back.

For SpecGAN (Donahue et al. 2019, arXiv:1802.04208, section 3.3), a picture is the logarithm of the magnitudes of a
short-time Fourier transform, from -80 dB at -1 to 0 dB, a sine of full scale, at 1. The paper normalises each frequency
by its mean and deviation over the data instead; a fixed scale needs nothing of the data to hear what was generated.
Phases are continued from frame to frame: with a few rounds of Griffin and Lim's algorithm after that, drums have the
figures that 32 rounds alone gave them, in a seventh of the time.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from multigan.sounds.phases import continued, reconstructed

FLOOR = -80.0  # decibels: the lowest level of what SpecGAN generates, and is silence when it is heard
ROUNDS = 4  # of Griffin-Lim
DEPTH = 85.0  # decibels from silence to a sine of full scale, in `log_power`, which is only judged


def to_log_magnitude(sounds: Tensor, bins: int, hop: int) -> Tensor:
    """``(B, C, T)`` in [-1, 1] -> ``(B, C, bins, T / hop)`` in [-1, 1].

    Args:
        sounds: The sounds.
        bins: Frequencies, from 0 up; half as many as samples in a window. The last, half the rate, is left out.
        hop: Samples from one window to the next; it divides T.
    """
    spectrum, scale = transform(sounds, bins, hop)
    magnitude = spectrum.abs() * 2 / scale
    decibels = 20 * magnitude.clamp_min(1e-10).log10()
    scaled: Tensor = (1 - 2 * decibels / FLOOR).clamp(-1, 1)
    return scaled.view(*sounds.shape[:2], *scaled.shape[1:])


def log_power(sounds: Tensor, bins: int, hop: int) -> Tensor:
    """``(B, C, T)`` in [-1, 1] -> ``(B, C, bins, T / hop)``, from -1 at silence to about 1, with a gradient everywhere.

    The logarithm is of the power plus that at the lowest level. Arguments as in `to_log_magnitude`.
    """
    spectrum, scale = transform(sounds, bins, hop)
    power = (spectrum.real.square() + spectrum.imag.square()) * (2 / scale) ** 2
    decibels = 10 * (power + 10 ** (-DEPTH / 10)).log10()
    scaled: Tensor = 1 + 2 * decibels / DEPTH
    return scaled.view(*sounds.shape[:2], *scaled.shape[1:])


def transform(sounds: Tensor, bins: int, hop: int) -> tuple[Tensor, Tensor]:
    """``(B, C, T)`` -> the short-time Fourier transform, complex ``(B * C, bins, T / hop)``, and its window's sum."""
    window = torch.hann_window(2 * bins, dtype=sounds.dtype, device=sounds.device)
    spectrum = torch.stft(sounds.flatten(0, 1), 2 * bins, hop, window=window, return_complex=True)
    return spectrum[:, :-1, :-1], window.sum()


def to_waves(pictures: Tensor, hop: int) -> Tensor:
    """``(B, C, bins, frames)`` -> ``(B, C, frames * hop)``, clipped to [-1, 1]."""
    batch, channels, bins, frames = pictures.shape
    window = torch.hann_window(2 * bins, dtype=pictures.dtype, device=pictures.device)
    decibels = (1 - pictures.flatten(0, 1).transpose(1, 2)) * FLOOR / 2
    quietest = 10 ** (FLOOR / 20)
    magnitudes = (10 ** (decibels / 20) - quietest).clamp_min(0) * window.sum() / 2  # the lowest level is silence
    magnitudes = pad(torch.cat([magnitudes, magnitudes[:, -1:]], 1), (0, 1))  # a frame for the end, and half the rate
    found = continued((magnitudes + quietest).log(), step=hop / (2 * bins))
    return reconstructed(magnitudes, found, window, hop, frames * hop, ROUNDS).clamp(-1, 1).view(batch, channels, -1)
