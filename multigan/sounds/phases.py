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
    bins = levels.shape[2]
    slopes = levels.diff(dim=2)
    before, after = slopes[..., :-1], slopes[..., 1:]
    is_peak = pad((before > 0) & (after <= 0), (1, 1))
    offsets = pad((before + after) / (2 * (before - after)), (1, 1))  # read at peaks alone
    of_bins = torch.arange(bins, device=levels.device) * step % 1  # whole turns make no difference
    peaks = nearest_peaks(is_peak)
    advances = (offsets * step + of_bins).gather(2, peaks)
    now = levels.new_zeros(levels.shape[0], bins) if turns is None else turns
    if torch.compiler.is_exporting():
        return continued_by_scan(now, peaks, advances)
    phases = []
    for places, advance in zip(peaks.unbind(1), advances.unbind(1), strict=True):
        now = now.gather(1, places) + advance
        phases.append(now)
    return torch.stack(phases, 1)


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
    spectrum = torch.complex(magnitudes * angles.cos(), magnitudes * angles.sin())  # faster than `torch.polar`
    spectrum, magnitudes = spectrum.transpose(1, 2), magnitudes.transpose(1, 2)
    made: Tensor = torch.istft(spectrum, size, hop, window=window, length=length)
    for _ in range(rounds):
        spectrum = torch.stft(made, size, hop, window=window, return_complex=True)[..., :frames]
        made = torch.istft(spectrum * (magnitudes / lengths(spectrum)), size, hop, window=window, length=length)
    return made


def nearest_peaks(is_peak: Tensor) -> Tensor:
    """Whether each bin is a peak, ``(..., bins)`` -> the one nearest to each bin, int64; or an end, if none."""
    bins = is_peak.shape[-1]
    # int16 is four times as fast, but not known to all that run an exported model.
    dtype = torch.int16 if bins < 2**14 and not torch.compiler.is_exporting() else torch.int32
    numbers = torch.arange(bins, device=is_peak.device, dtype=dtype)
    none = numbers.new_tensor([-bins, 2 * bins])
    below, above = numbers.where(is_peak, none[0]), numbers.where(is_peak, none[1]).flip(-1)
    if torch.compiler.is_exporting():
        below, above = running_max(below), -running_max(-above).flip(-1)
    else:
        below, above = below.cummax(-1).values, above.cummin(-1).values.flip(-1)
    return below.where(below + above >= 2 * numbers, above).clamp(0, bins - 1).long()


def lengths(numbers: Tensor) -> Tensor:
    """Absolute values of complex numbers, with a slope that is finite at 0; faster than `torch.abs`."""
    real, imaginary = torch.view_as_real(numbers).unbind(-1)
    return (real.square() + imaginary.square() + TINY).sqrt()


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
        scale = magnitudes / (real.square() + imaginary.square() + TINY).sqrt()
        made = fourier.istft(real * scale, imaginary * scale, window, hop, length)
    return made
