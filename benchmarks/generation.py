"""How fast pictures are generated: 64 x 64 PNG files, beside loops that anyone would write; and peak memory.

    OMP_NUM_THREADS=1 uv run benchmarks/generation.py [--count 1000] [--flat 100000]

The loops: batches of 32 through the same network, and then each picture saved by Pillow; and the same with batches of
one.
"""

import argparse
import copy
import resource
import tempfile
from pathlib import Path

import torch
from interleaved import table, timed

from multigan import TrainedGenerator
from multigan.generation.generator import BATCH
from multigan.modalities.image import Image, ImageConfig


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="pictures in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flat", type=int, default=0, help="then generate so many, and watch the memory")
    options = parser.parse_args()
    modality = Image(ImageConfig(resolution=64, channels=3))
    network = modality.generator().eval().requires_grad_(False)
    generator = TrainedGenerator("image", modality, copy.deepcopy(network).to(memory_format=torch.channels_last))

    def generated(count: int = options.count) -> None:
        with tempfile.TemporaryDirectory() as folder:
            modality.save(generator.batches(count), Path(folder))

    def loop(batch: int) -> None:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            for start in range(0, options.count, batch):
                latents = torch.randn(min(batch, options.count - start), modality.config.latent_dim)
                for number, picture in enumerate(modality.to_outputs(network(latents, None)), start):
                    picture.save(f"{folder}/{number}.png")

    ways = {"multigan": generated, "a loop over batches": lambda: loop(BATCH), "one at a time": lambda: loop(1)}
    table(f"{options.count} pictures of 64 x 64 to PNG", timed(ways, options.rounds), "multigan")
    if options.flat:
        before = megabytes()
        generated(options.flat // 10)
        tenth = megabytes()
        generated(options.flat)
        print(
            f"\nmost memory: {before:.0f} MB before, {tenth:.0f} MB after {options.flat // 10:,} pictures, "
            f"{megabytes():.0f} MB after {options.flat:,}"
        )


if __name__ == "__main__":
    main()
