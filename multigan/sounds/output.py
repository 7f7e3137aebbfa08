"""Samples as sounds: WAV files, arrays, and a preview."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from multigan.files import write_numbered
from multigan.sounds import FULL_SCALE

# What only a preview needs is imported there: data are read, and networks trained, without.
if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURED = 16  # sounds in a preview
PAUSE = 0.1  # seconds between them
MELS, FRAMES = 64, 1000  # of a spectrogram, the latter about
LOUDEST = 0.1  # root mean square of a preview, -20 dB: the first ones of a run are noise


def save(batches: Iterable[Tensor], folder: Path, rate: int) -> list[Path]:
    """Write one 16-bit WAV per sound ``(C, T)``, of so many samples a second: see `write_numbered`."""

    def write(batch: Tensor, names: list[Path]) -> None:
        for sound, name in zip(to_int16(batch.numpy()), names, strict=True):
            write_wav(name, sound, rate)

    return write_numbered(batches, folder, ".wav", write)


def write_wav(file: Path, sound: NDArray[numpy.int16], rate: int) -> None:
    """Write a sound ``(C, T)``.

    Raises:
        OSError: It cannot be written: the disk is full, say.
    """
    try:
        soundfile.write(file, sound.T, rate, "PCM_16")  # soundfile would take (1, T) for one frame of T channels
    except soundfile.LibsndfileError as error:
        raise OSError(f"cannot write {file}: {error}") from error


def to_int16(samples: numpy.ndarray) -> NDArray[numpy.int16]:
    """Floats, full scale 1, as int16, clipped."""
    return (samples * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype(numpy.int16)


def to_outputs(samples: Tensor, rate: int) -> list[dict[str, Any]]:
    """Sounds ``(N, C, T)`` in the form of `datasets`: a float32 array, ``(T,)`` or stereo ``(2, T)``, and its rate."""
    return [
        {"array": sound[0] if len(sound) == 1 else sound, "sampling_rate": rate}
        for sound in samples.clamp(-1, 1).numpy()
    ]


def preview(samples: Tensor, path: Path, rate: int, labels: Sequence[str]) -> list[Path]:
    """Write the first sounds ``(N, C, T)`` as a picture (PNG) and one after another as a WAV, turned down if loud."""
    samples = samples[:PICTURED]
    image, sound = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.wav")
    figure = picture(samples, rate, labels)
    quieter = write_in_turn(list(samples), sound, rate)
    if quieter >= 0.5:
        figure.suptitle(f"{sound.name} is turned down by {quieter:.0f} dB", y=0.995, fontsize=7, va="top")
    figure.savefig(image)
    return [image, sound]


def write_in_turn(sounds: Sequence[Tensor], path: Path, rate: int) -> float:
    """Write sounds ``(C, T)``, of one or more lengths, one after another as a WAV, turned down if loud.

    Returns:
        How many decibels it was turned down.
    """
    pause = sounds[0].new_zeros(len(sounds[0]), round(PAUSE * rate))
    played = torch.cat([part for one in sounds for part in (one, pause)], 1)
    scale = (played.square().mean().sqrt() / LOUDEST).clamp_min(1)
    write_wav(path, to_int16((played / scale).numpy()), rate)
    return 20 * float(scale.log10())


def picture(samples: Tensor, rate: int, labels: Sequence[str]) -> Figure:
    """Plot waveforms, and under each its mel spectrogram in decibels."""
    from matplotlib.figure import Figure

    columns = min(len(samples), 8)
    rows = -(-len(samples) // columns)
    width, height = 1.6 * columns + 0.8, 2.4 * rows + 0.5  # inches, as the margins
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(0.6 / width, 0.5 / height, 1 - 0.15 / width, 1 - 0.35 / height, wspace=0.1, hspace=0.25)
    axes = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[1, 1.6] * rows)
    seconds = samples.shape[2] / rate
    levels = decibels(samples, rate).numpy()
    for number in range(rows * columns):
        wave, spectrum = (axes[2 * (number // columns) + part, number % columns] for part in range(2))
        for axis in (wave, spectrum):
            axis.set(yticks=[])
            axis.tick_params(labelsize=7)
            axis.set_visible(number < len(samples))
        if number >= len(samples):
            continue
        for channel in samples[number]:
            wave.plot(numpy.arange(len(channel)) / rate, channel.numpy(), linewidth=0.4, alpha=0.8)
        wave.set(ylim=(-1.05, 1.05), xlim=(0, seconds))
        wave.set_title(labels[number] if labels else f"{number}", fontsize=8, parse_math=False)
        extent = (0, seconds, 0, MELS)
        spectrum.imshow(
            levels[number], origin="lower", aspect="auto", extent=extent, vmin=-80, vmax=0, interpolation="nearest"
        )
        if number % columns == 0:
            wave.set_yticks([-1, 1])
            marks = [hertz for hertz in (100, 500, 1000, 2000, 4000, 8000, 16000) if hertz < rate / 2]
            spectrum.set_yticks(
                [MELS * mel(hertz) / mel(rate / 2) for hertz in marks], [f"{hertz} Hz" for hertz in marks]
            )
    figure.supxlabel("seconds", y=0.1 / height, fontsize=8)
    return figure


def mel(hertz: float) -> float:
    """A frequency in Hz on the mel scale, as in torchaudio."""
    return float(2595 * numpy.log10(1 + hertz / 700))


def decibels(samples: Tensor, rate: int) -> Tensor:
    """Sounds ``(N, C, T)`` -> mel spectrograms of the mixed channels, ``(N, mels, frames)`` in dB, 0 at the maximum."""
    from torchaudio.transforms import MelSpectrogram

    window = 2 ** round(numpy.log2(0.03 * rate))  # about 30 ms
    hop = max(window // 8, samples.shape[2] // FRAMES)
    transform = MelSpectrogram(rate, n_fft=4 * window, win_length=window, hop_length=hop, n_mels=MELS)
    power = torch.cat([transform(sound.mean(0, keepdim=True)) for sound in samples])  # one at a time: they may be long
    return 10 * (power / power.max().clamp_min(1e-10)).clamp_min(1e-10).log10()
