"""What multigan does on a GPU: precision, speed, agreement with the CPU, modes found, CIFAR-10.

    uv run benchmarks/gpu.py [--mnist FOLDER] [--cifar FOLDER] [--out FOLDER] [--only SECTION ...]

Prints a Markdown table for each section and needs one CUDA device and less than 8 minutes (with 16 cores): each section
has a budget, after which it is stopped. Those about speed run first, one at a time; the others share the device,
because only their results matter. A section that fails, or one row of it, loses nothing else. The folder gets
results.json, written after each section, and log.txt. Both datasets are folders of Parquet files; docs/gpu.md says how
to make them small enough to carry. This tries all of it on a machine without a GPU, in some minutes:

    uv run benchmarks/gpu.py --cpu --steps 5 --seconds 5 --width 16 --samples 200

Precisions: fp32 is without TF32 anywhere; tf32 is float32 with TF32 in convolutions, LSTMs and matrix products; bf16
and fp16 are mixed precision, with TF32 in what stays float32. Differences are |a - b| / |a|, Euclidean, over all
weights or samples together.
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
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from engine_cost import SETTINGS, STEPS, bare, batches, four, textbook
from interleaved import ratio, timed
from sections import Row, Section, attempts, run
from stacked_modes import forget_launch, train_for
from stacked_modes import rows as stacked_modes
from torch import nn

import multigan
from multigan.evaluation.evaluator import Evaluator
from multigan.training.run import Run

ROOT = Path(__file__).parents[1]
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
KINDS = ("fp32, deterministic", "tf32", "bf16", "fp16")  # of a comparison
STARTERS = ("image", "audio", "text")
COMPARED = ("image_cgan", "audio_specgan", "text_gumbel")
SECOND_SPACE = ("precision", "recall", "coverage", "frechet_distance")
WINDOWS = 5  # lines of metrics of a run that is timed; the first one is the warm-up
NEVER = 10**6
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
}


# --- one run ---


def set_precision(precision: str, deterministic: bool = False) -> None:
    """Let the next run of this process have this precision; "cpu" is float32 on the CPU."""
    forget_launch()
    os.environ["ACCELERATE_MIXED_PRECISION"] = precision if precision in ("bf16", "fp16") else "no"
    os.environ["ACCELERATE_USE_CPU"] = str(precision == "cpu" or not torch.cuda.is_available()).lower()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision not in ("fp32", "cpu")
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


def recipe_config(name: str) -> multigan.TrainingConfig:
    """The configuration in a recipe."""
    config: multigan.TrainingConfig = runpy.run_path(str(ROOT / "recipes" / f"{name}.py"))["CONFIG"]
    return config


def train(recipe: str, model: dict[str, Any] | None = None, **fields: Any) -> tuple[Path, list[dict[str, Any]]]:
    """Train a recipe with some settings changed; the run folder and the lines of metrics."""
    config = recipe_config(recipe)
    where = {} if "resume" in fields else {"output": tempfile.mkdtemp()}
    rarely = {"sample_every": NEVER, "checkpoint_every": NEVER, "tracker": "none"}
    folder = multigan.train(replace(config, model=replace(config.model, **(model or {})), **rarely, **where, **fields))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return folder, [line for line in lines if "samples_per_second" in line]


def pretrained(recipe: str, steps: int) -> dict[str, int]:
    """Few steps of pretraining, for recipes that have it."""
    return {"pretraining_steps": steps} if recipe.startswith("text") else {}


def peak_memory() -> float | None:
    """MiB of device memory since the last call."""
    if not torch.cuda.is_available():
        return None
    peak = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return peak


# --- the sections ---


def precision(options: argparse.Namespace) -> Iterator[Row]:
    """Recipes in each precision; a wide network, which keeps the device busy; and every stabiliser at once."""
    steps = max(WINDOWS, options.steps)
    few = max(WINDOWS, steps // 8)
    wide = {"resolution": 64, "generator_width": options.width, "discriminator_width": options.width}
    augmented = {"rotation": 10.0, "flip": True}
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        "image_dcgan": ("image_dcgan", {"steps": steps}),
        "image_cgan": ("image_cgan", {"steps": steps}),
        "audio_specgan": ("audio_specgan", {"steps": steps}),
        f"image_dcgan, 64 x 64, width {options.width}, batch {4 * options.width}": (
            "image_dcgan",
            {"steps": few, "batch_size": 4 * options.width, "model": wide},
        ),
        "image_cgan, stabilisers": ("image_cgan", {"steps": few, "model": augmented, **EVERYTHING}),
        "text_gumbel": ("text_gumbel", {"steps": steps}),
    }

    def one(recipe: str, fields: dict[str, Any], kind: str) -> Row:
        set_precision(kind)
        peak_memory()
        window = fields["steps"] // WINDOWS
        _, lines = train(recipe, log_every=window, **pretrained(recipe, window), **fields)
        rates = [line["samples_per_second"] for line in lines[1 - WINDOWS :]]
        batch = fields.get("batch_size", recipe_config(recipe).batch_size)
        last = lines[-1]
        return {
            "steps": fields["steps"],
            "generator loss": last["generator_loss"],
            "discriminator loss": last["discriminator_loss"],
            "updates dropped": sum(value for key, value in last.items() if key.endswith("_steps_dropped")),
            "steps/s": statistics.median(rates) / batch,
            "peak MiB": peak_memory(),
        }

    for name, (recipe, fields) in cases.items():
        yield from attempts({f"{name}, {kind}": partial(one, recipe, fields, kind) for kind in PRECISIONS})


def loop(options: argparse.Namespace) -> Iterator[Row]:
    """The engine, and the loops of `engine_cost`."""
    graph = "bare, four steps a CUDA graph"  # last: if it fails, it may spoil the random numbers
    names = ("textbook", "textbook, channels last", "engine", "bare", graph)
    return in_turns(options, names, names)


def compiled(options: argparse.Namespace) -> Iterator[Row]:
    """What torch.compile would give: the engine refuses it, as a compiled network cannot be differentiated twice."""
    return in_turns(options, ("bare, generator compiled",), ("bare, both networks compiled",))


def in_turns(options: argparse.Namespace, *names_of_each: Sequence[str]) -> Iterator[Row]:
    """Ways to take four steps, each in turns with the textbook loop: as pictures train, and without penalties."""
    set_precision("tf32")
    pictures = {title: settings for title, (modality, *_, settings) in SETTINGS.items() if modality == "image"}
    for names, (title, settings) in zip(names_of_each, pictures.items(), strict=True):
        for row in in_turns_with(options, names, settings):
            yield {**row, "": f"{row['']}; {title}"}


def in_turns_with(options: argparse.Namespace, names: Sequence[str], settings: dict[str, Any]) -> Iterator[Row]:
    """The same with some settings."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch, width, repeats = options.width, max(1, options.width // 2), max(1, options.steps // 100)
    model = {"architecture": "dcgan", "resolution": 64, "generator_width": width, "discriminator_width": width}
    output = tempfile.mkdtemp()
    settings = {**settings, "batch_size": batch}
    engine = Run(multigan.configure("image", dataset="digits", output=output, tracker="none", model=model, **settings))
    pictures = batches(engine, device.type)
    numbers = iter(range(10**9))

    def by_hand(make: Callable[..., Callable[[], None]], prepare: Callable[..., object]) -> Callable[[], None]:
        networks = engine.modality.generator().to(device), engine.modality.discriminator().to(device)
        prepare(*networks)
        with torch.device(device):
            steps = make(engine, pictures, *networks)

        def on_device() -> None:
            with torch.device(device):  # where the loops make their random numbers
                steps()

        return on_device

    def graphed() -> Callable[[], None]:
        """All four steps of the bare loop, captured and replayed as one CUDA graph."""
        with mock.patch("torch.optim.Adam", partial(torch.optim.Adam, capturable=True)):
            step = by_hand(bare, nothing)
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            step()

        def replay(step: Callable[[], None] = step) -> None:  # which is kept: the graph uses its tensors
            graph.replay()

        return replay

    def nothing(*networks: nn.Module) -> None:
        pass

    def channels_last(*networks: nn.Module) -> None:
        for network in networks:
            network.to(memory_format=torch.channels_last)

    def compile(*networks: nn.Module) -> None:
        for network in networks:
            network.compile()

    def one(make: Callable[[], Callable[[], object]]) -> Row:
        step = make()

        def several(step: Callable[[], object]) -> None:
            for _ in range(repeats):
                step()
            if device.type == "cuda":
                torch.cuda.synchronize()

        several(step)  # it may compile
        ways = {"textbook": partial(several, base), "this": partial(several, step)}
        times = timed(ways, max(2, min(8, options.steps // 20)))
        rate = STEPS * repeats / statistics.median(times["this"])
        return {"steps/s": rate, "times as fast (quartiles)": ratio(times, "textbook", "this")}

    base = by_hand(textbook, nothing)
    ways: dict[str, Callable[[], Callable[[], object]]] = {
        "textbook": lambda: base,
        "textbook, channels last": lambda: by_hand(textbook, channels_last),
        "engine": lambda: four(lambda _: engine.state.meter.add(engine.play(next(numbers))), False),
        "bare": lambda: by_hand(bare, nothing),
        "bare, generator compiled": lambda: by_hand(bare, lambda generator, _: compile(generator)),
        "bare, both networks compiled": lambda: by_hand(bare, compile),
        "bare, four steps a CUDA graph": graphed,
    }
    yield from attempts({name: partial(one, ways[name]) for name in names})


def agreement(options: argparse.Namespace) -> Iterator[Row]:
    """Runs that are equal on a CPU: what differs on the device, and how far it is from the CPU."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # for deterministic algorithms
    half = max(1, options.steps // 16)

    def short(recipe: str, **fields: Any) -> tuple[Path, list[dict[str, Any]]]:
        # A schedule depends on the number of steps, and the run that is stopped has fewer.
        return train(recipe, log_every=1, learning_rate_schedule="constant", **pretrained(recipe, 1), **fields)

    @cache
    def on_cpu(recipe: str) -> tuple[Path, list[dict[str, Any]]]:
        set_precision("cpu")
        return short(recipe, steps=2)

    def one(recipe: str, kind: str) -> Row:
        cpu, cpu_lines = on_cpu(recipe)
        set_precision(kind.partition(",")[0], deterministic="deterministic" in kind)
        two, lines = short(recipe, steps=2)
        row: Row = {
            "penalty of the first step, to the CPU's": abs(penalty(lines) / penalty(cpu_lines) - 1),
            "weights after 2 steps, to the CPU's": difference(cpu, two),
            "to two micro-batches'": difference(two, short(recipe, steps=2, micro_batches=2)[0]),
        }
        if kind in KINDS[:2]:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                whole, again = (short(recipe, steps=2 * half)[0] for _ in range(2))
            stopped, _ = short(recipe, steps=half)
            short(recipe, steps=2 * half, resume=str(stopped))
            row[f"after {2 * half} steps, the same again"] = difference(whole, again)
            row["stopped and resumed"] = difference(whole, stopped)
            words = {str(one.message).partition(" does not have a deterministic")[0] for one in caught}
            row["not deterministic"] = ", ".join(sorted(word for word in words if " " not in word))
        return row

    for recipe in COMPARED:
        yield from attempts({f"{recipe}, {kind}": partial(one, recipe, kind) for kind in KINDS})


def generation(options: argparse.Namespace) -> Iterator[Row]:
    """The same samples of the starter models on the device and on the CPU."""

    def samples(starter: str, kind: str) -> torch.Tensor:
        set_precision(kind)
        generator = multigan.load(f"starter/{starter}")
        if kind != "cpu" and torch.cuda.is_available():
            generator.network.to("cuda")
        return torch.cat(list(generator.batches(64)))

    def one(starter: str, kind: str) -> Row:
        cpu, device = samples(starter, "cpu"), samples(starter, kind)
        same = (cpu == device).flatten(1).all(1).sum().item()
        return {"difference": relative([cpu], [device]), "samples bit-identical, of 64": same}

    cases = {f"starter/{name}, {kind}": partial(one, name, kind) for name in STARTERS for kind in ("fp32", "tf32")}
    yield from attempts(cases)


def evaluation(options: argparse.Namespace) -> Iterator[Row]:
    """`multigan evaluate` of the image starter model on the CPU and, with the same classifier, on the device."""
    by_kind = {kind: evaluate("starter/image", "digits", kind, min(options.samples, 800)) for kind in ("cpu", "tf32")}
    cpu, device = by_kind.values()
    yield from (
        {"": one["metric"], "CPU": one["generated"], "device": other["generated"]}
        for one, other in zip(cpu, device, strict=True)
    )


def modes(options: argparse.Namespace) -> Iterator[Row]:
    """Modes among generated stacked digits."""
    return stacked_modes(argparse.Namespace(**{**vars(options), "width": options.width // 2}))


def cifar(options: argparse.Namespace) -> Iterator[Row]:
    """image_cgan's networks on CIFAR-10, trained for some time and evaluated in our feature spaces."""
    if not options.cifar:
        yield {"": "no --cifar FOLDER was given"}
        return
    set_precision("tf32")
    width, batch = options.width // 2, options.width
    model = {"architecture": "styled", "conditional": True, "flip": True, "latent_dim": 128}
    model |= {"generator_width": width, "discriminator_width": width}
    config = multigan.configure(
        "image",
        dataset=options.cifar,
        output=tempfile.mkdtemp(),
        tracker="none",
        steps=10**6,
        batch_size=batch,
        sample_every=NEVER,
        checkpoint_every=NEVER,
        learning_rate_schedule="constant",
        model=model,
    )
    folder, steps = train_for(options.seconds, config)
    yield {"metric": f"steps of {batch}", "generated": steps}
    yield from evaluate(str(folder), options.cifar, "tf32", min(options.samples, 10_000))


def launch(options: argparse.Namespace) -> Iterator[Row]:
    """The commands that people use."""
    recipe, few = str(ROOT / "recipes" / "image_cgan.py"), ["--steps", "2"]
    accelerate = [sys.executable, "-m", "accelerate.commands.launch"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    device = "cpu" if options.cpu else "cuda"
    generate = [sys.executable, "-m", "multigan", "generate", "--model", "starter/image", "-n", "8", "--device", device]
    commands = {
        "accelerate launch": [*accelerate, recipe, *few],
        "accelerate launch --mixed_precision bf16": [*accelerate, "--mixed_precision", "bf16", recipe, *few],
        "accelerate launch --mixed_precision fp16": [*accelerate, "--mixed_precision", "fp16", recipe, *few],
        "torchrun, one process (DDP)": [*torchrun, "1", recipe, *few],
        "torchrun, two processes (one line of error on one GPU)": [*torchrun, "2", recipe, *few],
        f"multigan generate --device {device}": generate,
    }
    if options.cpu:
        os.environ["ACCELERATE_USE_CPU"] = "true"

    def one(command: list[str]) -> Row:
        start, where = time.perf_counter(), "--out" if "generate" in command else "--output"
        done = subprocess.run([*command, where, tempfile.mkdtemp()], cwd=ROOT, capture_output=True, text=True)
        print(done.stdout + done.stderr)
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        problem = next((line for line in said if line.startswith("multigan: error")), said[-1])[:200]
        return {"result": problem if done.returncode else "works", "seconds": time.perf_counter() - start}

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4)) as pool:
        waiting = {name: pool.submit(one, command) for name, command in commands.items()}
        yield from attempts({name: future.result for name, future in waiting.items()})


# --- what they measure ---


def penalty(lines: list[dict[str, Any]]) -> float:
    """The penalty of the first adversarial step."""
    return next(float(line["penalty"]) for line in lines if "penalty" in line)


def difference(first: Path, second: Path) -> float:
    """The relative difference of the weights of the generators of two runs."""
    one, two = (multigan.load(folder).network.state_dict() for folder in (first, second))
    names = [name for name, value in one.items() if value.is_floating_point()]
    return relative([one[name] for name in names], [two[name] for name in names])


def relative(one: Sequence[torch.Tensor], two: Sequence[torch.Tensor]) -> float:
    """|a - b| / |a| over all tensors together."""
    far = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(one, two, strict=True))
    return float((far / sum(float(a.double().square().sum()) for a in one)) ** 0.5)


def evaluate(model: str, dataset: str, kind: str, count: int) -> list[Row]:
    """The metrics of a model beside their baseline, and some of them in a second space."""
    from accelerate import PartialState

    from multigan.engine.launch import check_launch

    set_precision(kind)
    check_launch(600)
    generator = multigan.load(model)
    generator.network.to(PartialState().device)
    evaluator = Evaluator.open(generator.modality, dataset, count=count)
    found = evaluator.evaluate(generator, evaluator.generated(generator), quick=True)
    rows: list[Row] = [
        {"metric": name, "generated": value, "real": found.baseline.get(name)}
        for name, value in found.generated.items()
    ]
    if second := evaluator.measure_second(generator):
        for name in SECOND_SPACE:
            rows.append(
                {"metric": f"{name}, pixels", "generated": second["generated"][name], "real": second["baseline"][name]}
            )
    return rows


def machine() -> dict[str, Any]:
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
        "cpu": f"{', '.join(models) or platform.machine()}, {os.cpu_count()} cores",
    }


LOSSES = "Losses (means of the last fifth of the steps), dropped updates, speed and memory"
TURNS = "Steps of DCGAN at 64 x 64, in turns with the textbook loop"
SECTIONS = {
    "precision": Section(precision, 205, LOSSES, True),
    "loop": Section(loop, 60, TURNS, True),
    "compiled": Section(compiled, 60, TURNS, True),
    "modes": Section(modes, 155, "Modes among generated stacked digits, of 1,000"),
    "cifar": Section(cifar, 155, "image_cgan's networks on CIFAR-10, in our feature spaces"),
    "agreement": Section(agreement, 155, "Relative differences, of weights where nothing else is said"),
    "evaluation": Section(evaluation, 60, "`multigan evaluate starter/image` on both"),
    "generation": Section(generation, 30, "64 samples of the starter models on the device and on the CPU"),
    "launch": Section(launch, 65, "Commands"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="sections to run")
    parser.add_argument("--mnist", help="a folder of MNIST; without it the built-in digits are stacked")
    parser.add_argument("--cifar", help="a folder of CIFAR-10; without it that section is left out")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="a folder for results.json and log.txt")
    parser.add_argument("--steps", type=int, default=200, help="steps after which losses are compared")
    parser.add_argument("--seconds", type=float, default=45, help="of training, for each run of modes and cifar")
    parser.add_argument("--samples", type=int, default=25_600, help="generated samples of modes and cifar, at most")
    parser.add_argument("--width", type=int, default=128, help="of the widest network, with batches of four times that")
    parser.add_argument("--cpu", action="store_true", help="try this script on a CPU")
    options = parser.parse_args()
    if options.cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif not torch.cuda.is_available():
        sys.exit("no CUDA device here; --cpu tries the script without one")
    print("\n".join(f"{key}: {value}" for key, value in machine().items()), flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as room:
        os.environ |= {"TMPDIR": room, "MULTIGAN_CACHE": f"{room}/cache"}
        os.environ.setdefault("OMP_NUM_THREADS", "1" if options.cpu else "4")
        longer, patience = 2 * max(0, options.seconds - 45), 10 if options.cpu else 1
        budgets = {name: patience * (SECTIONS[name].seconds + longer) for name in options.only}
        chosen = {name: SECTIONS[name]._replace(seconds=budget) for name, budget in budgets.items()}
        failed = run(
            chosen, options, {"machine": machine(), "options": {**vars(options), "out": str(options.out)}}, options.out
        )
    if failed:
        sys.exit(f"not complete: {', '.join(failed)}")


if __name__ == "__main__":
    main()
