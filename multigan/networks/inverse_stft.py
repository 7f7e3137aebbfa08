"""The end of a generator of sounds: magnitudes and phases of a short-time Fourier transform, turned into waves.

The inverse transform does what layers that upsample would have to learn, without their artifacts: Kaneko et al. 2022
(iSTFTNet), arXiv:2203.02395; Siuzdak 2023 (Vocos), arXiv:2306.00814.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from multigan.interface import full_precision
from multigan.networks import fourier

FLAT = 1e-4  # added to the squared length of a phase, so that its slope is finite at 0


def inverse_stft(magnitude: Tensor, cosine: Tensor, sine: Tensor, hop: int) -> Tensor:
    """Magnitudes and phases ``(..., bins, frames)`` -> waves ``(..., frames * hop)``, in full precision.

    Each bin's phase is that of the bin's own frequency, its carrier, plus an angle: a constant angle is a steady tone,
    and a sine has the same angle in the bins beside its own. The last frame is used twice, so that the end of a sound
    lies in as many windows as its middle.

    Args:
        magnitude: At least 0; 1 is a sine of full scale. The bins are half a window's samples, from 0 Hz up; the last,
            half the rate, is left out, and is silent.
        cosine: Cosine of the angle times any length.
        sine: Sine of the angle times the same length.
        hop: Samples from one window (Hann) to the next, half a window at most.
    """
    *batch, bins, frames = magnitude.shape
    size = 2 * bins
    with torch.autocast(magnitude.device.type, enabled=False):
        magnitude, cosine, sine = (full_precision(values) for values in (magnitude, cosine, sine))
        window = torch.hann_window(size, dtype=magnitude.dtype, device=magnitude.device)
        scale = magnitude * (window.sum() / 2) / (cosine.square() + sine.square() + FLAT).sqrt()
        if torch.compiler.is_exporting():  # ONNX has no complex numbers
            waves = real_inverse(scale * cosine, scale * sine, window, hop)
            return waves.view(*batch, frames * hop)
        angles = torch.complex(scale * cosine, scale * sine)
        spectrum = torch.cat([angles, angles[..., -1:]], -1) * carriers(bins, frames + 1, hop, magnitude)
        spectrum = pad(spectrum, (0, 0, 0, 1)).flatten(0, -3)
        waves = torch.istft(spectrum, size, hop, window=window, length=frames * hop)
    return waves.view(*batch, frames * hop)


def carriers(bins: int, frames: int, hop: int, like: Tensor) -> Tensor:
    """The phase of each bin's frequency in the middle of each frame: complex numbers of length 1, ``(bins, frames)``.

    A transform counts phases from the start of a window, half a window, ``bins`` samples, before that.
    """
    angle = carrier_angles(bins, frames, hop, like)
    return torch.polar(torch.ones_like(angle), angle)


def carrier_angles(bins: int, frames: int, hop: int, like: Tensor) -> Tensor:
    """The angles of `carriers`, in radians."""
    middles = torch.arange(frames, device=like.device) * hop + bins
    turns = torch.arange(bins, device=like.device)[:, None] * middles
    return (turns % (2 * bins)).to(like.dtype) * (math.pi / bins)  # whole turns go first: long sounds lose no digits


def real_inverse(cosine: Tensor, sine: Tensor, window: Tensor, hop: int) -> Tensor:
    """What `inverse_stft` does at the end, of the magnitude times cosine and sine, in real numbers: ``(N, T)``."""
    bins, frames = cosine.shape[-2:]
    cosine, sine = (torch.cat([part, part[..., -1:]], -1) for part in (cosine, sine))
    angle = carrier_angles(bins, frames + 1, hop, cosine)
    turned = cosine * angle.cos() - sine * angle.sin(), cosine * angle.sin() + sine * angle.cos()
    real, imaginary = (pad(part, (0, 0, 0, 1)).flatten(0, -3) for part in turned)
    return fourier.istft(real, imaginary, window, hop, frames * hop)


def capped(values: Tensor, most: float) -> Tensor:
    """Values, smoothly kept under ``most``: ``most - softplus(most - values)``.

    Without a bound under the exponential, magnitudes grew until they were not finite.
    """
    return most - softplus(most - values)


def limited(waves: Tensor) -> Tensor:
    """Waves ``(B, C, T)``, each sound that goes beyond full scale divided by its peak."""
    return waves / waves.abs().amax((1, 2), keepdim=True).clamp_min(1)


def faded_in(waves: Tensor, count: int) -> Tensor:
    """Waves ``(B, C, T)`` that rise from silence over their first samples, along a squared sine.

    A click in the very first sample, where a window is centred, is a cheap attack: the spectrum of a window hardly
    tells them apart. It took all of full scale from the drums that followed it.
    """
    rise = torch.linspace(0, math.pi / 2, count + 1, dtype=waves.dtype, device=waves.device)[:-1].sin().square()
    return torch.cat([waves[..., :count] * rise, waves[..., count:]], -1)
