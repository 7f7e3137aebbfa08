"""Phases for magnitudes of a short-time Fourier transform that come without: from a network, or a picture.

They are continued as a phase vocoder does: each peak of the magnitudes goes on at its own frequency (Beauregard et al.
2015, "Single pass spectrogram inversion", doi:10.1109/ICDSP.2015.7251907). Rounds of Griffin and Lim's algorithm
(1984, doi:10.1109/TASSP.1984.1164317) then make overlapping frames agree.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from multigan.networks import fourier

TINY = 1e-9  # added to squared lengths, so that their root has a finite slope at 0


@torch.no_grad()
def continued(levels: Tensor, turns: Tensor | None = None, step: float = 0.25) -> Tensor:
    """The phases with which the peaks of magnitudes go on from frame to frame.

    A peak's frequency is that of a parabola through its level and those beside it. From where it was, its phase goes on
    at that frequency, and the bins around a peak share its phase, as those of a sine do.

    Args:
        levels: Logarithms of magnitudes, ``(B, frames, bins)``.
        turns: Phases in the frame before the first, ``(B, bins)``; None for none.
        step: From one frame to the next, in windows.

    Returns:
        Phases in turns, in the middle of each frame, ``(B, frames, bins)``: they grow with the frames.
    """
    batch, frames, bins = levels.shape
    slopes = levels.diff(dim=2)
    before, after = slopes[..., :-1], slopes[..., 1:]
    rising = slopes > 0
    is_peak = pad(rising[..., :-1] & ~rising[..., 1:], (1, 1))
    offsets = pad((before + after) / (2 * (before - after)), (1, 1))  # read at peaks alone
    of_bins = torch.arange(bins, device=levels.device) * step % 1  # whole turns make no difference
    peaks = nearest_peaks(is_peak)
    advances = (offsets * step + of_bins).gather(2, peaks)
    now = levels.new_zeros(batch, bins) if turns is None else turns
    if torch.compiler.is_exporting():
        return continued_by_scan(now, peaks, advances)
    rows = torch.arange(batch, device=levels.device)[:, None, None] * bins
    places, advances = (values.transpose(0, 1).flatten(1) for values in (peaks + rows, advances))
    now, phases = now.flatten(), []
    for place, advance in zip(places, advances, strict=True):
        now = now.index_select(0, place) + advance
        phases.append(now)
    return torch.stack(phases).view(frames, batch, bins).transpose(0, 1)


def reconstructed(magnitudes: Tensor, phases: Tensor, window: Tensor, hop: int, length: int, rounds: int) -> Tensor:
    """Magnitudes and phases in turns, ``(B, frames, size / 2 + 1)`` -> waves ``(B, length)``, differentiable.

    Phases are those in the middle of a frame; a transform counts from its start, half a window before that.

    Args:
        magnitudes: Of frames whose middles are multiples of the hop, from 0.
        phases: As `continued` makes them.
        window: The transform's, ``(size,)``.
        hop: Samples from one frame to the next.
        length: Samples of a wave.
        rounds: In which frames are made to agree, and magnitudes are set to what they were.
    """
    frames, size = magnitudes.shape[1], len(window)
    half_turns = torch.arange(magnitudes.shape[2], device=phases.device) % 2 * math.pi
    angles = 2 * math.pi * phases + half_turns
    if torch.compiler.is_exporting():
        return reconstructed_in_real_numbers(magnitudes, angles, window, hop, length, rounds)
    place = slice(size // 2, size // 2 + length)
    scale = 1 / fourier.overlapped(window.square().expand(1, frames, size), hop)[:, place]

    # Rows are frames. Those of `torch.stft` and `torch.istft` are bins, which takes a quarter longer.
    def wave(real: Tensor, imaginary: Tensor) -> Tensor:
        spectrum = torch.complex(real, imaginary)
        return fourier.overlapped(torch.fft.irfft(spectrum, size) * window, hop)[:, place] * scale

    made = wave(magnitudes * angles.cos(), magnitudes * angles.sin())
    for _ in range(rounds):
        mirrored = pad(made[:, None], (size // 2, size // 2), mode="reflect")[:, 0]
        spectrum = torch.fft.rfft(mirrored.unfold(1, size, hop)[:, :frames] * window)
        real, imaginary = torch.view_as_real(spectrum).unbind(-1)
        gain = magnitudes * power(real, imaginary).rsqrt()
        made = wave(real * gain, imaginary * gain)
    return made


def nearest_peaks(is_peak: Tensor) -> Tensor:
    """Whether each bin is a peak, ``(..., bins)`` -> the one nearest to each bin, int64; or an end, if none."""
    bins = is_peak.shape[-1]
    # int16 is four times as fast, but not known to all that run an exported model.
    dtype = torch.int16 if bins < 2**13 and not torch.compiler.is_exporting() else torch.int32
    numbers = torch.arange(bins, device=is_peak.device, dtype=dtype)
    # -bins, or 2 bins, where there is none; in sums and products, as `torch.where` is several times slower.
    below, above = (numbers + bins) * is_peak - bins, 2 * bins - (2 * bins - numbers) * is_peak
    if torch.compiler.is_exporting():
        below, above = running_max(below), -running_max(-above.flip(-1)).flip(-1)
    else:
        below, above = below.cummax(-1).values, above.flip(-1).cummin(-1).values.flip(-1)
    nearest = above - (above - below) * (below + above >= 2 * numbers)
    return nearest.clamp(0, bins - 1).long()


def magnitude(numbers: Tensor) -> Tensor:
    """Absolute values of complex numbers, with a slope that is finite at 0; faster than `torch.abs`."""
    real, imaginary = torch.view_as_real(numbers).unbind(-1)
    return power(real, imaginary).sqrt()


def power(real: Tensor, imaginary: Tensor) -> Tensor:
    """Squared absolute values of complex numbers, none quite 0."""
    return torch.addcmul(real.square() + TINY, imaginary, imaginary)


# --- the same for models that are exported: see `multigan.networks.fourier` ---


def continued_by_scan(now: Tensor, peaks: Tensor, advances: Tensor) -> Tensor:
    """The loop of `continued`, for any number of frames.

    Args:
        now: Phases in the frame before the first, ``(B, bins)``.
        peaks: The peak of each bin, int64 ``(B, frames, bins)``.
        advances: By how much its phase goes on, ``(B, frames, bins)``.
    """
    from torch._higher_order_ops import scan  # here, because it imports torch's compiler, which takes seconds

    def step(before: Tensor, frame: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        places, advance = frame
        after = before.gather(1, places) + advance
        return after, after.clone()

    _, phases = scan(step, now, (peaks.transpose(0, 1), advances.transpose(0, 1)))
    found: Tensor = phases.transpose(0, 1)
    return found


def running_max(values: Tensor) -> Tensor:
    """``values.cummax(-1).values`` of integers, which ONNX does not have: over 2, 4, 8, ... entries."""
    count, reach = values.shape[-1], 1
    least = torch.iinfo(values.dtype).min
    while reach < count:
        values = torch.maximum(values, pad(values, (reach, 0), value=least)[..., :count])
        reach *= 2
    return values


def reconstructed_in_real_numbers(
    magnitudes: Tensor, angles: Tensor, window: Tensor, hop: int, length: int, rounds: int
) -> Tensor:
    """The end of `reconstructed`, from angles in radians ``(B, frames, bins)``."""
    frames, basis = magnitudes.shape[1], fourier.basis(window)
    magnitudes, angles = magnitudes.transpose(1, 2), angles.transpose(1, 2)
    made = fourier.istft(magnitudes * angles.cos(), magnitudes * angles.sin(), window, hop, length)
    for _ in range(rounds):
        real, imaginary = (part[..., :frames] for part in fourier.stft(made, hop, basis))
        gain = magnitudes * power(real, imaginary).rsqrt()
        made = fourier.istft(real * gain, imaginary * gain, window, hop, length)
    return made
