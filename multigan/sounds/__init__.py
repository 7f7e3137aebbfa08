"""Sounds as files, cells of datasets, integers and waves: what the modalities of sounds share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets
    from torch import Tensor

ENDINGS = (
    *(".wav", ".w64", ".rf64", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".caf"),
)
"""Endings of the names of sound files, in lower case."""

MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 8000, 48000  # Hz
FULL_SCALE = 32768  # of int16


def drum_kit() -> datasets.Dataset:
    """The built-in drum kit: see `multigan.sounds.drums`, which is slow to import."""
    from multigan.sounds.drums import drums

    return drums()


def to_waves(real: Tensor) -> Tensor:
    """Encoded int16 ``(B, length, channels)`` -> waveforms ``(B, channels, length)`` in [-1, 1]."""
    import torch

    return real.transpose(1, 2).to(torch.get_default_dtype()) / FULL_SCALE
