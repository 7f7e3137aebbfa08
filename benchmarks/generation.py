"""How fast pictures are generated: 64 x 64 PNG files, in batches and one at a time; and whether memory stays flat.

    OMP_NUM_THREADS=1 uv run benchmarks/generation.py [--count 1000] [--flat 100000]

One at a time is a loop that anyone would write: one latent through the same network, one file saved.
"""

import argparse
import copy
import resource
import tempfile
from pathlib import Path

import torch
from interleaved import table, timed

from multigan import TrainedGenerator
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

    def batched(count: int = options.count) -> None:
        with tempfile.TemporaryDirectory() as folder:
            modality.save(generator.batches(count), Path(folder))

    def one_at_a_time() -> None:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            for number in range(options.count):
                sample = network(torch.randn(1, 64), None)
                modality.to_outputs(sample)[0].save(f"{folder}/{number}.png")

    times = timed({"batched": batched, "one at a time": one_at_a_time}, options.rounds)
    table(f"{options.count} pictures of 64 x 64 to PNG", times, "batched")
    if options.flat:
        before = megabytes()
        batched(options.flat // 10)
        tenth = megabytes()
        batched(options.flat)
        print(
            f"\nmost memory: {before:.0f} MB before, {tenth:.0f} MB after {options.flat // 10:,} pictures, "
            f"{megabytes():.0f} MB after {options.flat:,}"
        )


if __name__ == "__main__":
    main()
