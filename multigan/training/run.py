"""A run: training from its first step to its last, and what it leaves in its folder."""

from __future__ import annotations

import copy
import dataclasses
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from multigan import config, registry
from multigan.config import TrainingConfig
from multigan.data.batches import Batches
from multigan.engine import distributed, health, launch, loop
from multigan.engine.burn_in import BurnIn, burn_in
from multigan.engine.ema import decay_at, update_average
from multigan.engine.stabilizers import noise_at, rate_at
from multigan.engine.state import State
from multigan.engine.step import Metrics
from multigan.engine.stop import Stop
from multigan.errors import LostProcessError, UserError
from multigan.files import lock
from multigan.training import build, run_folder
from multigan.training.checkpoints import Checkpoints
from multigan.training.progress import Progress, speed_advice
from multigan.training.results import Results

PROBE_SAMPLES = 64  # samples whose diversity is watched, at most
EARLY_PREVIEW = 100  # steps, after which even slow trainings show something within a minute or two
ROLLBACK_OFFSET = 2**40  # after a rollback, steps take the random numbers of steps this far on


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
            f"another process has gone, or has not answered for {training.timeout} s: --resume continues from the last "
            "checkpoint"
        ) from error


class Run:
    """A training run: built, ready to start or to continue."""

    def __init__(self, training: TrainingConfig) -> None:
        launch.check_launch(training.timeout)
        if training.learning_rate_schedule != "constant" and training.learning_rate_steps is None:
            # An extended run must not go back to high rates, so it keeps these.
            training = dataclasses.replace(training, learning_rate_steps=max(training.steps, 1))
        self.training = training
        self.folder, resume, self.restarted = run_folder.resolve(training)
        self.accelerator = launch.start(training.tracker, self.folder)
        distributed.check_same(config.flatten(config.plain(training)))
        self.stop_signal = distributed.StopSignal(self.accelerator, training.timeout)
        self.modality = registry.load(training.modality)(training.model)
        self.pretraining_loss = self.modality.pretraining_loss()
        batch_source, provenance = self.open_data(resume)
        self.game = build.build_game(training, self.modality, self.accelerator, batch_source)
        build.dry_run(self.game, batch_source)
        average = copy.deepcopy(self.game.generator).eval().requires_grad_(False)
        self.state = State(self.game, average, loop.Meter(), self.watch(), provenance.get("digest"))
        self.checkpoints = Checkpoints(self.folder, self.state, self.accelerator)
        self.results = Results(self.state, self.accelerator, training, self.modality, self.folder, provenance)
        self.results.open_evaluation()
        self.lock: int | None = None
        self.open_folder(self.resume() if resume else [])
        self.start_trackers()

    def open_data(self, resume: bool) -> tuple[Batches, dict[str, Any]]:
        """The batches and the facts of the dataset for the card, once every process has them."""
        problem = opened = None
        try:
            opened = build.open_data(self.training, self.modality, self.accelerator)
        except UserError as error:  # the disk of one host, perhaps
            problem = error
            if resume and not self.training.streaming:
                problem = UserError(f"{error}; --dataset NEW_PLACE resumes with the same data elsewhere")
        self.stop_signal.barrier()
        distributed.raise_on_all(problem)
        assert opened is not None
        return opened

    def resume(self) -> list[str]:
        """Restore the newest checkpoint; returns what is worth a note in the metrics."""
        try:
            if self.folder.is_dir():
                self.lock_folder()
            changed = self.checkpoints.resume(self.training, self.restarted)
        except UserError:
            self.release()
            raise
        self.accelerator.print(f"resuming {self.folder} after step {self.state.step}")
        training = self.training
        if training.learning_rate_steps is not None and training.steps > training.learning_rate_steps:
            self.accelerator.print(
                f"note: the learning rates have fallen by step {training.learning_rate_steps}, and stay so; "
                f"--learning_rate_steps {training.steps} lets them fall until step {training.steps}"
            )
        if training.streaming:
            self.accelerator.print("note: a streamed dataset starts over, so this resume is not exact")
        if not changed:
            return []
        self.accelerator.print(f"changed from here on: {'; '.join(changed)}")
        return [f"resumed after step {self.state.step} with {'; '.join(changed)}"]

    def open_folder(self, notes: list[str]) -> None:
        """Make the run folder ready, and lock it."""
        self.accelerator.wait_for_everyone()  # another process may still be reading what is written now
        if self.accelerator.is_main_process:
            self.lock_folder()
            run_folder.open_folder(self.folder, self.training, self.state.step)
            for note in notes:
                run_folder.add_note(self.folder, self.state.step, note)

    def start_trackers(self) -> None:
        if self.training.tracker == "tensorboard":  # with settings, it would make one more folder for each of them
            self.accelerator.init_trackers("tensorboard")
        elif self.training.tracker != "none":
            settings = config.flatten(config.plain(self.training))
            # Trackers take plain numbers and strings; anything else is converted to a string.
            self.accelerator.init_trackers("multigan", {key: str(value) for key, value in settings.items()})

    def lock_folder(self) -> None:
        """Lock the folder until this run ends: two runs would write over each other."""
        if self.accelerator.is_main_process and self.lock is None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self.lock = lock(self.folder)
            except OSError as error:
                raise UserError(f"cannot write the run folder {self.folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Unlock the folder."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def watch(self) -> health.Health:
        """What watches over the run; a few real samples, with latents and conditions to match, are its standard."""
        game, few = self.game, slice(0, min(PROBE_SAMPLES, self.training.batch_size))
        real, condition = game.batches(0, few)
        self.probe = game.random.normal("examine", 0, few, game.latent_dim), condition
        loss = game.config.objective.discriminator
        chance, least = loss(torch.zeros(1), torch.zeros(1)).item(), 0.0
        if self.training.label_smoothing or self.training.label_smoothing_fake:  # a winner's loss is not 0 then
            zero, logits = torch.zeros(1), torch.linspace(-20, 20, 4001)[:, None]
            sides = min(loss(x, zero) for x in logits) + min(loss(zero, x) for x in logits)
            least = sides.item() - chance
        scaled = self.accelerator.scaler is not None
        return health.Health(health.pairwise_distances(real), chance, least, drops_expected=scaled)

    # --- training ---

    def train(self) -> Path:
        """Train to the last step and return the folder."""
        training = self.training
        total = training.pretraining_steps + training.steps
        self.logged_at = time.perf_counter()
        self.logged_step = self.state.step
        self.started = self.logged_at - self.state.seconds
        self.accelerator.print(f"training in {self.folder} on {self.accelerator.device}")
        advice = speed_advice(self.modality.size_settings) if self.accelerator.device.type == "cpu" else ""
        phases = {"pretraining": training.pretraining_steps, "adversarial training": training.steps}
        progress = Progress(phases, self.state.step, advice, self.accelerator.is_local_main_process)
        hooks = [
            loop.Periodic(training.log_every, lambda step: self.log(step, progress)),
            loop.Periodic(training.sample_every, lambda step: self.results.preview(), EARLY_PREVIEW),
            loop.Periodic(training.checkpoint_every, lambda step: self.checkpoint()),
        ]
        if training.evaluate_every:  # before the checkpoint of the same step, which remembers the best
            hooks.insert(1, loop.Periodic(training.evaluate_every, lambda step: self.evaluate()))
        try:
            with Stop() as stop, self.checkpoints.writer:
                while self.state.step < total:
                    try:
                        self.train_until(total, hooks, progress, stop)
                    except health.DivergedError as problem:
                        self.roll_back(problem, progress)
                self.stop_signal.collect()
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(self.checkpoints.resume_hint()) from error
        except OSError as error:
            raise UserError(f"cannot write into {self.folder}: {error}") from error
        finally:
            progress.close()
            self.release()
            for tracker in self.accelerator.trackers:
                tracker.finish()  # not end_training(), after which the processes could not train again
        if self.accelerator.is_main_process:
            self.say_what_next()
        return self.folder

    def train_until(self, total: int, hooks: list[loop.Periodic], progress: Progress, stop: Stop) -> None:
        """Train to the last step, or until one of the processes is told to stop."""
        for step in loop.run(self.play, self.state.step, total, self.state.meter, hooks):
            progress.step(step)
            self.checkpoints.writer.check()
            signal = self.stop_signal.max_of_previous(stop.asked())
            if signal and step < total:
                if step % self.training.checkpoint_every:
                    self.checkpoint()
                self.checkpoints.writer.wait()
                if step % self.training.sample_every:
                    self.results.preview()
                self.stop_signal.barrier()  # a launcher gives the others little time once one has ended
                if self.accelerator.is_main_process:
                    tqdm.write(f"stopped and saved after step {step}: continue with --resume {self.folder}", sys.stderr)
                raise SystemExit(128 + signal)  # the exit code by which shells tell that a signal ended a process

    def play(self, number: int) -> Metrics:
        """Step ``number`` of the run, counted from 0: of pretraining, or of the game."""
        training, game, state = self.training, self.game, self.state
        played = max(number - training.pretraining_steps, 0)
        for generator in (game.generator, state.average):
            self.modality.on_step(generator, played)
        if number == training.pretraining_steps:  # averages over pretraining would pull the game back to it
            game.stabilizers.begin(game.networks())
        pretraining_loss = self.pretraining_loss if number < training.pretraining_steps else None
        share = rate_at(
            played,
            training.learning_rate_schedule,
            training.learning_rate_steps or 1,
            training.learning_rate_warmup,
        )
        if training.burn_in_steps and not pretraining_loss:
            burn = burn_in(played, training.burn_in_steps, training.betas[1], training.ema_decay)
        else:
            burn = BurnIn(1.0, 1.0, training.betas[1], decay_at(number, training.ema_decay))
        betas = training.betas[0], burn.second_beta
        rate = share * burn.rate * training.generator_learning_rate
        set_adam(game.generator_optimizer, training.pretraining_learning_rate if pretraining_loss else rate, betas)
        set_adam(game.discriminator_optimizer, share * burn.rate * training.discriminator_learning_rate, betas)
        game.stabilizers.penalty_scale = burn.penalty
        game.stabilizers.noise = noise_at(played, training.instance_noise, training.instance_noise_steps)
        draw = number + state.rollbacks * ROLLBACK_OFFSET
        metrics = game.pretrain(draw, pretraining_loss) if pretraining_loss else game.step(draw)
        update_average(state.average, game.generator, burn.ema_decay)
        state.step = number + 1
        return state.health.count(metrics)

    def roll_back(self, problem: health.DivergedError, progress: Progress) -> None:
        """Continue from a checkpoint from before a divergence."""
        note = self.checkpoints.roll_back(problem)
        self.accelerator.wait_for_everyone()  # all have read it
        if self.accelerator.is_main_process:
            tqdm.write(f"warning: {note}", sys.stderr)
            run_folder.truncate_metrics(self.folder, self.state.step)
            run_folder.add_note(self.folder, self.state.step, note)
        self.logged_step, self.logged_at = self.state.step, time.perf_counter()
        progress.restart(self.state.step)

    # --- what a run writes ---

    def evaluate(self) -> None:
        """Evaluate the averaged generator; the time it takes does not count as training."""
        began = time.perf_counter()
        self.results.evaluate()
        self.logged_at += time.perf_counter() - began

    def checkpoint(self) -> None:
        """Save a checkpoint, and the averaged generator as a model."""
        self.state.seconds = self.seconds()
        self.checkpoints.save(self.results.generator)

    def log(self, step: int, progress: Progress) -> None:
        """Write a line of metrics: means over the steps since the last line."""
        values: dict[str, Any] = dict(self.state.meter.read(self.accelerator))
        distributed.check_weights(self.accelerator, self.game.networks())
        probed, warnings = self.state.health.check_metrics(values, self.probe_samples())
        now = time.perf_counter()
        rate = (step - self.logged_step) * self.training.batch_size / (now - self.logged_at)
        self.logged_at, self.logged_step = now, step
        times = {"samples_per_second": round(rate, 1), "seconds": round(self.seconds(), 1)}
        line = {"step": step, **values, **probed, **times}
        if self.accelerator.is_main_process:
            run_folder.add_line(self.folder, line)
            names = [name for name in ("d_real", "d_fake", "pretraining_loss") if values.get(name) is not None]
            progress.metrics(step, {name: f"{values[name]:.3g}" for name in names})
        numbers = {key: value for key, value in line.items() if key != "step" and isinstance(value, int | float)}
        self.accelerator.log(numbers, step=step)
        self.state.health.check()
        if self.accelerator.is_main_process:
            for warning in warnings:
                tqdm.write(f"warning: step {step}: {warning}", sys.stderr)

    def probe_samples(self) -> torch.Tensor:
        """What the generator now makes of a few fixed latents."""
        with torch.no_grad():
            return self.game.generate(*self.probe)

    def seconds(self) -> float:
        """Time spent on training, over all parts of a run that was stopped and resumed."""
        return time.perf_counter() - self.started

    def say_what_next(self) -> None:
        """Print where the run is, and the commands that use it."""
        # A modality that is not installed by name must be given: a file must not choose what is imported.
        name = self.training.modality
        modality = f"--modality {name} " if ":" in name else ""
        command = f"multigan generate {modality}--model {shlex.quote(str(self.folder))}"
        print(f"run folder: {self.folder}\ngenerate:   {command}")
        if self.state.best:
            print(f"the best:   {command}/best (step {self.state.best[0]})")


def set_adam(optimizer: torch.optim.Optimizer, rate: float, betas: tuple[float, float]) -> None:
    for group in optimizer.param_groups:
        group["lr"], group["betas"] = rate, betas
