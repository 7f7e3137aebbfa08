"""How many 28 x 28 pictures a second one core reads from the cache, in random order, in batches of 64.

    OMP_NUM_THREADS=1 uv run benchmarks/cache_speed.py

Beside it: opening and decoding the same pictures as PNG, as a dataset transform would each time.
"""

import io
import tempfile
from pathlib import Path
from statistics import median

import numpy
import PIL.Image
import torch
from interleaved import timed

from multigan.data.batches import from_cache
from multigan.data.cache import Cached
from multigan.data.sampler import Sampler
from multigan.modalities.image import Image

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
            PIL.Image.fromarray(picture[0]).save(buffer, "PNG")
            encoded.append(buffer.getvalue())

        batch = from_cache(Cached(mapped), BATCH, seed=0, conditional=False, device=torch.device("cpu"))

        def batches() -> None:
            for number in range(BATCHES):
                Image().to_sample(batch(number, slice(0, BATCH))[0])

        def rows() -> None:
            for number in range(BATCHES):
                mapped[sampler.rows(number * BATCH, (number + 1) * BATCH)[0]]

        def decoded() -> None:
            for value in encoded:
                numpy.asarray(PIL.Image.open(io.BytesIO(value)))

        times = timed({"rows": rows, "batches": batches, "decode": decoded}, rounds=10)
    print("| | pictures a second |\n|---|---|")
    print(f"| rows of the cache, as stored | {BATCH * BATCHES / median(times['rows']):,.0f} |")
    print(f"| batches as the engine gets them, normalised floats | {BATCH * BATCHES / median(times['batches']):,.0f} |")
    print(f"| PNG decoded each time | {len(encoded) / median(times['decode']):,.0f} |")


if __name__ == "__main__":
    main()
