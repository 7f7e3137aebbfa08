"""What multigan promises of training, measured: claim, setting, the measured difference, and its limit.

    OMP_NUM_THREADS=1 uv run benchmarks/claims.py [--quick]

Ends with 1 if a difference is over its limit. Everything goes through the engine's own step with its own fused Adam, on
the CPU. Two processes are started once, with torchrun, and do all that needs two; this process does the same alone.
Differences are |a - b| / |a|, Euclidean, over all weights of a network together, and over Adam's first and second
moments, which after the first step are the gradients and their squares. The worst of these is shown. --quick takes a
part of the settings that has each value of each at least once.
"""

import argparse
import contextlib
import copy
import dataclasses
import itertools
import json
import math
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import AutocastKwargs
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from multigan import config, configure
from multigan.engine import checkpoint, distributed, launch
from multigan.engine.ema import update_average
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.rng import BatchRandom
from multigan.engine.step import Game, StepConfig
from multigan.modalities.image.augmentation import affine
from multigan.modalities.image.networks import FullyConnectedDiscriminator, FullyConnectedGenerator
from multigan.modalities.image_to_image.config import TASKS_OF_SETTING
from multigan.training.run import Run

ROOT = Path(__file__).parents[1]
STEPS, STOP = 10, 5
BATCH, LATENT, SIDE, WIDTH, CLASSES = 16, 4, 4, 8, 3
LIMITS = {"float64": 1e-12, "float32": 1e-5}
# Of a recipe's first step: Adam's is of full size even where a gradient is nothing but rounding.
FIRST_STEP_IN_FLOAT32 = 1e-4
PENALTIES: dict[str, dict[str, float]] = {
    "no penalty": {},
    "r1": {"r1": 0.5},
    "r2": {"r2": 0.5},
    "wgan_gp": {"wgan_gp": 10.0},
}
RING = "multigan_ring:Ring"
SMALLEST: dict[str, dict[str, int]] = {  # for --quick
    "image": {"resolution": 16},
    "audio": {"length": 4096},
    "text": {"length": 9},
    "image-to-image": {"resolution": 32, "patch_layers": 1, "blocks": 1},
}
PLAYERS = ("generator", "discriminator")
# Small networks that make pictures of pictures, and how each is trained, on the task's built-in data.
SMALL_BATCH, REPLAY = 8, 8  # so the buffer is full after a step
TINY = {"resolution": 16, "generator_width": 4, "discriminator_width": 4, "blocks": 1, "depth": 2, "patch_layers": 1}
# Some networks make a difference of any kind larger in each step: a start perturbed by 1e-15, in one process, is off
# after ten by 1e-4 (CycleGAN at the default rate; 8e-13 at this one), 8e-12 (SPADE), 3e-9 (style). Waves judged on the
# logarithm of their spectrograms do too: their gradients, 2e-14 off after two steps, are 1e-7 off after ten. So they
# take few.
LOW_RATE = {"generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}
CYCLEGAN = "unpaired with replay, cycle, identity"
SENSITIVE, FEW_STEPS = {CYCLEGAN, "image_cyclegan", "image_spade", "image_style"}, 2
# Two recipes make a start perturbed by 1e-16, in one process, 1e-12 off in their first step and 1e-10 in the second:
# phases of spectra that are nearly 0 turn. Small networks of their kind are compared here, or in the conformance suite.
TOO_SENSITIVE = {"audio_istft", "audio_vocoder"}
CRITIC = {"objective": "wasserstein", "wgan_gp": 10.0, "r1": 0.0, "r2": 0.0, "discriminator_steps": 2}
PICTURES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "colorize": ({}, {"task": "colorize"}),
    "enlarge with features": ({}, {"task": "enlarge", "factor": 2, "load_size": 24, "features": 10.0}),
    "inpaint, strokes": ({}, {"task": "inpaint", "holes": "strokes"}),
    "paired, mirrored": ({}, {"task": "paired", "flip": True}),
    "labels with 2 scales, features, noise": (
        {},
        {"task": "labels", "scales": 2, "features": 10.0, "latent_dim": 4},
    ),
    CYCLEGAN: (
        {"replay": REPLAY, **LOW_RATE},
        {"task": "unpaired", "identity": 5.0},
    ),
    "paired, WGAN-GP, 2 discriminator steps": (CRITIC, {"task": "paired"}),
    "paired, 5 heads": ({}, {"task": "paired", "scales": 5, "features": 10.0, "resolution": 96}),
}

# The same of sounds, which the discriminator represents as spectrograms before they are penalised.
SOUNDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "conditional, louder and softer": ({}, {"conditional": True, "gain": 6.0, "length": 4100}),
    "WGAN-GP, 2 discriminator steps": (CRITIC, {}),
}
TINY_SOUNDS = {"sampling_rate": 8000, "length": 4096, "latent_dim": 4, "generator_width": 2, "discriminator_width": 2}


def of_task(settings: dict[str, int], task: str) -> dict[str, int]:
    """Those settings of image-to-image that a task has."""
    return {name: value for name, value in settings.items() if task in TASKS_OF_SETTING.get(name, (task,))}


# Name -> modality, settings, settings of the model.
SMALL_RUNS = {
    f"pictures: {name}": ("image-to-image", rules, {**of_task(TINY, model["task"]), **model})
    for name, (rules, model) in PICTURES.items()
} | {f"sounds: {name}": ("audio", rules, {**TINY_SOUNDS, **model}) for name, (rules, model) in SOUNDS.items()}

Vectors = dict[str, Tensor]


class Row(NamedTuple):
    claim: str
    setting: str
    measured: float
    limit: float


class Setting(NamedTuple):
    """One game to be played by one process and by two."""

    objective: str
    penalty: str
    dtype: str
    conditional: bool
    micro_batches: int
    discriminator_steps: int


def settings(quick: bool) -> list[Setting]:
    """All combinations; quick, twelve in which each value comes up, and each objective in either precision."""
    factors = (list(OBJECTIVES), list(PENALTIES), list(LIMITS), (False, True), (1, 4), (1, 5))
    if not quick:
        return [Setting(*values) for values in itertools.product(*factors)]
    strides = (1, 1, 6, 1, 2, 3)
    return [Setting(*(f[i // s % len(f)] for f, s in zip(factors, strides, strict=True))) for i in range(12)]


# --- games ---


def start(precision: str = "no") -> Accelerator:
    """An accelerator as a run starts it; in one process those made before are then no longer of use."""
    if "WORLD_SIZE" not in os.environ:  # another precision would be refused
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    os.environ["ACCELERATE_MIXED_PRECISION"] = precision
    return launch.start("none", ROOT)


def batches(number: int, rows: slice) -> tuple[Tensor, Tensor]:
    """Real samples ``(b, 1, SIDE, SIDE)`` and their classes: functions of the batch's number and the row."""
    real = torch.randn(BATCH, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(number)).tanh()
    return real[rows], (torch.arange(BATCH) % CLASSES)[rows]


def build(accelerator: Accelerator, conditional: bool = True, **settings: Any) -> Game:
    """A game of two small networks, with augmentation, built as a run builds it.

    They are smooth: with ReLU a rounding may decide between two slopes, and a game in float32 goes another way then.
    """
    classes = CLASSES if conditional else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = FullyConnectedGenerator(LATENT, 1, (SIDE, SIDE), WIDTH, classes)
        discriminator = FullyConnectedDiscriminator(1, (SIDE, SIDE), WIDTH, classes)
    for network in (generator, discriminator):
        layers = [nn.Softplus() if isinstance(layer, nn.ReLU | nn.LeakyReLU) else layer for layer in network.layers]
        network.layers = nn.Sequential(*layers)
    discriminator.layers[-1].weight.data.mul_(10)  # logits on both sides of a hinge
    players: dict[str, Any] = {}
    for player, network in zip(PLAYERS, (generator, discriminator), strict=True):
        optimizer = distributed.adam(network, 1e-3, (0.5, 0.99))
        wrapped, prepared = distributed.prepare(accelerator, network, optimizer)
        players |= {f"wrapped_{player}": wrapped, f"{player}_optimizer": prepared}
    return Game(
        accelerator=accelerator,
        generator=generator,
        discriminator=discriminator,
        **players,
        config=StepConfig(**{"objective": OBJECTIVES["non_saturating"], **settings}),
        random=BatchRandom(7, BATCH, accelerator.device),
        latent_dim=LATENT,
        batches=batches if conditional else lambda number, rows: (batches(number, rows)[0], None),
        augment=lambda samples, numbers: affine(samples, numbers, rotation=20, scaling=0.1, shift=0.1),
        augment_numbers=4,
        batch_slice=distributed.share(BATCH, settings.get("micro_batches", 1), accelerator),
    )


def small_run(name: str, output: Path, precision: str = "no", **settings: Any) -> Run:
    """A run of `SMALL_RUNS`, ready to start."""
    modality, rules, model = SMALL_RUNS[name]
    start(precision)
    settings = {**rules, "batch_size": SMALL_BATCH, "tracker": "none", **settings}
    return Run(configure(modality, output=str(output), model=model, **settings))


def steps_of(name: str) -> int:
    """Steps after which a recipe, or a game of `SMALL_RUNS`, is compared."""
    few = name.startswith("sounds: ") or name.removeprefix("pictures: ") in SENSITIVE
    return FEW_STEPS if few else STEPS


def state(game: Game) -> Vectors:
    """All weights, and all of each kind of Adam's state, of each player, each as one vector."""
    vectors = {}
    for player in PLAYERS:
        network, optimizer = getattr(game, player), getattr(game, f"{player}_optimizer")
        vectors[f"{player} weights"] = torch.cat([weight.detach().flatten() for weight in network.parameters()])
        tensors = checkpoint.optimizer_tensors(optimizer)
        for kind in ("exp_avg", "exp_avg_sq", "step"):
            found = [value.flatten() for name, value in tensors.items() if name.endswith(f".{kind}")]
            vectors[f"{player} {kind}"] = torch.cat(found) if found else torch.zeros(0)
    return vectors


def play(game: Game, steps: int = STEPS, step: Callable[[int], object] | None = None) -> Vectors:
    """The state after the first step and after the last; the processes must then have the same."""
    vectors = {}
    for number in range(steps):
        (step or game.step)(number)
        if number in (0, steps - 1):
            vectors |= {f"{name} after {number + 1}": value for name, value in state(game).items()}
    distributed.check_weights(game.accelerator, {player: getattr(game, player) for player in PLAYERS})
    return vectors


def difference(one: Vectors, other: Vectors) -> float:
    """The largest of the relative differences; infinite where the two have not the same tensors."""
    if one.keys() != other.keys():
        return math.inf
    gaps = {name: (other[name].double() - value.double()).norm() for name, value in one.items()}
    return worst([(gap / one[name].double().norm()).item() if gap else 0.0 for name, gap in gaps.items()])


def worst(figures: list[float]) -> float:
    """The largest; one that is not a number is not lost, as it may be to max()."""
    return torch.tensor(figures, dtype=torch.float64).max().item()


# --- two processes are one ---


def games(folder: Path, quick: bool) -> Iterator[tuple[str, str, Vectors]]:
    """Each game: the name of its row, its number type, and what came of it. The same for one process and for two.

    Of some networks, two steps: see `SENSITIVE`.

    Of the recipes, in float32, the first step of those for images alone: a rounding turns one ReLU in a million every
    few steps. In ten steps of a DCGAN as it ships that makes 3e-3, in one process as well, when its first weights are
    rounded otherwise; in the five of WaveGAN's critic before its generator's first, 2e-3.
    """
    for setting in settings(quick):
        torch.set_default_dtype(getattr(torch, setting.dtype))
        options = {name: getattr(setting, name) for name in ("conditional", "micro_batches", "discriminator_steps")}
        options |= {"objective": OBJECTIVES[setting.objective], **PENALTIES[setting.penalty]}
        yield f"{setting.objective}, {setting.penalty}", setting.dtype, play(build(start(), **options))
    recipes = sorted(path.stem for path in (ROOT / "recipes").glob("*.py") if path.stem not in TOO_SENSITIVE)
    for recipe, dtype in itertools.product(recipes, LIMITS):
        torch.set_default_dtype(getattr(torch, dtype))
        start()
        training = runpy.run_path(str(ROOT / "recipes" / f"{recipe}.py"))["CONFIG"]
        if quick:
            size = {"generator_width": 8, "discriminator_width": 8, **SMALLEST[training.modality]}
            size = of_task(size, getattr(training.model, "task", ""))
            small = dataclasses.replace(training.model, **size)
            training = dataclasses.replace(training, batch_size=32, model=small)
        if dtype == "float32" and training.modality != "image":
            continue
        steps = 1 if dtype == "float32" else FEW_STEPS if quick else steps_of(recipe)
        run = Run(dataclasses.replace(training, tracker="none", output=str(folder / f"{recipe}-{dtype}")))
        # One that only pretrains, or one that trains against a discriminator: from there on.
        step = None if training.steps else run.play
        yield f"recipe {recipe}, {steps} steps", dtype, play(run.game, steps, step)
    torch.set_default_dtype(torch.float64)
    for name in SMALL_RUNS:
        yield name, "float64", play(small_run(name, folder / name).game, steps_of(name))


def rows_of_games(one: list[tuple[str, str, Vectors]], two: Vectors) -> Iterator[Row]:
    """A row for each name and number type, with the worst of its games."""
    gaps: dict[tuple[str, str], list[float]] = {}
    for number, (name, dtype, vectors) in enumerate(one):
        other = {key.partition("/")[2]: value for key, value in two.items() if key.startswith(f"{number}/")}
        gaps.setdefault((name, dtype), []).append(difference(vectors, other))
    for (name, dtype), found in gaps.items():
        number = f", {len(found)} games" if len(found) > 1 else ""
        of_recipe = name.startswith("recipe") and dtype == "float32"
        limit = FIRST_STEP_IN_FLOAT32 if of_recipe else LIMITS[dtype]
        yield Row("two processes are one", f"{name}, {dtype}{number}", worst(found), limit)


# --- micro-batches and precision, in one process ---


def parts_against_whole(make: Callable[[int], Game], dtype: str, steps: int = STEPS) -> list[float]:
    """The differences of games with 2 and with 4 micro-batches from the one without; in float32, of the weights."""
    one, *many = (play(make(count), steps) for count in (1, 2, 4))
    if dtype == "float32":
        one, *many = ({k: v for k, v in vectors.items() if "weights" in k} for vectors in (one, *many))
    return [difference(one, parts) for parts in many]


def accumulation(folder: Path, quick: bool) -> Iterator[Row]:
    """All in float64, and the weights in float32, where gradients are small differences of large numbers."""
    for (number, objective), dtype in itertools.product(enumerate(OBJECTIVES), LIMITS):
        torch.set_default_dtype(getattr(torch, dtype))
        names = list(PENALTIES)[number % 4 : number % 4 + 1] if quick else list(PENALTIES)
        gaps = []
        for name in names:
            settings = {"objective": OBJECTIVES[objective], **PENALTIES[name]}
            gaps += parts_against_whole(lambda count, s=settings: build(start(), micro_batches=count, **s), dtype)
        setting = f"{objective}, {names[0] if quick else 'all penalties'}, 2 and 4, {dtype}"
        yield Row("micro-batches are one batch", setting, worst(gaps), 1e-6 if dtype == "float32" else LIMITS[dtype])
    for name, dtype in itertools.product(SMALL_RUNS, ("float32",) if quick else LIMITS):
        torch.set_default_dtype(getattr(torch, dtype))
        place = folder / f"parts-{name}-{dtype}"
        gaps = parts_against_whole(
            lambda n, p=place, name=name: small_run(name, p / f"{n}", micro_batches=n).game, dtype, steps_of(name)
        )
        yield Row("micro-batches are one batch", f"{name}, 2 and 4, {dtype}", worst(gaps), LIMITS[dtype])
    torch.set_default_dtype(torch.float64)
    found = play(build(start(), micro_batches=4, discriminator_steps=3))
    for player, phases in (("generator", 1), ("discriminator", 3)):
        wrong = (found[f"{player} step after {STEPS}"] - STEPS * phases).abs().max().item()
        yield Row("each phase is one update, with 4 micro-batches", f"{player}'s, beyond {STEPS * phases}", wrong, 0)


def penalties(folder: Path) -> Iterator[Row]:
    """Value and gradient of each, computed where an autocast is on, with bf16 and without."""
    makers: dict[str, Callable[[str], Game]] = (
        {
            name: lambda precision, s=settings: build(start(precision), **s)  # type: ignore[misc]
            for name, settings in list(PENALTIES.items())[1:]
        }
        | {
            name: lambda precision, name=name: (
                small_run(  # type: ignore[misc]
                    name, folder / f"penalty-{name}-{precision}", precision
                ).game
            )
            for name in SMALL_RUNS
        }
    )
    for name, make in makers.items():
        found, losses = [], []
        for precision in ("no", "bf16"):
            game = make(precision)
            (batch,) = game.make_micro_batches(0, graph=False)
            batch.fake = game.batches(1, game.batch_slice)[0]  # the generator's own would be rounded
            seen = [game.discriminator_input(samples, batch) for samples in (batch.real, batch.fake)]
            with game.accelerator.autocast():
                value = game.penalty(*seen, batch)
            gradients = torch.autograd.grad(value, list(game.discriminator.parameters()), allow_unused=True)
            gradient = torch.cat([part.flatten() for part in gradients if part is not None])
            metrics = game.discriminator_phase([batch])
            losses.append(metrics["discriminator_loss"])
            found.append({"value": value.detach(), "gradient": gradient, "in the phase": metrics["penalty"]})
        assert losses[0] != losses[1], "bf16 is not on, and nothing is shown"
        yield Row("penalties are exact under bf16", name, difference(*found), 1e-6)


def with_loss_scale(scale: float) -> Game:
    """A game as under fp16, for which the CPU has no autocast: its loss scale alone."""
    accelerator = start()
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    game = build(accelerator)
    # Told only now, so that the networks are wrapped without half precision.
    accelerator.native_amp, accelerator.state._mixed_precision = True, "fp16"
    accelerator.autocast_handler = AutocastKwargs(enabled=False)
    return game


def loss_scale() -> Iterator[Row]:
    gap = difference(play(build(start())), play(with_loss_scale(2.0**10)))
    yield Row("a loss scale changes nothing", f"{STEPS} steps", gap, 1e-6)
    for player, other in (PLAYERS, PLAYERS[::-1]):
        game = with_loss_scale(2.0**10)
        game.step(0)
        average = copy.deepcopy(game.generator)
        before = state(game)
        metrics = dataclasses.replace(game, config=overflowing(player)).step(1)
        update_average(average, game.generator, 0.9)
        after = state(game)
        changed = [name for name in before if name.startswith(player) and not torch.equal(before[name], after[name])]
        still = torch.equal(before[f"{other} weights"], after[f"{other} weights"])
        infinite = sum(int((~weight.isfinite()).sum()) for weight in average.parameters())
        miscounted = abs(metrics[f"{player}_dropped"].item() - 1) + metrics[f"{other}_dropped"].item()
        claim = f"an overflow of the {player} drops its update alone"
        yield Row(claim, "its weights, moments and step count that changed", len(changed), 0)
        yield Row(claim, f"the {other} did not move", still, 0)
        yield Row(claim, "weights of the average that are not finite", infinite, 0)
        yield Row(claim, "updates counted wrongly", miscounted, 0)


def overflowing(player: str) -> StepConfig:
    """Rules by which the scaled gradients of one player are too large for float32; its loss is not."""
    plain = OBJECTIVES["non_saturating"]
    return StepConfig(plain._replace(**{player: lambda real, fake: 1e36 * getattr(plain, player)(real, fake)}))


# --- resuming ---


class Stopped(Run):
    """A run that is told to stop in the middle of an epoch, as by a cluster."""

    def play(self, number: int) -> Any:
        if number == min(STOP, self.training.steps // 2) and self.accelerator.is_main_process:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().play(number)


def training(kind: str, output: Path) -> config.TrainingConfig:
    """A run that goes on into a second epoch, and is stopped between two lines of metrics."""
    often = {"steps": 16, "log_every": 4, "sample_every": 100, "checkpoint_every": 100, "tracker": "none"}
    if kind == "ring":
        return configure(RING, output=str(output), batch_size=1024, model={"width": 16}, **often)
    if kind == "unpaired":  # stopped with a buffer that is full
        _, rules, model = SMALL_RUNS[f"pictures: {CYCLEGAN}"]
        often |= {"steps": 2 * FEW_STEPS + 1}  # two processes stop a step after they were told
        rules = {**rules, **often, "output": str(output), "batch_size": SMALL_BATCH}
        return configure("image-to-image", model=model, **rules)
    model = {"architecture": "dcgan", "resolution": 16, "generator_width": 4, "discriminator_width": 4}
    model |= {"conditional": True, "rotation": 20.0, "shift": 0.1}
    return configure("image", output=str(output), batch_size=64, discriminator_steps=2, model=model, **often)


def stop(kind: str, folder: Path) -> None:
    start()
    try:
        Stopped(training(kind, folder)).train()
    except SystemExit:
        return
    raise RuntimeError(f"the run in {folder} did not stop")


def resume(folder: Path) -> None:
    start()
    Run(dataclasses.replace(config.read(folder, RING), resume=str(folder))).train()


def runs(folder: Path, kinds: list[str], processes: int) -> None:
    """Of each kind a run in one piece, and one in two."""
    torch.set_default_dtype(torch.float32)
    for kind in kinds:
        start()
        Run(training(kind, folder / f"{kind}-whole-{processes}")).train()
        stop(kind, folder / f"{kind}-parts-{processes}")
        resume(folder / f"{kind}-parts-{processes}")


def last(run: Path) -> tuple[Vectors, list[Any]]:
    """The tensors of a run's last checkpoint; and its metrics and all its other state, without what the clock says."""
    files, values = checkpoint.load(checkpoint.complete(run / "checkpoints")[-1])
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = [{k: v for k, v in line.items() if "second" not in k} for line in [*lines, values] if "note" not in line]
    return {f"{file}.{name}": value for file, tensors in files.items() for name, value in tensors.items()}, told


def together(tensors: Vectors) -> Vectors:
    """The weights of each network as one vector, and each kind of Adam's state."""
    parts: dict[str, list[Tensor]] = {}
    for name, value in tensors.items():
        file = name.partition(".")[0]
        kind = name.rpartition(".")[2] if file.endswith("optimizer") else "weights"
        parts.setdefault(f"{file} {kind}", []).append(value.flatten())
    return {name: torch.cat(values) for name, values in parts.items()}


def rows_of_runs(folder: Path, kinds: list[str]) -> Iterator[Row]:
    for kind, processes in itertools.product(kinds, (1, 2)):
        (one, lines), (other, others) = (last(folder / f"{kind}-{way}-{processes}") for way in ("whole", "parts"))
        claim = f"{kind}: stopped and resumed is uninterrupted, processes: {processes}"
        tensors = sum(name not in other or not torch.equal(value, other[name]) for name, value in one.items())
        yield Row(claim, f"tensors that differ, of {len(one)}", tensors, 0)
        wrong = sum(line != another for line, another in itertools.zip_longest(lines, others))
        yield Row(claim, f"lines of metrics and state that differ, of {len(lines)}", wrong, 0)
    for kind, (before, after) in itertools.product(kinds, ((1, 2), (2, 1))):
        whole, parts = (together(last(folder / f"{kind}-{way}")[0]) for way in ("float64", f"begun-{before}"))
        claim = f"{kind}: resumed on other processes is uninterrupted"
        yield Row(claim, f"{before} to {after}, float64", difference(whole, parts), LIMITS["float64"])


# --- one process, and two ---


def work_of_two(folder: Path, quick: bool, kinds: list[str]) -> None:
    """What each of two processes does."""
    Accelerator.end_training = lambda self: None  # the processes stay together from run to run
    runs(folder, kinds, 2)
    torch.set_default_dtype(torch.float64)
    for kind in kinds:
        resume(folder / f"{kind}-begun-1")
        stop(kind, folder / f"{kind}-begun-2")
    found = [vectors for _, _, vectors in games(folder / "two", quick)]
    if os.environ["RANK"] == "0":
        named = {f"{number}/{name}": value for number, game in enumerate(found) for name, value in game.items()}
        save_file(named, folder / "two.safetensors")


@contextlib.contextmanager
def two_processes(folder: Path, quick: bool) -> Iterator[None]:
    """Start two processes, and wait for them at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}", __file__, f"--worker={folder}"]
    log = folder / "two.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", *command, *(["--quick"] if quick else [])]
        running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield
        if running.wait():
            raise SystemExit(f"the two processes failed:\n{log.read_text()[-5000:]}")
    finally:
        running.terminate()


def measure(folder: Path, quick: bool, kinds: list[str]) -> Iterator[Row]:
    """All rows."""
    torch.set_default_dtype(torch.float64)
    for kind in kinds:
        start()
        Run(training(kind, folder / f"{kind}-float64")).train()
        stop(kind, folder / f"{kind}-begun-1")
    with two_processes(folder, quick):
        runs(folder, kinds, 1)
        one = list(games(folder / "one", quick))
        rest = [*accumulation(folder, quick)]
        torch.set_default_dtype(torch.float32)
        rest += [*penalties(folder), *loss_scale()]
    torch.set_default_dtype(torch.float64)
    for kind in kinds:
        resume(folder / f"{kind}-begun-2")
    yield from rows_of_games(one, load_file(folder / "two.safetensors"))
    yield from rest
    yield from rows_of_runs(folder, kinds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a part of the settings, in some minutes")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["ACCELERATE_USE_CPU"] = "true"
    kinds = ["ring", "unpaired"] if options.quick else ["ring", "unpaired", "image"]
    sys.path.insert(0, str(ROOT / "examples" / "ring"))
    if options.worker:
        work_of_two(options.worker, options.quick, kinds)
        return 0
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        os.environ["MULTIGAN_CACHE"] = f"{name}/cache"
        rows = list(measure(Path(name), options.quick, kinds))
    print("| claim | setting | measured | limit | |\n|---|---|---|---|---|")
    for row in rows:
        verdict = "" if row.measured <= row.limit else "OVER"  # one that is not a number is over
        print(f"| {row.claim} | {row.setting} | {row.measured:.1e} | {row.limit:g} | {verdict} |")
    return int(not all(row.measured <= row.limit for row in rows))


if __name__ == "__main__":
    sys.exit(main())
