"""Whether sounds that are longer than a window of training, and loops, have seams.

    OMP_NUM_THREADS=1 uv run benchmarks/long_sounds.py --data RECORDINGS [--model RUN]

Trains on pieces of a second at 8 kHz, from random places, unless a run that was is given. Then it prints how loud long
sounds are by the place within the step from one window to the next, where a seam would show as a dip or a bump, and how
sharply loops bend where they begin again.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor

import multigan
from multigan.modalities.audio.istft import ISTFTGenerator

STEPS = 1500
FRAME = 256  # samples in which loudness is measured, 32 ms
LOOPED, LOOP_SECONDS = 16, 4.0
LONG, LONG_SECONDS = 16, 16.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of recordings")
    parser.add_argument("--model", type=Path, help="a run that was trained on it before")
    options = parser.parse_args()
    generator = multigan.load(options.model or train(options.data))
    network = generator.network
    assert isinstance(network, ISTFTGenerator)
    short = torch.cat(list(generator.batches(32 * LONG)))
    long = torch.cat(list(generator.batches(LONG, seconds=LONG_SECONDS)))
    loops = torch.cat(list(generator.batches(LOOPED, seconds=LOOP_SECONDS, loop=True)))
    print("\n| | decibels from the mean, least and most |\n|---|---|")
    for name, waves, period in (
        ("within a window of training", short, short.shape[2]),
        ("within the step of long sounds", long, network.unit(True)),
    ):
        levels = loudness_by_place(waves, period)
        print(f"| {name} ({period} samples) | {levels.min():+.1f}, {levels.max():+.1f} |")
    bends = bends_at_seams(loops)
    print(f"\nbend at the seam of {LOOPED} loops over its 99.9th percentile: {bends.min():.2f} to {bends.max():.2f}")


def train(data: str) -> Path:
    """Train with the defaults on random pieces, a second each."""
    model = {"sampling_rate": 8000, "length": 8192, "crop": "random"}
    run = tempfile.mkdtemp()
    training = multigan.configure("audio", dataset=data, model=model, steps=STEPS, output=run, tracker="none")
    return multigan.train(training)


def loudness_by_place(waves: Tensor, period: int) -> Tensor:
    """The mean power of waves ``(N, 1, T)`` by the place within a period, in decibels from its mean: ``(places,)``."""
    power = waves.unfold(2, FRAME, FRAME).square().mean(3)[:, 0]
    places = period // FRAME
    whole = power.shape[1] // places * places
    mean = power[:, :whole].reshape(-1, places).mean(0)
    return 10 * (mean / mean.mean()).log10()


def bends_at_seams(loops: Tensor) -> Tensor:
    """The largest second difference of loops ``(N, 1, T)`` where they begin again, over its 99.9th percentile: (N,)."""
    twice = torch.cat([loops, loops], 2)[:, 0]
    bend, length = twice.diff(n=2, dim=1).abs(), loops.shape[2]
    return bend[:, length - 3 : length + 2].amax(1) / bend.quantile(0.999, dim=1)


if __name__ == "__main__":
    main()
