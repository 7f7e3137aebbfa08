"""Short-time Fourier transforms as convolutions of real numbers, for models that are exported.

ONNX has no inverse of the transform and no complex numbers: what is exported holds both as convolutions with sines and
cosines. Everything else uses `torch.stft` and `torch.istft`, which are faster; the results are the same up to rounding.
"""

import math
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d, pad

Basis: TypeAlias = tuple[Tensor, Tensor]


def basis(window: Tensor) -> Basis:
    """Cosines and sines of each frequency at each place of a window, ``(size / 2 + 1, size)`` each, times the window.

    They are looked up in one period, so that a file has to hold little more than that.
    """
    size = len(window)
    angles = [2 * math.pi * place / size for place in range(size)]
    period = torch.tensor([math.cos(angle) for angle in angles], dtype=window.dtype, device=window.device)
    places = torch.arange(size, device=window.device)
    turns = torch.arange(size // 2 + 1, device=window.device)[:, None] * places % size
    return period[turns] * window, period[(turns + 3 * size // 4) % size] * window


def stft(waves: Tensor, hop: int, basis: Basis) -> tuple[Tensor, Tensor]:
    """The transform of waves ``(B, T)``, mirrored at their ends: real and imaginary parts, ``(B, bins, frames)``."""
    cosines, sines = basis
    size = cosines.shape[1]
    waves = pad(waves[:, None], (size // 2, size // 2), mode="reflect")
    both = conv1d(waves, torch.cat([cosines, -sines])[:, None], stride=hop)
    real, imaginary = both.chunk(2, 1)
    return real, imaginary


def istft(real: Tensor, imaginary: Tensor, window: Tensor, hop: int, length: int, basis: Basis) -> Tensor:
    """Real and imaginary parts ``(B, size / 2 + 1, frames)`` -> waves ``(B, length)``: the inverse of `stft`."""
    size = len(window)
    # A real wave's spectrum is symmetric: each frequency but the first and the last stands for two.
    twice = torch.tensor([1.0, *[2.0] * (size // 2 - 1), 1.0]).to(window)[:, None] / size
    cosines, sines = (part * twice for part in basis)
    waves = conv_transpose1d(torch.cat([real, imaginary], 1), torch.cat([cosines, -sines])[:, None], stride=hop)
    weights = torch.ones_like(real[:1, :1])
    total = conv_transpose1d(weights, window.square()[None, None], stride=hop)
    place = slice(size // 2, size // 2 + length)
    return (waves[..., place] / total[..., place])[:, 0]
