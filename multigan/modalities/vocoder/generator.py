"""The generator: from a log-mel spectrogram to a wave.

Convolutions over frames, as in Vocos (Siuzdak 2023, arXiv:2306.00814), predict the magnitudes of a short-time Fourier
transform, and its inverse makes the wave. Vocos predicts the phases too. But no network of convolutions can keep count
of a phase: in a steady tone, where all frames are told the same, it can only repeat itself from frame to frame, and has
to learn from long context how tones began. Here phases are continued instead, as a phase vocoder does: each peak of the
magnitudes goes on at its own frequency (Beauregard et al. 2015, "Single pass spectrogram inversion",
doi:10.1109/ICDSP.2015.7251907). Rounds of Griffin and Lim's algorithm then make overlapping frames agree: two, through
which the network is trained, and one more in generating. After two minutes of training on speech, PESQ was 2.9 with one
round, and 1.8 with phases that the network predicted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from multigan.interface import full_precision
from multigan.modalities.vocoder.mel import inverse_filters
from multigan.sounds.phases import continued, reconstructed

TAPS = 7
EXPANSION = 3  # channels inside a block, over those outside
CHUNK = 1024  # frames that are generated at a time, so that memory does not grow with the length
ROUNDS = 3  # of Griffin-Lim; one less in training, where each costs a backward pass too
EDGE = 4 * (ROUNDS + 1)  # frames beside a chunk whose windows, or windows overlapping with those, reach into it
QUIETEST, LOUDEST = 1e-3, 1e3  # of the magnitudes


class Block(nn.Module):
    """A ConvNeXt block in one dimension, ``(B, width, frames) -> (B, width, frames)``: Liu et al. 2022, 2201.03545.

    Args:
        width: Channels.
        scale: What is added is this small at the start.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, TAPS, padding=TAPS // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, EXPANSION * width)
        self.shrink = nn.Linear(EXPANSION * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, hidden: Tensor) -> Tensor:
        change = self.norm(self.mix(hidden).transpose(1, 2))
        change = self.scale * self.shrink(gelu(self.expand(change)))
        changed: Tensor = hidden + change.transpose(1, 2)
        return changed


class VocoderGenerator(nn.Module):
    """``(B, 0), log-mel spectrograms (B, bins, frames) -> (B, 1, frames * hop)``, of any number of frames.

    Args:
        bins: Bins of the mel spectrogram.
        size: Samples of a window; a hop is a quarter of that.
        rate: Samples a second.
        width: Channels.
        blocks: Number of blocks.
    """

    inverse: Tensor
    window: Tensor

    def __init__(self, bins: int, size: int, rate: int, width: int, blocks: int) -> None:
        super().__init__()
        self.size, self.hop = size, size // 4
        self.reach = (1 + blocks) * (TAPS // 2)  # frames either side that a frame depends on
        self.first = nn.Conv1d(bins, width, TAPS, padding=TAPS // 2)
        self.first_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, 1 / blocks) for _ in range(blocks))
        self.last_norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, size // 2 + 1)
        nn.init.trunc_normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)
        dtype = torch.get_default_dtype()
        self.register_buffer("inverse", inverse_filters(bins, size, rate).to(dtype), persistent=False)
        self.register_buffer("window", torch.hann_window(size), persistent=False)

    def forward(self, latent: Tensor, mels: Tensor) -> Tensor:
        frames = mels.shape[2]
        if torch.compiler.is_exporting():  # all frames at once: a loop would fix their number
            levels = self.levels(mels)
            phases = continued(levels)
            made = reconstructed(levels.exp(), phases, self.window, self.hop, frames * self.hop, ROUNDS)
            return made[:, None]
        parts, turns = [], None
        for start in range(0, frames, CHUNK):
            part, turns = self.part(mels, start, min(start + CHUNK, frames), turns)
            parts.append(part)
        return torch.cat(parts, 1)[:, None]

    def part(self, mels: Tensor, start: int, stop: int, turns: Tensor | None) -> tuple[Tensor, Tensor]:
        """The wave of frames ``start`` to ``stop``, exactly as it is in that of all frames.

        Args:
            mels: Log-mel spectrograms of all frames.
            start: The first frame.
            stop: The frame after the last one.
            turns: What the part before returned.

        Returns:
            The wave, and the phases that the next part goes on from.
        """
        frames = mels.shape[2]
        first, last = max(start - EDGE, 0), min(stop + EDGE, frames)
        seen = max(first - self.reach, 0), min(last + self.reach, frames)
        levels = self.levels(mels[:, :, slice(*seen)])[:, first - seen[0] : last - seen[0]]
        with torch.autocast(mels.device.type, enabled=False):
            phases = continued(levels.detach(), turns)
            rounds, length = ROUNDS - self.training, (last - first) * self.hop
            made = reconstructed(levels.exp(), phases, self.window, self.hop, length, rounds)
        made = made[:, (start - first) * self.hop : (stop - first) * self.hop]
        return made, phases[:, max(stop - EDGE - first, 1) - 1] % 1

    def levels(self, mels: Tensor) -> Tensor:
        """Log-mel spectrograms ``(B, bins, frames)`` -> logarithms of magnitudes ``(B, frames, size / 2 + 1)``.

        The network's share is added to what the pseudo-inverse of the mel filters estimates. Under autocast the
        network alone is in half precision, in which a level is rounded to a tenth of a decibel.
        """
        hidden = self.first_norm(self.first((mels + 5) / 3).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        change: Tensor = self.last(self.last_norm(hidden.transpose(1, 2)))
        with torch.autocast(mels.device.type, enabled=False):
            estimate = (self.inverse @ full_precision(mels).exp()).clamp_min(QUIETEST).log()
            return (estimate.transpose(1, 2) + full_precision(change)).clamp_max(math.log(LOUDEST))
