"""How many 28 x 28 pictures a second one core reads from the cache, in random order, in batches of 64.

    OMP_NUM_THREADS=1 uv run benchmarks/cache_speed.py

Beside it: opening and decoding the same pictures as PNG, as a dataset transform would each time.
"""

import io
import tempfile
from pathlib import Path

import numpy
from interleaved import medians
from PIL import Image

from multigan.data.sampler import Sampler

ROWS, BATCH, BATCHES = 60_000, 64, 200


def main() -> None:
    random = numpy.random.default_rng(0)
    pictures = random.integers(0, 256, (ROWS, 1, 28, 28), numpy.uint8)
    sampler = Sampler(ROWS, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "real.bin"
        file.write_bytes(pictures.tobytes())
        mapped = numpy.memmap(file, numpy.uint8, "r", shape=pictures.shape)
        encoded = []
        for picture in pictures[:1000]:
            buffer = io.BytesIO()
            Image.fromarray(picture[0]).save(buffer, "PNG")
            encoded.append(buffer.getvalue())

        def from_cache() -> None:
            for number in range(BATCHES):
                mapped[sampler.rows(number * BATCH, (number + 1) * BATCH)]

        def decoded() -> None:
            for value in encoded:
                numpy.asarray(Image.open(io.BytesIO(value)))

        times = medians({"cache": from_cache, "decode": decoded}, rounds=10)
    print("| | pictures a second |\n|---|---|")
    print(f"| batches from the cache | {BATCH * BATCHES / times['cache']:,.0f} |")
    print(f"| PNG decoded each time | {len(encoded) / times['decode']:,.0f} |")


if __name__ == "__main__":
    main()
