"""How many of the ring's eight modes a run found, and how many of its points are good.

    uv run --with ./examples/ring benchmarks/ring_modes.py runs/ring

A point is good within four standard deviations (0.2) of a mode; a mode is found by at least 20 of 2,500 points.
"""

import sys

import torch

from multigan import load

MODES, DEVIATION, POINTS, FOUND = 8, 0.05, 2500, 20


def main() -> None:
    points = torch.cat(list(load(sys.argv[1]).batches(POINTS)))
    angles = torch.arange(MODES) * 2 * torch.pi / MODES
    distances = torch.cdist(points, torch.stack([angles.cos(), angles.sin()], 1))
    nearest = distances.min(1)
    good = nearest.values < 4 * DEVIATION
    counts = torch.bincount(nearest.indices[good], minlength=MODES)
    print(f"modes found: {int((counts >= FOUND).sum())} of {MODES}, points in each: {counts.tolist()}")
    print(f"good points: {good.double().mean():.1%}")


if __name__ == "__main__":
    main()
