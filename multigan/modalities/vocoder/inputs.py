"""Inputs: recordings, and log-mel spectrograms of other programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
from tqdm import tqdm

from multigan.modalities.vocoder.config import VocoderConfig
from multigan.modalities.vocoder.mel import FLOOR
from multigan.sounds import data

# Of a log-mel spectrogram: far over that of any sound, and under the logarithms of what others add to magnitudes.
HIGHEST_LEVEL, LOWEST_LEVEL = 10.0, -30.0


def read_input(config: VocoderConfig, value: Any) -> dict[str, numpy.ndarray]:
    """``wave``, int16 ``(T, 1)``, or ``mel``, float32 ``(bins, frames)``.

    Args:
        config: The model's.
        value: A file of sound or an .npy file of a spectrogram; a sound as `datasets` has it, or a spectrogram.

    Raises:
        ValueError: It cannot be used, and why.
        OSError: It cannot be read.
    """
    if isinstance(value, str | Path) and Path(value).suffix.lower() == ".npy":
        return {"mel": spectrogram(config, read_npy(Path(value)))}
    if isinstance(value, str | Path | dict):
        return {"wave": wave(config, value)}
    try:
        values = numpy.asarray(value)
    except (RuntimeError, TypeError):
        raise ValueError("a tensor that numpy cannot read: expected tensor.detach().cpu().float()") from None
    return {"mel": spectrogram(config, values)}


def read_npy(path: Path) -> numpy.ndarray:
    """The array of an .npy file."""
    with path.open("rb") as file:
        try:
            # Not numpy.load, which opens other kinds of files too, whatever they are called.
            values: numpy.ndarray = numpy.lib.format.read_array(file)  # unpickles nothing
        except ValueError:
            raise ValueError("not an .npy file of numbers that can be read: write it with numpy.save") from None
    return values


def wave(config: VocoderConfig, value: Any) -> numpy.ndarray:
    """A recording at the model's rate, at its own level; says when it was resampled."""
    samples = data.decode(value, config.rate, channels=1)
    least = 2 * config.size
    if len(samples) < least:
        raise ValueError(
            f"{len(samples):,} samples ({len(samples) / config.rate:.3f} s) are shorter than two windows of the "
            f"spectrogram: expected at least {least:,}"
        )
    info = data.probe(value)
    if isinstance(info, data.Info) and info.rate != config.rate:
        name = f"{value}: " if isinstance(value, str | Path) else ""
        tqdm.write(f"{name}resampled from {info.rate:,} to {config.rate:,} Hz, the rate of the model")
    return samples


def spectrogram(config: VocoderConfig, values: numpy.ndarray) -> numpy.ndarray:
    """A log-mel spectrogram, once it is known to be one of this model's kind."""
    if values.ndim == 3 and len(values) == 1:
        values = values[0]
    if values.dtype.kind != "f" or values.ndim != 2:
        raise ValueError(
            f"not a log-mel spectrogram: an array {values.shape} of {values.dtype}; expected floats "
            f"({config.bins} bins, frames), or a sound with its rate"
        )
    bins, frames = values.shape
    if bins != config.bins:
        turned = "; transpose it" if frames == config.bins else ""
        raise ValueError(
            f"a spectrogram of {bins} bins and {frames} frames: expected ({config.bins} bins, frames){turned}"
        )
    if frames < 8:
        raise ValueError(f"a spectrogram of {frames} frames: expected 8 at least")
    if not numpy.isfinite(values).all():
        raise ValueError("some values of the spectrogram are not finite numbers")
    least, most = values.min(), values.max()
    if most > HIGHEST_LEVEL or least < LOWEST_LEVEL:
        raise ValueError(
            f"the spectrogram goes from {least:.3g} to {most:.3g}: expected natural logarithms of magnitudes, at least "
            f"log {FLOOR:g} = {math.log(FLOOR):.1f}, as documented; decibels or powers are another kind"
        )
    if most <= math.log(FLOOR) + 1e-3:
        raise ValueError("the spectrogram is silent")
    if least >= 0:
        tqdm.write("note: no value of the spectrogram is under 0: of magnitudes, take the natural logarithm")
    if least < math.log(FLOOR) - 0.1:
        tqdm.write(
            f"note: the spectrogram goes down to {least:.1f}, and is raised to log {FLOOR:g} = {math.log(FLOOR):.1f}; "
            "of powers, take half the logarithm"
        )
    return values.astype(numpy.float32).clip(math.log(FLOOR))
