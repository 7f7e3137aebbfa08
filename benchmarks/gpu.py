"""Training speed on a GPU by precision, and what changes when a run moves from the CPU to CUDA.

    uv run benchmarks/gpu.py [--json FILE] [--only speed size claims stabilizers penalties generation evaluation launch]

Prints Markdown tables and needs one CUDA device and about six minutes. The timed sections run alone, each precision in
its own process; the others share the device, because only their results matter. A failure takes up one cell of a table,
and its traceback goes into the JSON file. `--device cpu --steps 4` tries the script on a machine without a GPU.

float32 means what PyTorch does by default: TF32 in cuDNN (convolutions and LSTMs), full float32 in matrix products.
"strict" is float32 with TF32 off. "deterministic" is float32 with PyTorch's deterministic algorithms. Differences are
|a - b| / |a|, Euclidean, over all weights or samples together.
"""

import argparse
import json
import os
import platform
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy
import torch

import multigan

ROOT = Path(__file__).parents[1]
RECIPES = (
    "image_gan",
    "image_dcgan",
    "image_cgan",
    "audio_specgan",
    "audio_cwavegan",
    "audio_wavegan",
    "text_gumbel",
    "text_mle",
)
CHEAPEST = ("image_gan", "image_dcgan")  # these are timed on the CPU as well
CLAIMED = ("image_dcgan", "image_cgan", "audio_specgan", "audio_cwavegan", "text_gumbel")
PENALIZED = ("image_dcgan", "image_cgan", "audio_specgan", "audio_cwavegan", "audio_wavegan", "text_gumbel")
STARTERS = ("image", "audio", "text")
WAYS: dict[str, dict[str, str]] = {
    "cpu": {"ACCELERATE_USE_CPU": "true"},
    "float32": {"ACCELERATE_MIXED_PRECISION": "no"},
    "bf16": {"ACCELERATE_MIXED_PRECISION": "bf16"},
    "fp16": {"ACCELERATE_MIXED_PRECISION": "fp16"},
    "strict": {"NVIDIA_TF32_OVERRIDE": "0"},
    "deterministic": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
}
PRECISIONS = ("float32", "bf16", "fp16")
WINDOWS = 5  # lines of metrics in a timed phase; the first one is the warm-up
NEVER = 10**6
LONGEST = 300  # seconds for a command
LOSSES = ("generator_loss", "discriminator_loss", "penalty", "pretraining_loss")
EVERYTHING = {
    "objective": "non_saturating",
    "r1": 0.1,
    "r2": 0.1,
    "wgan_gp": 1.0,
    "penalty_every": 4,
    "label_smoothing": 0.1,
    "lecam": 0.1,
    "historical_averaging": 1e-4,
    "spectral_norm": True,
    "instance_noise": 0.1,
    "ada_target": 0.6,
    "discriminator_steps": 2,
    "micro_batches": 2,
    "max_gradient_norm": 1.0,
    "learning_rate_schedule": "cosine",
    "learning_rate_steps": 1000,
    "learning_rate_warmup": 10,
    "evaluate_samples": 200,
}

Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="a file for all results, tracebacks included")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="sections to run")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--steps", type=int, default=100, help="steps of each timed phase, a multiple of 5")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --device cpu tries the script without one")
    with tempfile.TemporaryDirectory() as room:
        bench = Bench(Path(room), options)
        bench.results["machine"] = machine()
        print("\n".join(f"{key}: {value}" for key, value in bench.results["machine"].items()), flush=True)
        failed = []
        for name in options.only:
            try:
                SECTIONS[name](bench)
            except Exception:  # the device may be rented: what the others find is not to be lost
                traceback.print_exc()
                failed.append(name)
            bench.write()
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def machine() -> Result:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    models = {line.partition(": ")[2] for line in lines if line.startswith("model name")}
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {
        "gpu": ", ".join(cards) or "none",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cards else None,
        "python": platform.python_version(),
        "multigan": multigan.__version__,
        "cpu": f"{', '.join(models) or platform.machine()}, {torch.get_num_threads()} threads",
    }


class Bench:
    """What the sections share: the options, a folder for runs, and the results so far."""

    def __init__(self, room: Path, options: argparse.Namespace) -> None:
        self.room, self.options = room, options
        self.results: dict[str, Any] = {}
        self.count = 0

    def folder(self) -> Path:
        """A new name for a run folder."""
        self.count += 1
        return self.room / f"run-{self.count}"

    def chosen(self, recipes: Iterable[str]) -> list[str]:
        """Those of some recipes that were asked for."""
        return [name for name in recipes if name in self.options.recipes]

    def worker(self, way: str, threads: int | None = None) -> "Worker":
        """A process for one way to train; on the CPU all of them, for a trial of this script."""
        trial = WAYS["cpu"] if self.options.device == "cpu" else {}
        limit = {"OMP_NUM_THREADS": str(threads)} if threads else {}
        return Worker({**WAYS[way], **trial, **limit}, way == "deterministic", self.room / "log.txt")

    def side_by_side(self, ways: Iterable[str], task: Callable[["Worker", str], Any]) -> dict[str, Any]:
        """Call a task with a worker of each way, all at once; the results by way."""
        ways = list(ways)
        with ExitStack() as stack, ThreadPoolExecutor(len(ways)) as threads:
            workers = [stack.enter_context(self.worker(way, threads=2)) for way in ways]
            return dict(zip(ways, threads.map(task, workers, ways), strict=True))

    def write(self) -> None:
        if self.options.json:
            self.options.json.write_text(json.dumps(self.results, indent=1) + "\n")


class Worker:
    """A process with the environment of one way to train, replaced after a failure: CUDA errors stay in a process."""

    def __init__(self, environment: Mapping[str, str], deterministic: bool, log: Path) -> None:
        self.settings = dict(environment), deterministic, log
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()

    def __call__(self, task: Callable[..., Result], *arguments: Any, **named: Any) -> Result:
        """Run a task in the process; what goes wrong is returned as ``error`` and ``traceback``."""
        if self.pool is None:
            self.pool = ProcessPoolExecutor(1, get_context("spawn"), prepare_process, self.settings)
        try:
            return self.pool.submit(task, *arguments, **named).result()
        except Exception as error:
            self.pool.shutdown()
            self.pool = None
            words = " ".join(str(error).split())[:200]
            return {"error": f"{type(error).__name__}: {words}", "traceback": traceback.format_exc()}


def prepare_process(environment: dict[str, str], deterministic: bool, log: Path) -> None:
    """Set a worker up: its environment, and a file for what it prints."""
    os.environ.update(environment)
    sys.stdout = sys.stderr = log.open("a")
    if "OMP_NUM_THREADS" in environment:
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    if deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)


# --- what runs in the workers ---


def train(
    name: str, output: Path, resume: bool = False, model: Mapping[str, Any] | None = None, **fields: Any
) -> Result:
    """Train a recipe with some fields changed.

    Returns:
        The lines of metrics, the peak of memory in MiB, and the operations that PyTorch warned of as nondeterministic.
    """
    config = runpy.run_path(str(ROOT / "recipes" / f"{name}.py"))["CONFIG"]
    place = {"resume": str(output)} if resume else {"output": str(output)}
    config = replace(config, model=replace(config.model, **(model or {})), tracker="none", **place, **fields)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        multigan.train(config)
    words = {str(one.message).partition(" does not have a deterministic")[0] for one in caught}
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return {
        "lines": [line for line in lines if "samples_per_second" in line],
        "notes": [line["note"] for line in lines if "note" in line],
        "batch_size": config.batch_size,
        "memory": torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None,
        "nondeterministic": sorted(word for word in words if len(word) < 60 and " " not in word),
    }


def samples(starter: str, device: str, count: int) -> Result:
    """Samples of a starter model: as the network makes them, and as people get them (8-bit, 16-bit, sentences)."""
    generator = multigan.load(f"starter/{starter}")
    generator.network.to(device)
    made = torch.cat(list(generator.batches(count)))
    shown = generator.generate(count)
    if starter == "audio":
        shown = [numpy.round(numpy.asarray(one["array"]) * 32767).astype(numpy.int16) for one in shown]
    elif starter == "image":
        shown = [numpy.asarray(one) for one in shown]
    return {"made": made.numpy(), "shown": shown}


# --- what is compared ---


def difference(first: Path, second: Path) -> float:
    """|a - b| / |a| of the weights of the generators of two runs."""
    one, two = (multigan.load(folder).network.state_dict() for folder in (first, second))
    floats = [name for name, value in one.items() if value.is_floating_point()]
    far = sum(float((one[name].double() - two[name].double()).square().sum()) for name in floats)
    return float((far / sum(float(one[name].double().square().sum()) for name in floats)) ** 0.5)


def compared(first: Path, second: Path, one: Result, two: Result) -> Result:
    """How far two runs of the same steps are apart: their generators' weights, and whether all metrics are the same."""
    timed = ("samples_per_second", "seconds")
    metrics = [[{k: v for k, v in line.items() if k not in timed} for line in run["lines"]] for run in (one, two)]
    return {"difference": difference(first, second), "same_metrics": metrics[0] == metrics[1]}


def phases(name: str, steps: int) -> dict[str, int]:
    """Fields for a run of ``steps`` steps in the phase that is timed, and as few as possible in the one before."""
    window = max(1, steps // WINDOWS)
    every = {"log_every": window, "sample_every": NEVER, "checkpoint_every": NEVER}
    if name == "text_mle":
        return {**every, "pretraining_steps": steps}
    if name == "text_gumbel":
        return {**every, "pretraining_steps": window, "steps": steps}
    return {**every, "steps": steps}


def rate(result: Result) -> float:
    """Samples a second: the median over the lines of metrics of the timed phase but its first."""
    return statistics.median(line["samples_per_second"] for line in result["lines"][1 - WINDOWS :])


def finite(result: Result) -> bool:
    """Whether every loss in every line is a number: a loss that never was one is null."""
    return all(line[key] is not None for line in result["lines"] for key in LOSSES if key in line)


def dropped(result: Result) -> int:
    """Updates that were dropped because a gradient was not finite, of both networks."""
    return sum(value for key, value in result["lines"][-1].items() if key.endswith("_steps_dropped"))


# --- the sections ---


def speed(bench: Bench) -> None:
    """Every recipe in every precision."""
    rows = bench.chosen(RECIPES)
    found: dict[str, Any] = {name: {} for name in rows}
    for way in (*PRECISIONS, "cpu"):
        with bench.worker(way) as worker:
            for name in rows if way != "cpu" else bench.chosen(CHEAPEST):
                steps = bench.options.steps
                found[name][way] = worker(train, name, bench.folder(), **phases(name, steps))
    bench.results["speed"] = found
    lines = []
    for name, by_way in found.items():
        base = by_way["float32"]
        batch = base.get("batch_size", "")
        lines.append([name, batch, *(with_ratio(by_way.get(way), base) for way in (*PRECISIONS, "cpu"))])
    title = "samples a second (and relative to float32), the median of four windows of a run"
    table(title, ["recipe", "batch", *PRECISIONS, "the same machine's CPU"], lines)
    lines = [
        [name, *(shown(by_way[way], health) for way in PRECISIONS), shown(by_way["float32"], memory)]
        for name, by_way in found.items()
    ]
    table("losses and dropped updates of these runs", ["recipe", *PRECISIONS, "peak memory, float32"], lines)


def size(bench: Bench) -> None:
    """Where the device has something to do: a DCGAN at 64 x 64, by width and batch."""
    settings = {"width 64, batch 128": (64, 128), "width 128, batch 512": (128, 512)}
    ways = (*PRECISIONS, "strict")
    found: dict[str, Any] = {title: {} for title in settings}
    for way in ways:
        with bench.worker(way) as worker:
            for title, (width, batch) in settings.items():
                model = {"resolution": 64, "generator_width": width, "discriminator_width": width}
                fields = phases("image_dcgan", bench.options.steps)
                found[title][way] = worker(
                    train, "image_dcgan", bench.folder(), model=model, batch_size=batch, **fields
                )
    bench.results["size"] = found
    lines = [
        [title, *(f"{with_ratio(by_way[way], by_way['float32'])}; {shown(by_way[way], memory)}" for way in ways)]
        for title, by_way in found.items()
    ]
    table("image_dcgan at resolution 64: samples a second (and relative to float32); peak memory", ["", *ways], lines)


def claims(bench: Bench) -> None:
    """Whether a seed repeats a run, a resumed run equals one that was never stopped, and how far the CPU's is."""
    window = max(1, bench.options.steps // WINDOWS // 2)
    steps, half = WINDOWS * window, 2 * window  # a line of metrics ends at the half
    names = bench.chosen(CLAIMED)

    def one_way(worker: Worker, way: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            fields = phases(name, steps)
            first, again, parts = bench.folder(), bench.folder(), bench.folder()
            result = worker(train, name, first, **fields)
            entry: dict[str, Any] = {"run": result, "folder": None if "error" in result else str(first)}
            found[name] = entry
            if way == "cpu":
                continue
            repeated = worker(train, name, again, **fields)
            stopped = worker(train, name, parts, **{**fields, "steps": half})
            resumed = stopped if "error" in stopped else worker(train, name, parts, resume=True, **fields)
            for what, other, folder in (("repeat", repeated, again), ("resume", resumed, parts)):
                bad = [one for one in (result, other) if "error" in one]
                entry[what] = bad[0] if bad else compared(first, folder, result, other)
        return found

    ways = ("float32", "bf16", "fp16", "deterministic", "strict", "cpu")
    found = bench.side_by_side(ways, one_way)
    bench.results["claims"] = found
    for what, title in (("repeat", "the same seed again"), ("resume", "stopped half-way and resumed")):
        lines = []
        for name in names:
            lines.append([name, *(shown(found[way][name][what], verdict) for way in ways[:-1])])
        table(f"{title}: difference of the weights after {steps} steps", ["recipe", *ways[:-1]], lines)
    lines = [
        [name, ", ".join(found["deterministic"][name]["run"].get("nondeterministic", [])) or "none"] for name in names
    ]
    table("operations with no deterministic version, as PyTorch warns of them", ["recipe", "operations"], lines)
    lines = []
    for name in names:
        folders = {way: found[way][name].get("folder") for way in ways}
        apart = {
            way: f"{difference(Path(folders['cpu']), Path(folder)):.1e}" if folder and folders["cpu"] else "-"
            for way, folder in folders.items()
        }
        lines.append([name, *(apart[way] for way in ways[:-1])])
    table(f"the CPU's run with this seed: difference of the weights after {steps} steps", ["recipe", *ways[:-1]], lines)


def stabilizers(bench: Bench) -> None:
    """All stabilizers at once, evaluations in between, and micro-batches against whole batches."""
    steps = WINDOWS * max(2, bench.options.steps // WINDOWS // 2)
    fields = phases("image_cgan", steps)
    folders = {way: (bench.folder(), bench.folder()) for way in ("float32", "bf16", "fp16", "strict")}

    def one_way(worker: Worker, way: str) -> dict[str, Any]:
        everything = {**fields, **EVERYTHING, "evaluate_every": steps // 2}
        first, second = folders[way]
        found: dict[str, Any] = {"everything": worker(train, "image_cgan", bench.folder(), **everything)}
        found["whole"] = worker(train, "image_cgan", first, **{**fields, "steps": 2})
        found["split"] = worker(train, "image_cgan", second, **{**fields, "steps": 2, "micro_batches": 4})
        if not any("error" in found[one] for one in ("whole", "split")):
            found["apart"] = difference(first, second)
        return found

    found = bench.side_by_side(folders, one_way)
    bench.results["stabilizers"] = found
    lines = [
        [way, shown(one["everything"], health), f"{one['apart']:.1e}" if "apart" in one else "failed"]
        for way, one in found.items()
    ]
    heads = ["", f"all stabilizers, {steps} steps with two evaluations", "four micro-batches against one, two steps"]
    table("image_cgan with every stabilizer", heads, lines)


def penalties(bench: Bench) -> None:
    """The penalties of the first step, where the weights are still the same."""
    names = bench.chosen(PENALIZED)

    def one_way(worker: Worker, way: str) -> dict[str, Any]:
        fields = {"steps": 1, "pretraining_steps": 0, "log_every": 1}
        return {name: worker(train, name, bench.folder(), **fields) for name in names}

    ways = ("cpu", "strict", *PRECISIONS)
    found = bench.side_by_side(ways, one_way)
    bench.results["penalties"] = found
    lines = []
    for name in names:
        cpu = found["cpu"][name]
        true = None if "error" in cpu else cpu["lines"][0]["penalty"]

        def apart(result: Result, true: float | None = true) -> str:
            value = result["lines"][0]["penalty"]
            return f"{value:.6g}" if true is None else f"{value:.6g} ({abs(value - true) / abs(true):.1e})"

        lines.append([name, *(shown(found[way][name], apart) for way in ways)])
    table("penalty at the first step (and its relative distance from the CPU's)", ["recipe", *ways], lines)


def generation(bench: Bench) -> None:
    """The same samples of the starter models on the CPU and on CUDA."""
    device, count = bench.options.device, 64

    def one_way(worker: Worker, way: str) -> dict[str, Any]:
        place = "cpu" if way == "cpu" else device
        return {name: worker(samples, name, place, count) for name in STARTERS}

    found = bench.side_by_side(("cpu", "float32", "strict"), one_way)
    lines, results = [], {}
    for name in STARTERS:
        cells = []
        for way in ("float32", "strict"):
            one, two = found["cpu"][name], found[way][name]
            failed = [result["error"] for result in (one, two) if "error" in result]
            if failed:
                cells.append(failed[0])
                results[f"{name}, {way}"] = [one.get("traceback"), two.get("traceback")]
                continue
            away = float(numpy.linalg.norm(one["made"] - two["made"]) / numpy.linalg.norm(one["made"]))
            if name == "text":
                same = sum(a == b for a, b in zip(one["shown"], two["shown"], strict=True))
                words = f"{same} of {count} sentences are the same"
                results[f"{name}, {way}"] = {"difference": away, "same": same, "sentences": two["shown"][:4]}
            else:
                whole = (numpy.stack(result["shown"]).astype(int) for result in (one, two))
                far = numpy.abs(next(whole) - next(whole))
                words = f"{away:.1e}; as written, {(far == 0).mean():.3%} the same, at most {far.max()} apart"
                results[f"{name}, {way}"] = {"difference": away, "same": (far == 0).mean(), "most": int(far.max())}
            cells.append(words)
        lines.append([f"starter/{name}", *cells])
    bench.results["generation"] = results
    table(f"{count} samples on {device} against the CPU's", ["model", "float32", "strict"], lines)


def evaluation(bench: Bench) -> None:
    """`multigan evaluate` on the CPU and on CUDA, with one classifier and with one trained where it is used."""
    counts = {"image": 10_000, "audio": 400, "text": 1000}
    on_cuda = WAYS["cpu"] if bench.options.device == "cpu" else {}

    def judged(name: str, place: str, cache: str, environment: Mapping[str, str]) -> Result:
        out = bench.room / f"judged-{name}-{place}-{cache}"
        command = [sys.executable, "-m", "multigan", "evaluate", f"starter/{name}", "-n", str(counts[name])]
        own = {"MULTIGAN_CACHE": str(bench.room / f"cache-{name}-{cache}"), "OMP_NUM_THREADS": "4"}
        result = run([*command, "--out", str(out)], {**own, **environment})
        return result if "error" in result else {**result, **json.loads((out / "evaluation.json").read_text())}

    def by_cpu(name: str) -> dict[str, Result]:
        return {
            "cpu": judged(name, "cpu", "cpu", WAYS["cpu"]),
            "cuda, the CPU's classifier": judged(name, "cuda", "cpu", on_cuda),
        }

    def by_cuda(name: str) -> dict[str, Result]:
        return {"cuda, its own classifier": judged(name, "cuda", "cuda", on_cuda)}

    with ThreadPoolExecutor(2 * len(STARTERS)) as threads:
        halves = [threads.map(task, STARTERS) for task in (by_cpu, by_cuda)]
        found = {name: one | two for name, one, two in zip(STARTERS, *halves, strict=True)}
    bench.results["evaluation"] = found
    for name, by_way in found.items():
        failed = [f"{way}: {one['error']}" for way, one in by_way.items() if "error" in one]
        if failed:
            print(f"\nmultigan evaluate starter/{name}: {'; '.join(failed)}")
            continue
        kinds, metrics = ("generated", "baseline"), list(by_way["cpu"]["generated"])
        lines = [
            [
                metric,
                *(" / ".join(f"{one[of].get(metric, float('nan')):.5g}" for of in kinds) for one in by_way.values()),
            ]
            for metric in metrics
        ]
        lines.append(["seconds, all at once", *(f"{one['seconds']:.0f}" for one in by_way.values())])
        table(f"multigan evaluate starter/{name}: generated / baseline", ["metric", *by_way], lines)


def launch(bench: Bench) -> None:
    """The commands that people use."""
    recipe = str(ROOT / "recipes" / "image_cgan.py")
    accelerate, torchrun = ([sys.executable, "-m", module] for module in ACCELERATE_AND_TORCHRUN)
    few = ["--steps", "2"]
    commands = {
        "accelerate launch": [*accelerate, recipe, *few],
        "accelerate launch --mixed_precision bf16": [*accelerate, "--mixed_precision", "bf16", recipe, *few],
        "accelerate launch --mixed_precision fp16": [*accelerate, "--mixed_precision", "fp16", recipe, *few],
        "torchrun, one process (DDP over NCCL)": [*torchrun, "--standalone", "--nproc_per_node", "1", recipe, *few],
        "torchrun, two processes": [*torchrun, "--standalone", "--nproc_per_node", "2", recipe, *few],
    }
    for name in STARTERS:
        command = [sys.executable, "-m", "multigan", "generate", "--model", f"starter/{name}", "-n", "8"]
        commands[f"generate, starter/{name} on {bench.options.device}"] = [
            *command,
            "--device",
            bench.options.device,
        ]

    def started(command: list[str]) -> Result:
        where = "--out" if "generate" in command else "--output"
        trial = WAYS["cpu"] if bench.options.device == "cpu" else {}
        return run([*command, where, str(bench.folder())], {"OMP_NUM_THREADS": "2", **trial})

    with ThreadPoolExecutor(4) as threads:
        found = dict(zip(commands, threads.map(started, commands.values()), strict=True))
    bench.results["launch"] = found
    table("commands", ["", "result"], [[title, one.get("error", "works")] for title, one in found.items()])


ACCELERATE_AND_TORCHRUN = ("accelerate.commands.launch", "torch.distributed.run")


def run(command: list[str], environment: Mapping[str, str]) -> Result:
    """Run a command to its end; its output, and its last line as the error where it fails."""
    began = time.perf_counter()
    try:
        found = subprocess.run(
            command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {LONGEST} s"}
    result = {"seconds": time.perf_counter() - began, "output": (found.stdout + found.stderr)[-4000:]}
    if found.returncode:
        said = [line for line in found.stderr.splitlines() if line.strip()] or [f"exit code {found.returncode}"]
        result["error"] = next((line for line in said if line.startswith("multigan: error")), said[-1])[:200]
    return result


# --- tables ---


def shown(result: Result | None, what: Callable[[Result], str]) -> str:
    """One cell: what is asked of a result, or its error."""
    if result is None:
        return ""
    return str(result["error"]) if "error" in result else what(result)


def health(result: Result) -> str:
    count = dropped(result)
    return f"{'finite' if finite(result) else 'NOT finite'}, {count} dropped"


def memory(result: Result) -> str:
    return "-" if result["memory"] is None else f"{result['memory']:,.0f} MiB"


def verdict(result: Result) -> str:
    far = f"{result['difference']:.1e}" if result["difference"] else "0"
    return far if result["difference"] or result["same_metrics"] else f"{far}, but metrics differ"


def with_ratio(result: Result | None, base: Result) -> str:
    if result is None or "error" in result or "error" in base or result is base:
        return shown(result, lambda one: f"{rate(one):,.0f}")
    return f"{rate(result):,.0f} ({rate(result) / rate(base):.2f})"


def table(title: str, heads: list[str], lines: list[list[Any]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for line in lines:
        print(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |")
    sys.stdout.flush()


SECTIONS: dict[str, Callable[[Bench], None]] = {
    one.__name__: one for one in (speed, size, claims, stabilizers, penalties, generation, evaluation, launch)
}

if __name__ == "__main__":
    main()
