"""How fast sounds come and go: random pieces from the cache, WAV files from a generator; and whether memory is flat.

    OMP_NUM_THREADS=1 uv run benchmarks/sound_speed.py [--count 10000]

Pieces are of one second at 16 kHz, from recordings of 20 to 40 s. Generated clips are as long, of every architecture
with a width of 32; the bare forward is the same network, nothing written. SpecGAN finds phases besides.
"""

import argparse
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy
import torch
from interleaved import ratio, timed

from multigan import TrainedGenerator
from multigan.data.batches import from_cache
from multigan.data.cache import Cached
from multigan.data.sampler import Sampler
from multigan.generation.generator import BATCH as GENERATED
from multigan.modalities.audio import Audio, AudioConfig
from multigan.modality import Crop

RATE, PIECE, RECORDINGS, BATCH, BATCHES = 16_000, 16_384, 100, 64, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="clips to generate")
    options = parser.parse_args()
    sizes = {"latent_dim": 100, "generator_width": 32, "discriminator_width": 32}
    sounds = {"sampling_rate": RATE, "length": PIECE, "channels": 1, "crop": "random"}
    wavegan = AudioConfig(architecture="wavegan", **sounds, **sizes)
    read(Audio(wavegan))
    for architecture in ("istft", "wavegan", "specgan"):
        generate(Audio(replace(wavegan, architecture=architecture)), options.count)


def read(modality: Audio) -> None:
    random = numpy.random.default_rng(0)
    ends = numpy.cumsum(random.integers(20 * RATE, 40 * RATE, RECORDINGS))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "real.bin"
        file.write_bytes(random.integers(-32768, 32768, (ends[-1], 1), numpy.int16).tobytes())
        mapped = numpy.memmap(file, numpy.int16, "r", shape=(int(ends[-1]), 1))
        data = Cached(mapped, ends=ends, crop=Crop(PIECE))
        sampler = Sampler(RECORDINGS, seed=0)
        batch = from_cache(data, BATCH, seed=0, conditional=False, device=torch.device("cpu"))

        def pieces() -> None:
            for number in range(BATCHES):
                data.read(*sampler.rows(number * BATCH, (number + 1) * BATCH))

        def batches() -> None:
            for number in range(BATCHES):
                modality.to_sample(batch(number, slice(0, BATCH))[0])

        times = timed({"pieces": pieces, "batches": batches}, rounds=10)
    print("| | pieces a second |\n|---|---|")
    print(f"| random pieces of the cache, as stored | {BATCH * BATCHES / median(times['pieces']):,.0f} |")
    print(f"| batches as the engine gets them, floats | {BATCH * BATCHES / median(times['batches']):,.0f} |")


def generate(modality: Audio, count: int) -> None:
    network = modality.generator().eval().requires_grad_(False)
    generator = TrainedGenerator("audio", modality, network)
    part = count // 10
    memory = []

    def written(count: int = part) -> None:
        with tempfile.TemporaryDirectory() as folder:
            modality.save(generator.batches(count), Path(folder))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)

    def bare() -> None:
        with torch.no_grad():
            for start in range(0, part, GENERATED):
                network(torch.randn(min(GENERATED, part - start), 100), None)

    times = timed({"written": written, "bare": bare}, rounds=3)
    written(count)
    share = ratio(times, "bare", "written")
    print(f"\n{modality.config.architecture}, {part:,} clips to WAV: {share} of the bare forward's rate")
    print(f"most memory: {memory[0]:.0f} MB after {part:,} clips, {memory[-1]:.0f} MB after {count:,}")


if __name__ == "__main__":
    main()
