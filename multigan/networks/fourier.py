"""Short-time Fourier transforms in real numbers, for models that are exported.

ONNX has no inverse of the transform and no complex numbers: what is exported holds both as products with sines and
cosines. Everything else uses transforms of torch, which are faster; the results are the same up to rounding.
"""

import math
from functools import reduce
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

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


def istft(real: Tensor, imaginary: Tensor, window: Tensor, hop: int, length: int) -> Tensor:
    """Real and imaginary parts ``(B, size / 2 + 1, frames)`` -> waves ``(B, length)``: the inverse of `stft`."""
    size = len(window)
    frames = inverse(real.transpose(1, 2), imaginary.transpose(1, 2)) * window
    place = slice(size // 2, size // 2 + length)
    total = overlapped(window.square().expand_as(frames[:1]), hop)
    return overlapped(frames, hop)[:, place] / total[:, place]


def inverse(real: Tensor, imaginary: Tensor) -> Tensor:
    """The inverse transform of spectra of real numbers, ``(..., size / 2 + 1)`` -> ``(..., size)``.

    One step of Cooley and Tukey's: with ``size = rows * columns``, frequencies are ``k = row + rows * column`` and
    places ``n = columns * row + column``. One matrix of so many cosines would be 268 MB for windows of 8,192 samples.
    """
    size = 2 * (real.shape[-1] - 1)
    rows = next(factor for factor in range(math.isqrt(size), 0, -1) if size % factor == 0)
    columns = size // rows
    # Of the frequencies beyond half the rate, which mirror the others.
    real, imaginary = (
        torch.cat([part, sign * part[..., 1:-1].flip(-1)], -1).view(*part.shape[:-1], columns, rows).transpose(-1, -2)
        for part, sign in ((real, 1), (imaginary, -1))
    )
    cosines, sines = turns(columns, columns, columns, real)
    real, imaginary = real @ cosines - imaginary @ sines, real @ sines + imaginary @ cosines
    cosines, sines = turns(rows, columns, size, real)
    real, imaginary = real * cosines - imaginary * sines, real * sines + imaginary * cosines
    cosines, sines = turns(rows, rows, rows, real)
    return (cosines @ real - sines @ imaginary).flatten(-2) / size


def turns(rows: int, columns: int, period: int, like: Tensor) -> Basis:
    """Cosines and sines of ``row * column`` of ``period`` parts of a turn, ``(rows, columns)`` each."""
    angles = [2 * math.pi * (row * column % period) / period for row in range(rows) for column in range(columns)]
    cosines, sines = (
        torch.tensor([function(angle) for angle in angles], dtype=like.dtype, device=like.device).view(rows, columns)
        for function in (math.cos, math.sin)
    )
    return cosines, sines


def overlapped(frames: Tensor, hop: int) -> Tensor:
    """Frames ``(B, frames, size)``, each ``hop`` samples after the one before, added up: ``(B, T)``, of whole hops."""
    parts = torch.split(frames, hop, 2)
    later = len(parts) - 1
    shifted = (pad(part, (0, hop - part.shape[2], place, later - place)) for place, part in enumerate(parts))
    return reduce(torch.add, shifted).flatten(1)
