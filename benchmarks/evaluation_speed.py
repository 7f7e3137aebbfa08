"""What measuring costs: features, neighbours, and an evaluation in the middle of a training run.

    OMP_NUM_THREADS=1 uv run benchmarks/evaluation_speed.py [--count 50000] [--neighbours 50000]

Pictures are of noise, 32 x 32, from a cache as any dataset is; the features are the 128 of the modality's network. The
bare rate is the same network over the same pictures in memory, nothing else. Neighbours are precision, recall, density
and coverage of two clouds in 128 dimensions. Training is 40 steps with two evaluations of 1,000 samples and with four:
what the two more take by the clock, and what the run says that they took.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import datasets
import numpy
import torch
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


def timed(what: str, count: int, work: object) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    rate = count / (time.perf_counter() - began)
    print(f"| {what} | {rate:,.0f} | {memory():,.0f} |", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000, help="samples whose features are taken")
    parser.add_argument("--neighbours", type=int, default=50_000, help="points in each cloud")
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
    extract = evaluator.space.extract
    print(f"| {options.count:,} samples | a second | most memory, MB |\n|---|---|---|")

    def bare() -> None:
        with torch.no_grad():
            for _ in range(options.count // BATCH):
                extract(batch)

    def made() -> None:
        with torch.no_grad():
            for _ in generator.batches(options.count, 0):
                pass

    rows = {count: Rows(data, numbers[:count]) for count in (options.count // 10, options.count)}
    first = options.count // 10
    timed(f"features of {first:,} real", first, lambda: evaluator.extractor.real(evaluator.space, rows[first], "real"))
    ratios = []
    for _ in range(3):  # in turn, for a machine is not as fast all the time
        network = timed("the bare feature network", options.count, bare)
        real = f"features of {options.count:,} real"
        ratios.append(
            timed(real, options.count, lambda: evaluator.extractor.real(evaluator.space, rows[options.count], "real"))
            / network
        )
    generating = timed("the bare generator", options.count, made)
    evaluator.pair = evaluator.pair._replace(held_out=rows[options.count])
    evaluator.count = options.count
    both = timed("generated, and their features", options.count, lambda: evaluator.generated(generator))
    print(f"\nreal: {statistics.median(ratios):.2f} of the bare feature network, the median of three")
    one_after_other = 1 / (1 / network + 1 / generating)
    print(
        f"generated: {both / min(network, generating):.2f} of the slower of both, "
        f"{both / one_after_other:.2f} of one after other"
    )
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
