"""How many pictures a second one core reads in random order, in batches of 64: from the cache, and decoded each time.

    OMP_NUM_THREADS=1 uv run benchmarks/cache_speed.py [--data FOLDER_OR_FILE] [--resolution 32]

The pictures are the built-in digits, or those of ``--data``, as the cache has them: scaled to the resolution. The
others decode PNG files of the same size, in memory, and normalise the pictures as well: torch's DataLoader over a list
of files, and over a table of the datasets library with a transform. None of the loaders has worker processes.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median

import datasets
import numpy
import PIL.Image
import torch
from interleaved import ratio, timed
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor

from multigan.data.batches import from_cache
from multigan.data.cache import Cached, cached
from multigan.data.load import load
from multigan.data.sampler import Sampler
from multigan.modalities.image import Image, ImageConfig

BATCH, SAMPLES, DECODED = 64, 12_800, 1280


def png(picture: numpy.ndarray) -> bytes:
    """``(C, H, W)`` as a file, as Pillow saves it by default."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


class Files(torch.utils.data.Dataset):
    """PNG files that are decoded each time."""

    def __init__(self, files: list[bytes], transform: Callable[[PIL.Image.Image], torch.Tensor]) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.transform(PIL.Image.open(io.BytesIO(self.files[number])))


def table_of(files: list[bytes], transform: Callable[[PIL.Image.Image], torch.Tensor]) -> datasets.Dataset:
    """The same in a table, with a transform."""
    features = datasets.Features(image=datasets.Image())
    table = datasets.Dataset.from_dict({"image": [{"bytes": file, "path": None} for file in files]}, features)
    return table.with_transform(lambda rows: {"image": [transform(picture) for picture in rows["image"]]})


def endless(loader: DataLoader) -> Iterator[object]:
    while True:
        yield from loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="a folder, a file, or digits, which are built in")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    modality = Image(ImageConfig(resolution=options.resolution))
    data = cached(load(modality, options.data, None, "train", False), modality, skip_corrupt=True)
    files = [png(picture) for picture in data.real[: 10 * DECODED]]
    channels = data.real.shape[1]
    transform = Compose([ToTensor(), Normalize([0.5] * channels, [0.5] * channels)])
    sampler = Sampler(len(data), seed=0)
    batch = from_cache(Cached(data.real), BATCH, seed=0, conditional=False, device=torch.device("cpu"))
    loaders = {
        "a DataLoader over PNG files": Files(files, transform),
        "a DataLoader over a table with a transform": table_of(files, transform),
    }

    def rows() -> None:
        for number in range(0, SAMPLES, BATCH):
            data.real[sampler.rows(number, number + BATCH)[0]]

    def batches() -> None:
        for number in range(SAMPLES // BATCH):
            modality.to_sample(batch(number, slice(0, BATCH))[0])

    ways: dict[str, Callable[[], object]] = {"rows of the cache, as stored": rows, "the cache, normalised": batches}
    for name, source in loaders.items():
        stream = endless(DataLoader(source, BATCH, shuffle=True, drop_last=True))
        ways[name] = lambda stream=stream: list(islice(stream, DECODED // BATCH))
    times = timed(ways, options.rounds, clock=time.process_time)
    counts = dict.fromkeys(ways, SAMPLES) | dict.fromkeys(loaders, DECODED)
    each = {name: [second / counts[name] for second in seconds] for name, seconds in times.items()}
    shape, size = "x".join(map(str, data.real.shape[1:])), sum(map(len, files)) / len(files)
    print(f"{len(data):,} pictures of {shape}; a PNG file has {size:,.0f} bytes")
    print("\n| | pictures a second | the cache, normalised, over it (quartiles) |\n|---|---|---|")
    for name, seconds in each.items():
        print(f"| {name} | {1 / median(seconds):,.0f} | {ratio(each, name, 'the cache, normalised')} |")


if __name__ == "__main__":
    main()
