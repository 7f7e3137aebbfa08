"""Log-mel spectrograms, what a vocoder is told, and sounds of them without a network.

A spectrogram is the natural logarithm of the mel filters' sums of magnitudes, at least `FLOOR` under the logarithm, as
HiFi-GAN and most of speech synthesis have it: Kong et al. 2020, arXiv:2010.05646. Filters are Slaney's, of equal area,
from 0 Hz to half the rate; windows are Hann's, and the sound is mirrored at its ends. Frame k is centred on sample
k * hop, as librosa has it; HiFi-GAN mirrors (window - hop) / 2 samples only, so that its frames are half a hop later.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from multigan.interface import full_precision
from multigan.sounds.phases import magnitude

FLOOR = 1e-5
BLOCK = 1024  # frames that are transformed at a time, so that memory does not grow with the length
ROUNDS = 60  # of Griffin-Lim


@cache
def filters(bins: int, size: int, rate: int) -> Tensor:
    """The mel filters, float64 ``(bins, size / 2 + 1)``."""
    from torchaudio.functional import melscale_fbanks

    # In double precision: torchaudio makes them in the default type.
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        bank: Tensor = melscale_fbanks(size // 2 + 1, 0.0, rate / 2, bins, rate, norm="slaney", mel_scale="slaney")
    finally:
        torch.set_default_dtype(before)
    return bank.T.contiguous()


@cache
def filters_on(device: torch.device, dtype: torch.dtype, bins: int, size: int, rate: int) -> Tensor:
    """`filters` on a device, because copying them there takes longer than what is done with them."""
    return filters(bins, size, rate).to(device, dtype)


@cache
def inverse_filters(bins: int, size: int, rate: int) -> Tensor:
    """The pseudo-inverse of `filters`, float64 ``(size / 2 + 1, bins)``."""
    found: Tensor = torch.linalg.pinv(filters(bins, size, rate))
    return found


def mirrored(waves: Tensor, size: int) -> Tensor:
    """Waves ``(B, T)``, mirrored for half a window at both ends: ``(B, T + size)``. T is more than that."""
    return pad(waves[:, None], (size // 2, size // 2), mode="reflect")[:, 0]


def magnitudes(waves: Tensor, size: int) -> Tensor:
    """Waves ``(B, T)`` -> magnitudes of their short-time Fourier transform, ``(B, size / 2 + 1, frames)``.

    A frame is a whole window; from one to the next is a quarter of it.
    """
    hop = size // 4
    window = torch.hann_window(size, dtype=waves.dtype, device=waves.device)
    spectrum = torch.stft(waves, size, hop, window=window, center=False, return_complex=True)
    return magnitude(spectrum)


def log_mel(waves: Tensor, bins: int, size: int, rate: int) -> Tensor:
    """Waves ``(B, T)`` -> their log-mel spectrograms ``(B, bins, frames)``.

    There are T / hop frames, rounded up, a hop being a quarter of a window: what is missing of a last one is silent.
    They are computed in full precision, also under autocast: half precision keeps two or three digits of a logarithm.

    Args:
        waves: Longer than half a window.
        bins: Mel filters.
        size: Samples of a window.
        rate: Samples a second.
    """
    hop = size // 4
    frames = -(-waves.shape[1] // hop)
    waves = mirrored(pad(full_precision(waves), (0, frames * hop - waves.shape[1])), size)
    bank = filters_on(waves.device, waves.dtype, bins, size, rate)
    with torch.autocast(waves.device.type, enabled=False):
        parts = [
            bank @ magnitudes(waves[:, start * hop : (min(start + BLOCK, frames) - 1) * hop + size], size)
            for start in range(0, frames, BLOCK)
        ]
        return torch.cat(parts, 2).clamp_min(FLOOR).log()


def linear_magnitudes(mels: Tensor, size: int, rate: int) -> Tensor:
    """Log-mel spectrograms ``(B, bins, frames)`` -> an estimate of the magnitudes ``(B, size / 2 + 1, frames)``."""
    inverse = inverse_filters(mels.shape[1], size, rate).to(mels)
    return (inverse @ mels.exp()).clamp_min(FLOOR)


def griffin_lim(mels: Tensor, size: int, rate: int) -> Tensor:
    """Log-mel spectrograms ``(B, bins, frames)`` -> waves ``(B, frames * hop)``, without a network.

    The pseudo-inverse of the mel filters, and Griffin and Lim's algorithm in its fast form (Perraudin et al. 2013).
    """
    from torchaudio.functional import griffinlim  # here, because training is done without

    hop = size // 4
    target = linear_magnitudes(mels, size, rate)
    target = torch.cat([target, target[..., -1:]], 2)  # the frame in the middle of which a sound ends
    window = torch.hann_window(size, dtype=mels.dtype, device=mels.device)
    waves: Tensor = griffinlim(
        target, window, size, hop, size, 1.0, ROUNDS, momentum=0.99, length=mels.shape[2] * hop, rand_init=False
    )
    return waves
