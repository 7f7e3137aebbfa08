"""Rows of a dataset as sounds: inspects them, and converts any of them to int16 at one rate."""

from __future__ import annotations

import functools
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import datasets
import numpy
import soundfile
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from multigan.columns import AnyDataset, find_column, path_of
from multigan.errors import UserError
from multigan.sounds import MAX_SAMPLING_RATE, MIN_SAMPLING_RATE
from multigan.sounds.output import to_int16

if TYPE_CHECKING:
    from torchaudio.transforms import Resample

Crop: TypeAlias = Literal["start", "random"]

AUDIO_NAMES = ("file", "audio", "sound", "recording", "speech", "clip", "path", "wav", "flac", "mp3", "ogg")
STREAM_LOOKED_AT = 256  # sounds of a stream that are inspected
ROWS = 256  # inspected between two updates of the progress bar
MOST_PHASES = 2000  # resampling filters for two rates: with few common factors they would fill the memory
CUT_OFF = re.compile(r"(?:data|SSND) : (\d+) \(should be (\d+)\)")
UNKNOWN_SIZE = 0x7FFFF000  # frames in the header of a file that was written to a pipe (SoX), or more (others)
SILENT = 1e-4  # of full scale, -80 dB: what is quieter, a constant offset aside, is no sound
CLICK = 70  # samples, the reach of the resampling filter
IN_DOUBT = {"MP3": 2 * 1152}  # samples, two frames: without a length in the header it is only estimated
PROPOSED = (4096, 8192, 16384, 32768, 65536)
LENGTH_OF_PIECES = 16384  # of sounds too long to be generated whole


@dataclass(frozen=True)
class Info:
    """The header of a file: sampling rate in Hz, frames, channels."""

    rate: int
    frames: int
    channels: int


def find_audio_column(dataset: AnyDataset, name: str | None) -> str:
    """The column of sounds: see `find_column`."""
    return find_column(dataset, name, "audio_column", datasets.Audio, AUDIO_NAMES, "sounds")


@contextmanager
def open_sound(value: Any) -> Iterator[soundfile.SoundFile]:
    """A cell of a dataset, opened: encoded bytes, a path, or as `datasets` has either.

    Raises:
        ValueError: It is no sound, is cut off, or the cell is empty or of an unknown kind.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if value is None or value == b"" or value == "":
        raise ValueError("the cell is empty")
    if not isinstance(value, bytes | str | Path):
        raise ValueError(f"a cell of {type(value).__name__} is no sound: expected a file, its path or its bytes")
    value = value if isinstance(value, bytes) else path_of(value)
    if isinstance(value, Path) and not value.is_file():
        raise ValueError(f"there is no file {value}")
    if isinstance(value, Path) and not value.stat().st_size:
        raise ValueError("the file is empty")
    try:
        with soundfile.SoundFile(io.BytesIO(value) if isinstance(value, bytes) else value) as file:
            # libsndfile reads what is left of a truncated file, and says so only in its log.
            cut = CUT_OFF.search(file.extra_info)
            if cut and int(cut[2]) < int(cut[1]) < UNKNOWN_SIZE:
                raise ValueError(f"the file is cut off: {int(cut[2]):,} of {int(cut[1]):,} bytes of sound are there")
            if file.frames >= UNKNOWN_SIZE:  # libsndfile cannot read files of unknown length
                raise ValueError("the file does not say how long it is, as one written to a pipe: convert it once more")
            yield file
    except soundfile.LibsndfileError as error:
        raise ValueError(f"not a sound that can be read ({error.error_string.rstrip('.')})") from error


def probe(value: Any) -> Info | str:
    """The header of a cell, or why it cannot be read."""
    try:
        if isinstance(value, dict) and "array" in value:
            samples, rate = read_array(value)
            return Info(rate, *samples.shape)
        with open_sound(value) as file:
            return Info(file.samplerate, file.frames, file.channels)
    except (ValueError, OSError) as error:
        return str(error)


def scan(dataset: AnyDataset, column: str) -> list[Info]:
    """Inspect the headers of all sounds of a dataset, or of the first few hundred of a stream.

    Raises:
        UserError: None of them can be read.
    """
    found: list[Info | str] = []
    cells = dataset.select_columns(column)
    if isinstance(dataset, datasets.IterableDataset):
        found = [probe(row[column]) for row in islice(cells, STREAM_LOOKED_AT)]
    else:
        quiet = None if len(dataset) > ROWS else True
        with (
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=len(dataset), desc="scanning", unit=" sounds", disable=quiet) as bar,
        ):
            for start in range(0, len(dataset), ROWS):
                found += pool.map(probe, cells[start : start + ROWS][column])
                bar.update(len(found) - bar.n)
    infos = [info for info in found if isinstance(info, Info) and info.frames]
    if not infos:
        reason = next((info for info in found if isinstance(info, str)), "all are empty")
        raise UserError(f"none of the {len(found)} sounds in column {column!r} can be used: {reason}")
    return infos


def read_array(value: dict[str, Any]) -> tuple[numpy.ndarray, int]:
    """``{"array": (T,) or (channels, T), "sampling_rate": Hz}`` as `read` gives it.

    Raises:
        ValueError: It is something else.
    """
    try:
        if numpy.asarray(value["array"]).dtype.kind in "iu":
            raise ValueError("whole numbers, where full scale is 1: divide 16-bit samples by 32768")
        samples, rate = numpy.asarray(value["array"], numpy.float64), int(value["sampling_rate"])
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"expected an array of numbers and its sampling_rate ({error})") from error
    if samples.ndim not in (1, 2) or rate < 1:
        raise ValueError(f"an array {samples.shape} at {rate} Hz is no sound: expected (T,) or (channels, T)")
    if samples.ndim == 2 and samples.shape[1] <= 2 < samples.shape[0]:
        raise ValueError(f"an array {samples.shape}: expected (channels, T); transpose it")
    return samples[:, None] if samples.ndim == 1 else samples.T, rate


def read(value: Any) -> tuple[numpy.ndarray, int]:
    """Decode a cell to float64 ``(frames, channels)``, full scale 1, and its sampling rate.

    Raises:
        ValueError: It cannot be used, and why.
    """
    if isinstance(value, dict) and "array" in value:
        samples, rate = read_array(value)
    else:
        with open_sound(value) as file:
            samples = file.read(file.frames, dtype="float64", always_2d=True)  # GSM is not to be read without a number
            rate, expected, doubt = file.samplerate, file.frames, IN_DOUBT.get(file.format, 0)
        if len(samples) + doubt < expected:
            raise ValueError(f"the file is cut off: {len(samples):,} of {expected:,} samples can be read")
    if not len(samples):
        raise ValueError("the file holds no samples")
    if not numpy.isfinite(samples).all():
        raise ValueError("some samples are not finite numbers")
    if samples.shape[1] > 2:
        raise ValueError(f"{samples.shape[1]} channels: expected 1 or 2; mix it down first")
    return samples, rate


def decode(
    value: Any,
    rate: int,
    channels: int,
    normalization: str = "none",
    trim: float | None = None,
    kept: int | None = None,
) -> NDArray[numpy.int16]:
    """Any sound -> int16 ``(frames, channels)``, of any length, at one rate.

    Args:
        value: A cell of a dataset.
        rate: Samples a second; others are resampled.
        channels: 1 takes the mean of two, 2 doubles one.
        normalization: none, or peak: the loudest sample is brought to full scale.
        trim: Decibels below the peak: what is quieter at the start and the end is cut off. None cuts nothing.
        kept: How many frames from the start are used; None for all.

    Raises:
        ValueError: It cannot be used, and why; silence, once resampled and cut, cannot.
    """
    samples, own_rate = read(value)
    mixed = ", mixed to mono" if samples.shape[1] > channels else ""
    if samples.shape[1] != channels:
        samples = samples.mean(1, keepdims=True) if channels == 1 else samples.repeat(2, axis=1)
    if own_rate != rate:
        samples = resampled(samples, own_rate, rate)
        mixed += f", resampled to {rate:,} Hz"
    # Where a tone above the new rate's range begins and ends, a click remains.
    inner = samples[CLICK:-CLICK] if rate < own_rate and len(samples) > 4 * CLICK else samples
    if is_silent(inner):
        raise ValueError(f"the file is silent{mixed}: under -80 dB of full scale, a constant offset aside")
    if trim is not None:
        levels = numpy.abs(samples - numpy.median(samples, 0))  # a constant offset is no sound
        (loud,) = numpy.nonzero((levels >= levels.max() * 10 ** (-trim / 20)).any(1))
        samples = samples[loud[0] : loud[-1] + 1]
    peak = numpy.abs(samples).max()
    if kept is not None and is_silent(samples[:kept]):
        raise ValueError(
            f"the first {kept / rate:.2f} s, the part that is used, are silent: --model.trim 40 cuts silence off, and "
            "--model.crop random takes other parts too"
        )
    if normalization == "peak" and peak:
        samples = samples / peak
    return to_int16(samples)


def is_silent(samples: numpy.ndarray) -> bool:
    """Whether samples ``(frames, channels)`` are silent, apart from a constant offset."""
    return bool(numpy.abs(samples - samples.mean(0)).max() < SILENT)


def resampled(samples: numpy.ndarray, rate: int, new_rate: int) -> numpy.ndarray:
    """``(frames, channels)`` at another rate, by a long windowed sinc (a Kaiser window)."""
    common = math.gcd(rate, new_rate)
    if max(rate, new_rate) // common > MOST_PHASES:
        from scipy.signal import resample_poly  # slow to import, and hardly ever needed

        return numpy.asarray(resample_poly(samples, new_rate // common, rate // common))
    longer: torch.Tensor = resampler(rate, new_rate)(torch.from_numpy(samples.T.copy()))
    return numpy.asarray(longer.numpy().T)


@functools.cache
def resampler(rate: int, new_rate: int) -> Resample:
    """Cached resampling filters: building them for each file takes ten times as long."""
    from torchaudio.transforms import Resample  # here, because it is slow to import

    # The settings that torchaudio's documentation gives for the best quality; the defaults alias.
    return Resample(
        rate,
        new_rate,
        "sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
        dtype=torch.float64,
    )


@dataclass(frozen=True)
class Decision:
    """The conversion of a dataset's sounds, and what the user should know of it."""

    rate: int
    length: int
    crop: Crop
    channels: int
    notes: tuple[str, ...]


def usual_rate(infos: list[Info]) -> int:
    """The most common sampling rate in Hz, of several the highest; within what models are trained at."""
    rates = Counter(info.rate for info in infos)
    return min(max(max(rates, key=lambda rate: (rates[rate], rate)), MIN_SAMPLING_RATE), MAX_SAMPLING_RATE)


def decide(
    infos: list[Info],
    rate: int | None,
    length: int | None,
    crop: Crop | None,
    channels: int | None,
    trimmed: bool = False,
) -> Decision:
    """Decide how sounds are converted: what is None is chosen by the dataset.

    Args:
        infos: The headers of its sounds.
        rate: Samples a second; `usual_rate`.
        length: Samples of an example; the shortest power of two that holds 19 of 20 sounds, or 16,384 where that is
            more than 65,536.
        crop: Which part of a longer sound; its start where 19 of 20 fit in, otherwise any.
        channels: 2 where all are stereo, otherwise 1.
        trimmed: Whether silence will be cut off, so that sounds may become shorter than their headers say.
    """
    rates = Counter(info.rate for info in infos)
    rate = rate or usual_rate(infos)
    if channels is None:
        channels = 2 if all(info.channels == 2 for info in infos) else 1
    frames = numpy.array([-(-info.frames * rate // info.rate) for info in infos])
    usual = numpy.percentile(frames, 95, method="inverted_cdf")
    if length is None:
        length = next((power for power in PROPOSED if power >= usual), LENGTH_OF_PIECES)
    if crop is None:
        crop = "start" if usual <= length else "random"
    made = [
        f"each as {length:,} samples ({length / rate:.2f} s at {rate:,} Hz, {'mono' if channels == 1 else 'stereo'})"
    ]
    if longer := int((frames > length).sum()):
        how = "are cut off there" if crop == "start" else "give a piece from a random place each time"
        made.append(f"longer: {longer:,}, which {how}")
    if shorter := int((frames < length).sum()):
        made.append(f"shorter: {shorter:,}, padded with silence")
    if others := [f"{count:,} at {other:,} Hz" for other, count in rates.most_common() if other != rate]:
        made.append(f"resampled: {', '.join(others)}")
    least, half, most = (f"{numpy.percentile(frames, share) / rate:.2f}" for share in (0, 50, 100))
    span = f"{least} s" if least == most else f"{least} to {most} s (half are under {half} s)"
    before = ", before what is quiet is trimmed" if trimmed else ""
    notes = [f"{len(infos):,} sound{'s' * (len(infos) != 1)} of {span}{before}, {'; '.join(made)}"]
    if below := sum(count for other, count in rates.items() if other < rate):
        notes.append(
            f"warning: sampling_rate {rate:,} is above that of {below:,} sounds: above half their own rate they have "
            "nothing to learn from"
        )
    return Decision(rate, length, crop, channels, tuple(notes))
