"""What a vocoder made, to look at and to listen to, beside the truth and what Griffin-Lim makes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from multigan.modalities.vocoder.config import VocoderConfig
from multigan.modalities.vocoder.mel import griffin_lim, linear_magnitudes, magnitudes, mirrored
from multigan.sounds.output import write_in_turn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4  # examples
SECONDS = 4.0  # of each
RANGE = 70  # decibels from the loudest to what is black


def pairs(config: VocoderConfig, mels: Tensor, generated: Tensor, real: Tensor | None, path: Path) -> list[Path]:
    """A picture of spectrograms, a row each: real (or the input), Griffin-Lim, generated; and all as one WAV.

    Args:
        config: The model's.
        mels: What was told, ``(N, bins, frames)``.
        generated: ``(N, 1, frames * hop)``.
        real: As ``generated``, or None.
        path: Without an ending.
    """
    frames = min(mels.shape[2], int(SECONDS * config.rate) // config.hop)
    mels = mels[:SHOWN, :, :frames].float()
    made = {"Griffin-Lim": griffin_lim(mels, config.size, config.rate), "generated": generated[:SHOWN, 0]}
    sounds = made if real is None else {"real": real[:SHOWN, 0], **made}
    sounds = {name: waves[:, : frames * config.hop].float() for name, waves in sounds.items()}
    spectra = {name: magnitudes(mirrored(waves, config.size), config.size) for name, waves in sounds.items()}
    if real is None:
        spectra = {"input": linear_magnitudes(mels, config.size, config.rate), **spectra}
    image, sound = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.wav")
    picture(spectra, config.rate, frames * config.hop / config.rate).savefig(image)
    write_in_turn([wave[None] for row in zip(*sounds.values(), strict=True) for wave in row], sound, config.rate)
    return [image, sound]


def picture(spectra: dict[str, Tensor], rate: int, seconds: float) -> Figure:
    """Plot magnitudes ``(N, bins, frames)`` in decibels, a column each."""
    from matplotlib.figure import Figure

    rows = len(next(iter(spectra.values())))
    width, height = 4 * len(spectra), 2.2 * rows + 0.4  # inches, as the margins
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(0.6 / width, 0.5 / height, 1 - 0.15 / width, 1 - 0.25 / height, wspace=0.1, hspace=0.08)
    axes = figure.subplots(rows, len(spectra), squeeze=False, sharex=True, sharey=True)
    for column, (name, values) in enumerate(spectra.items()):
        axes[0, column].set_title(name, fontsize=9)
        for row, magnitude in enumerate(values):
            levels = 20 * (magnitude / magnitude.max().clamp_min(1e-6)).clamp_min(1e-6).log10()
            extent = (0, seconds, 0, rate / 2000)
            axis = axes[row, column]
            axis.imshow(levels.numpy(), origin="lower", aspect="auto", extent=extent, vmin=-RANGE, vmax=0)
            axis.tick_params(labelsize=7)
    figure.supxlabel("seconds", y=0.1 / height, fontsize=8)
    figure.supylabel("kHz", x=0.1 / width, fontsize=8)
    return figure
