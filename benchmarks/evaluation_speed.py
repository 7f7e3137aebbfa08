"""What measuring costs: features, neighbours, and an evaluation in the middle of a training run.

    OMP_NUM_THREADS=1 uv run benchmarks/evaluation_speed.py [--count 50000] [--neighbours 50000]

Pictures are of noise, 32 x 32, from a cache as any dataset is; the features are the 128 of the modality's network. The
bare rate is the same network over as many of the same pictures in memory, nothing else. Each rate is the samples that
came out, divided by the time, and the ways are taken in turns. Neighbours are precision, recall, density
and coverage of two clouds in 128 dimensions. Training is 40 steps with two evaluations of 1,000 samples and with four:
what the two more take by the clock, and what the run says that they took.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import datasets
import numpy
import torch
from interleaved import ratio, timed
from PIL import Image as Picture

from multigan import TrainedGenerator, configure
from multigan.data.cache import cached
from multigan.evaluation.evaluator import Evaluator
from multigan.evaluation.held_out import Rows
from multigan.evaluation.metrics.frechet import frechet_distance
from multigan.evaluation.metrics.neighbours import neighbours
from multigan.generation.generator import BATCH
from multigan.modalities.image import Image, ImageConfig
from multigan.training import run

DIMENSIONS = 128


def memory() -> float:
    """The most that this process has had, in megabytes."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


def noise() -> datasets.Dataset:
    random = numpy.random.default_rng(0)
    pictures = [Picture.fromarray(one) for one in random.integers(0, 256, (2000, 32, 32), numpy.uint8)]
    return datasets.Dataset.from_dict({"image": pictures, "label": [str(i % 10) for i in range(2000)]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="samples whose features are taken")
    parser.add_argument("--neighbours", type=int, default=50_000, help="points in each cloud")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    Image.builtin_datasets = {"noise": noise}
    modality = Image(ImageConfig(conditional=True))
    modality.fit(noise())
    evaluator = Evaluator.open(modality, "noise", features="random", quiet=True)
    generator = TrainedGenerator("image", modality, modality.generator().eval().requires_grad_(False))
    data = cached(noise(), modality, skip_corrupt=False)
    numbers = numpy.arange(options.count) % len(data)
    batch = modality.to_sample(Rows(data, numbers).encoded(0, BATCH)).to(evaluator.extractor.device)
    generator.network.to(evaluator.extractor.device)
    done: dict[str, int] = {}

    def bare() -> int:
        with torch.no_grad():
            return sum(
                len(evaluator.space.extract(batch[: options.count - start])) for start in range(0, options.count, BATCH)
            )

    def real(count: int) -> int:
        return len(evaluator.extractor.real(evaluator.space, Rows(data, numbers[:count]), "real").features)

    def counted(name: str, work: Callable[[], int]) -> Callable[[], None]:
        def call() -> None:
            done[name] = work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()

        return call

    evaluator.pair = evaluator.pair._replace(held_out=Rows(data, numbers))
    evaluator.count = options.count
    network, generated, both = "the bare feature network", "the bare generator", "generated, and their features"
    ways = {
        network: bare,
        "features of real": lambda: real(options.count),
        generated: lambda: sum(map(len, generator.batches(options.count, 0))),
        both: lambda: len(evaluator.generated(generator).features),
    }
    first = options.count // 10
    real(first)
    print(f"most memory: {memory():,.0f} MB after the features of {first:,} real", end=", ", flush=True)
    real(options.count)
    print(f"{memory():,.0f} MB of {options.count:,}")
    times = timed({name: counted(name, work) for name, work in ways.items()}, options.rounds)
    each = {name: [second / done[name] for second in seconds] for name, seconds in times.items()}
    each["the slower of both alone"] = list(map(max, each[network], each[generated]))
    each["one after the other"] = [sum(pair) for pair in zip(each[network], each[generated], strict=True)]
    print("\n| | samples | a second |\n|---|---|---|")
    for name, count in done.items():
        print(f"| {name} | {count:,} | {1 / median(each[name]):,.0f} |")
    print(f"\nreal: {ratio(each, network, 'features of real')} of the rate of the bare feature network (quartiles)")
    print(f"generated: {ratio(each, 'the slower of both alone', both)} of the slower of both alone,", end=" ")
    print(f"{ratio(each, 'one after the other', both)} of one after the other", flush=True)
    clouds = [torch.randn(options.neighbours, DIMENSIONS, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    print(f"\n| two clouds of {options.neighbours:,} | seconds | most memory, MB |\n|---|---|---|")
    for name, work in (("precision, recall, density, coverage", neighbours), ("Frechet distance", frechet_distance)):
        began = time.perf_counter()
        work(*clouds)
        print(f"| {name} | {time.perf_counter() - began:.1f} | {memory():,.0f} |", flush=True)
    trained(20)  # fills the caches
    two, four = trained(20), trained(10)
    print(f"\ntwo evaluations more in training: {four[0] - two[0]:.1f} s, said {four[1] - two[1]:.1f} s")


def trained(every: int) -> tuple[float, float]:
    """Seconds that a run with evaluations took, and those that it says its evaluations took."""
    with tempfile.TemporaryDirectory() as room:
        often = {"evaluate_every": every, "evaluate_samples": 1000, "evaluate_features": "random"}
        rarely = {"sample_every": 1000, "checkpoint_every": 1000, "log_every": 1000, "tracker": "none"}
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            settings = configure("image", dataset="noise", steps=40, output=f"{room}/run", **often, **rarely)
            folder = run.train(settings)
        lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        return time.perf_counter() - began, sum(line.get("evaluation_seconds", 0) for line in lines)


if __name__ == "__main__":
    main()
