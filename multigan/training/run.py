"""A run: a game played from its first step to its last, and what it leaves in its folder."""

from __future__ import annotations

import copy
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from torch import nn
from tqdm import tqdm

from multigan import config, legacy, registry
from multigan.config import TrainingConfig
from multigan.engine import checkpoint, distributed, health, launch, loop
from multigan.engine.ema import update_average
from multigan.engine.stabilizers import noise_at, rate_at
from multigan.engine.state import State
from multigan.engine.step import Metrics
from multigan.engine.stop import Stop
from multigan.errors import LostProcessError, UserError
from multigan.files import lock
from multigan.training import build, run_folder
from multigan.training.results import Results

PROBE_SAMPLES = 64  # samples whose diversity is watched, at most
MAX_ROLLBACKS = 3  # times that a run goes back to a checkpoint before it gives up
ROLLBACK_OFFSET = 2**40  # after that, its steps take the random numbers of steps so far on


def train(training: TrainingConfig) -> Path:
    """Train as configured and return the run folder.

    Under `accelerate launch` every process calls this. The folder then holds ``config.yaml``, ``metrics.jsonl``,
    ``samples/``, ``checkpoints/`` and ``model/``.

    Raises:
        UserError: Something in the configuration, the data or the machine cannot be used.
        LostProcessError: Another process has gone.
        SystemExit: Ctrl-C or SIGTERM came, and the run was saved.
    """
    try:
        return Run(training).train()
    except RuntimeError as error:
        if not distributed.is_loss_of_a_process(error):
            raise
        raise LostProcessError(
            f"another process has gone, or has not answered for {training.timeout} s: a run goes on from its last "
            "checkpoint with --resume"
        ) from error


class Run:
    """A training run, wired and ready to start or to go on."""

    def __init__(self, training: TrainingConfig) -> None:
        launch.check_launch(training.timeout)
        self.folder, resume, self.restarted = run_folder.resolve(training)
        self.accelerator = launch.start(training.tracker, self.folder)
        distributed.check_same(config.flatten(config.plain(training)))
        self.stop_signal = distributed.StopSignal(self.accelerator, training.timeout)
        self.writer = checkpoint.Writer()
        self.training = training
        self.modality = registry.load(training.modality)(training.model)
        self.pretraining_loss = self.modality.pretraining_loss()
        if training.pretraining_steps and self.pretraining_loss is None:
            raise UserError(f"modality {training.modality!r} has no pretraining phase: leave pretraining_steps at 0")
        self.notes: list[str] = []
        problem = None
        try:
            batch_source, self.provenance = build.open_data(training, self.modality, self.accelerator)
        except UserError as error:  # the disk of one host, perhaps
            problem = error
            if resume and not training.streaming:
                problem = UserError(f"{error}; --dataset NEW_PLACE resumes with the same data elsewhere")
        self.stop_signal.barrier()
        distributed.raise_on_all(problem)
        self.game = build.build_game(training, self.modality, self.accelerator, batch_source)
        build.dry_run(self.game)
        average = copy.deepcopy(self.game.generator).eval().requires_grad_(False)
        self.state = State(self.game, average, loop.Meter(), self.watch(), self.provenance.get("digest"))
        self.results = Results(self.state, self.accelerator, training, self.modality, self.folder, self.provenance)
        self.results.open_evaluation()
        self.lock: int | None = None
        if resume:
            try:
                self.resume()
            except UserError:
                self.release()
                raise
        self.accelerator.wait_for_everyone()  # another process may still be reading what is written now
        if self.accelerator.is_main_process:
            self.lock_folder()
            run_folder.open_folder(self.folder, training, self.state.step)
            for note in self.notes:
                run_folder.add_note(self.folder, self.state.step, note)
        if training.tracker == "tensorboard":  # it would make a folder more of each configuration
            self.accelerator.init_trackers("tensorboard")
        elif training.tracker != "none":
            settings = config.flatten(config.plain(training))
            # Trackers take plain numbers and words; a null or a list is written as it reads.
            self.accelerator.init_trackers("multigan", {key: str(value) for key, value in settings.items()})

    def lock_folder(self) -> None:
        """Keep the folder from other runs until this one ends: two would write over each other."""
        if self.accelerator.is_main_process and self.lock is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.lock = lock(self.folder)
            except OSError as error:
                raise UserError(f"cannot write the run folder {self.folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let other runs into the folder."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def watch(self) -> health.Health:
        """What watches over the run, with a few real samples, and latents and conditions to match, as its standard."""
        game, few = self.game, slice(0, min(PROBE_SAMPLES, self.training.batch_size))
        real, condition = game.real(0, few)
        self.probe = game.random.normal("examine", 0, few, game.latent_dim), condition
        loss = game.config.objective.discriminator
        chance, least = loss(torch.zeros(1), torch.zeros(1)).item(), 0.0
        if self.training.label_smoothing or self.training.label_smoothing_fake:  # one that has won is not sure of it
            zero, logits = torch.zeros(1), torch.linspace(-20, 20, 4001)[:, None]
            sides = min(loss(x, zero) for x in logits) + min(loss(zero, x) for x in logits)
            least = sides.item() - chance
        scaled = self.accelerator.scaler is not None
        return health.Health(health.pairwise_distances(real), chance, least, drops_expected=scaled)

    # --- playing ---

    def train(self) -> Path:
        """Play all steps and return the folder."""
        training = self.training
        total = training.pretraining_steps + training.steps
        self.logged_at = time.perf_counter()
        self.logged_step = self.state.step
        self.started = self.logged_at - self.state.seconds
        self.accelerator.print(f"training in {self.folder} on {self.accelerator.device}")
        # A bar belongs on a terminal; a log file gets lines.
        quiet = None if self.accelerator.is_local_main_process else True
        bar = tqdm(total=total, initial=self.state.step, desc="training", unit=" steps", disable=quiet)
        hooks = [
            loop.Periodic(training.log_every, lambda step: self.log(step, bar)),
            loop.Periodic(training.sample_every, lambda step: self.results.preview()),
            loop.Periodic(training.checkpoint_every, self.checkpoint),
        ]
        if training.evaluate_every:  # before the checkpoint of the same step, which remembers the best
            hooks.insert(1, loop.Periodic(training.evaluate_every, self.evaluate))
        try:
            with Stop() as stop, self.writer:
                while self.state.step < total:
                    try:
                        self.play_until(total, hooks, bar, stop)
                    except health.DivergedError as problem:
                        self.roll_back(problem, bar)
                self.stop_signal.collect()
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(self.resume_hint()) from error
        except OSError as error:
            raise UserError(f"cannot go on with {self.folder}: {error}") from error
        finally:
            bar.close()
            self.release()
            for tracker in self.accelerator.trackers:
                tracker.finish()  # not end_training(), after which the processes could not train again
        if self.accelerator.is_main_process:
            # A modality that is not installed by name must be given: a file does not choose what is imported.
            modality = f"--modality {training.modality} " if ":" in training.modality else ""
            command = f"multigan generate {modality}--model {shlex.quote(str(self.folder))}"
            print(f"run folder: {self.folder}\ngenerate:   {command}")
            if self.state.best:
                print(f"the best:   {command}/best (step {self.state.best[0]})")
        return self.folder

    def play_until(self, total: int, hooks: list[loop.Periodic], bar: Any, stop: Stop) -> None:
        """Play on to the last step, or until one of the processes is told to stop."""
        for step in loop.run(self.play, self.state.step, total, self.state.meter, hooks):
            bar.update()
            self.writer.check()
            signal = self.stop_signal.max_of_previous(stop.asked())
            if signal and step < total:
                if step % self.training.checkpoint_every:
                    self.checkpoint(step)
                self.writer.wait()
                self.stop_signal.barrier()  # a launcher gives the others little time once one has ended
                if self.accelerator.is_main_process:
                    tqdm.write(f"stopped and saved after step {step}: --resume {self.folder} goes on", file=sys.stderr)
                raise SystemExit(128 + signal)  # as the shell says that a signal ended a process

    def play(self, number: int) -> Metrics:
        """Step ``number`` of the run, counted from 0: of the warm-up, or of the game."""
        training, game, state = self.training, self.game, self.state
        played = max(number - training.pretraining_steps, 0)
        for generator in (game.generator, state.average):
            self.modality.on_step(generator, played)
        if number == training.pretraining_steps:  # a warm-up is no orbit to be damped
            game.stabilizers.begin({"generator": game.generator, "discriminator": game.discriminator})
        draw = number + state.rollbacks * ROLLBACK_OFFSET
        warming_up = number < training.pretraining_steps
        share = rate_at(
            played,
            training.learning_rate_schedule,
            training.learning_rate_steps or 1,
            training.learning_rate_warmup,
        )
        rate = training.pretraining_learning_rate if warming_up else share * training.generator_learning_rate
        set_rate(game.generator_optimizer, rate)
        set_rate(game.discriminator_optimizer, share * training.discriminator_learning_rate)
        game.stabilizers.noise = noise_at(played, training.instance_noise, training.instance_noise_steps)
        pretrain = self.pretraining_loss if warming_up else None
        metrics = game.step(draw) if pretrain is None else game.pretrain(draw, pretrain)
        update_average(state.average, game.generator, training.ema_decay, number)
        state.step = number + 1
        return state.health.count(metrics)

    def roll_back(self, problem: health.DivergedError, bar: Any) -> None:
        """Put back the newest checkpoint from before the trouble, to play on from it with other random numbers.

        Raises:
            UserError: There is none, or this has been done often enough.
        """
        advice = "try lower learning rates, or more r1"
        self.writer.wait()
        rollbacks, step = self.state.rollbacks, self.state.step
        # Rather one from before the first dropped step; but a step that is dropped leaves the weights as they were.
        path = self.newest(lambda state: state["health"]["streak"] == 0) or self.newest()
        if path is None:
            raise UserError(f"{problem}, at step {step}, and there is no checkpoint from before: {advice}")
        if rollbacks == MAX_ROLLBACKS:
            raise UserError(
                f"{problem}, at step {step}, after {rollbacks} times back to a checkpoint: {advice}; the model and the "
                f"checkpoints in {self.folder} are from before"
            )
        best = self.state.best  # best/ stays as it is
        self.state.restore(*load_checkpoint(path))
        self.state.best = best
        self.state.rollbacks, self.state.health.streak = rollbacks + 1, 0
        note = f"{problem}: back from step {step} to {self.state.step}, and on with other random numbers"
        self.accelerator.wait_for_everyone()  # all have read it
        if self.accelerator.is_main_process:
            tqdm.write(f"warning: {note}", file=sys.stderr)
            run_folder.truncate_metrics(self.folder, self.state.step)
            run_folder.add_note(self.folder, self.state.step, note)
        self.logged_step, self.logged_at = self.state.step, time.perf_counter()
        bar.n = self.state.step

    # --- what a run writes down, and comes back to ---

    def evaluate(self, step: int) -> None:
        """Measure the averaged generator; the time that it takes is not of the game."""
        began = time.perf_counter()
        self.results.evaluate()
        self.logged_at += time.perf_counter() - began

    def log(self, step: int, bar: Any) -> None:
        """A line of metrics: means over the steps since the last line."""
        values: dict[str, Any] = dict(self.state.meter.read(self.accelerator))
        distributed.check_weights(self.accelerator, self.players())
        probed, warnings = self.state.health.check_metrics(values, self.probe_samples())
        now = time.perf_counter()
        rate = (step - self.logged_step) * self.training.batch_size / (now - self.logged_at)
        self.logged_at, self.logged_step = now, step
        times = {"samples_per_second": round(rate, 1), "seconds": round(self.seconds(), 1)}
        line = {"step": step, **values, **probed, **times}
        if self.accelerator.is_main_process:
            run_folder.add_line(self.folder, line)
            shown = {
                name: f"{values[name]:.3g}" for name in ("d_real", "d_fake", "pretraining_loss") if values.get(name)
            }
            bar.set_postfix(shown)
            if bar.disable:
                print(f"step {step}", *(f"{name} {value}" for name, value in shown.items()), flush=True)
        numbers = {key: value for key, value in line.items() if key != "step" and isinstance(value, int | float)}
        self.accelerator.log(numbers, step=step)
        self.state.health.check()
        if self.accelerator.is_main_process:
            for warning in warnings:
                tqdm.write(f"warning: step {step}: {warning}", file=sys.stderr)

    def players(self) -> dict[str, nn.Module]:
        return {"generator": self.game.generator, "discriminator": self.game.discriminator}

    def probe_samples(self) -> torch.Tensor:
        """What the generator now makes of a few fixed latents."""
        with torch.no_grad():
            return self.game.generate(*self.probe)

    def seconds(self) -> float:
        """Time spent, over all the parts of a run that was stopped and resumed."""
        return time.perf_counter() - self.started

    def checkpoint(self, step: int) -> None:
        """Save all that is needed to go on, and the generator as a model; but never one that has diverged.

        What is saved is copied here and written in the background, while training goes on.
        """
        self.state.health.check()
        if not self.state.is_finite():
            raise health.DivergedError("a weight is no longer a finite number")
        self.state.seconds = self.seconds()
        values = self.state.values()
        if self.accelerator.is_main_process:
            generator = copy.deepcopy(self.results.generator())
            tensors = self.state.tensors()

            def write() -> None:
                try:
                    checkpoint.save(self.folder / "checkpoints", step, tensors, values)
                    generator.save(self.folder / "model")
                except UserError as error:
                    raise UserError(f"{error}; free some space there, then {self.resume_hint()}") from error

            self.writer.submit(write)

    def resume_hint(self) -> str:
        """What a user does to go on with a run that has ended early."""
        kept = checkpoint.complete(self.folder / "checkpoints")
        if not kept:
            return f"begin again, with {self.folder} deleted or another --output: it has no checkpoint yet"
        return f"--resume {self.folder} goes on after {kept[-1].name.replace('-', ' ')}"

    def newest(self, good: Callable[[dict[str, Any]], bool] = lambda state: True) -> Path | None:
        """The checkpoint to go on from, as the first process finds it."""
        found: list[Path | None] = [None]
        if self.accelerator.is_main_process:
            found[0], warnings = checkpoint.newest(self.folder / "checkpoints", good)
            for warning in warnings:
                tqdm.write(f"warning: {warning}", file=sys.stderr)
        path: Path | None = broadcast_object_list(found)[0]
        return path

    def resume(self) -> None:
        """Put back the newest checkpoint of the run."""
        if self.folder.is_dir():
            self.lock_folder()
        path = self.newest()
        if path is None:
            damaged = any(self.folder.glob("checkpoints/damaged-*"))
            has = "all its checkpoints are damaged" if damaged else "it has no checkpoint yet"
            raise UserError(
                f"nothing to resume in {self.folder}: {has}; begin again, with it deleted or another --output"
            )
        changed = run_folder.diff_for_resume(config.read(self.folder, self.training.modality), self.training)
        try:
            tensors, values = load_checkpoint(path)
            if values["digest"] != self.state.digest:
                raise UserError(
                    f"the dataset {self.training.dataset} is no longer the one that {self.folder} began on: a run on "
                    "other data is a new run, and --output names its folder"
                )
            self.state.restore(tensors, values)
            before = values["launch"]
        except FileNotFoundError as error:
            raise UserError(f"no {path} here: all hosts must share the run folder to resume") from error
        except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"the networks are not those of {path}: has the dataset changed?") from error
        step = self.state.step
        if step >= self.training.pretraining_steps + self.training.steps and not self.restarted:
            more = step - self.training.pretraining_steps
            raise UserError(f"{self.folder} is complete at step {step}: --steps is a total, give more than {more}")
        changed += [f"{key} {before[key]} -> {now}" for key, now in self.state.launch().items() if before[key] != now]
        self.accelerator.print(f"resuming {self.folder} after step {step}")
        if changed:
            self.notes.append(f"resumed after step {step} with {'; '.join(changed)}")
            self.accelerator.print(f"from here on: {'; '.join(changed)}")
        if self.training.streaming:
            self.accelerator.print("note: a streamed dataset starts anew, so this resume is not exact")


def load_checkpoint(path: Path) -> tuple[dict[str, checkpoint.Tensors], dict[str, Any]]:
    """The tensors and the state of a checkpoint, those of multigan 0.1 under today's names."""
    tensors, values = checkpoint.load(path)
    return {name: legacy.weights(part) for name, part in tensors.items()}, legacy.state(values)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
