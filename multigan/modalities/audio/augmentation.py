"""Differentiable augmentation per sound, of waveforms or of spectrograms (time is the last axis of both)."""

import torch
from torch import Tensor


def gain(samples: Tensor, numbers: Tensor, decibels: float, unit: float | None) -> Tensor:
    """Change the level of each sound by its own random gain.

    Args:
        samples: ``(B, C, T)``, or spectrograms ``(B, C, bins, frames)``.
        numbers: ``(B, 1)``, uniform in [0, 1).
        decibels: The largest change, up or down.
        unit: How many decibels a difference of 1 is in a spectrogram; None for waves.
    """
    change = (decibels * (2 * numbers - 1)).view(-1, *[1] * (samples.dim() - 1))
    return samples * 10 ** (change / 20) if unit is None else samples + change / unit


def time_shift(samples: Tensor, numbers: Tensor, share: float, silence: float) -> Tensor:
    """Shift each sound in time by its own random amount; the gap is filled with silence.

    Args:
        samples: ``(B, ..., T)``.
        numbers: ``(B, 1)``, uniform in [0, 1).
        share: The largest shift, earlier or later, as a share of the length.
        silence: The value of a sample where there is no sound.
    """
    length, inner = samples.shape[-1], [1] * (samples.dim() - 2)
    steps = (share * length * (2 * numbers - 1)).round().long()
    places = (torch.arange(length, device=samples.device) - steps).view(-1, *inner, length)
    moved = samples.gather(-1, places.clamp(0, length - 1).expand_as(samples))
    return moved.masked_fill((places < 0) | (places >= length), silence)
