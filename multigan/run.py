"""A run: the one file that wires configuration, data, modality and engine together, and keeps the run's folder."""

from __future__ import annotations

import copy
import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from multigan import __version__, config, registry, run_folder
from multigan.config import TrainingConfig
from multigan.data import batches, load
from multigan.data.cache import cached
from multigan.engine import checkpoint, distributed, loop
from multigan.engine.draws import Draws, derive_seed
from multigan.engine.ema import calibrate, update_average
from multigan.engine.objectives import OBJECTIVES
from multigan.engine.step import Game, Metrics, Rules
from multigan.errors import UserError
from multigan.files import network_tensors
from multigan.modality import Modality
from multigan.pretrained import TrainedGenerator, channels_last
from multigan.run_folder import METRICS

CALIBRATION = 16, 64  # batches, and samples in each, for the statistics of the averaged generator
PREVIEWED = 64  # samples in a preview, or as near as makes whole columns of classes


def train(training: TrainingConfig) -> Path:
    """Train as configured and return the run folder.

    Under `accelerate launch` every process calls this. The folder then holds ``config.yaml``, ``metrics.jsonl``,
    ``samples/``, ``checkpoints/`` and ``model/``.

    Raises:
        UserError: Something in the configuration, the data or the machine cannot be used.
    """
    return Run(training).train()


class Run:
    """A training run, wired and ready to start or to go on."""

    def __init__(self, training: TrainingConfig) -> None:
        distributed.check_launch()
        self.folder = run_folder.choose(training)
        self.accelerator = distributed.start(training.tracker, self.folder)
        self.modality = registry.load(training.modality)(training.model)
        self.trained_on: dict[str, Any] = {}
        self.start = 0
        batch_source = self.open_data(training)
        self.training = training
        self.game = self.build_game(batch_source)
        self.try_networks()
        self.average = copy.deepcopy(self.game.generator).eval().requires_grad_(False)
        self.meter = loop.Meter()
        self.seconds_before = 0.0
        self.calibrated = -1
        if training.resume is not None:
            self.resume()
        self.accelerator.wait_for_everyone()  # another process may still be reading what is written now
        if self.accelerator.is_main_process:
            run_folder.open_folder(self.folder, self.training, self.start)
        if training.tracker == "tensorboard":  # it would make a folder more of each configuration
            self.accelerator.init_trackers("tensorboard")
        elif training.tracker != "none":
            settings = config.flatten(config.plain(self.training))
            # Trackers take plain numbers and words; a null or a list is written as it reads.
            self.accelerator.init_trackers("multigan", {key: str(value) for key, value in settings.items()})

    # --- wiring ---

    def open_data(self, training: TrainingConfig) -> batches.Batches:
        """Load, decode and batch the dataset, and fit the modality to it."""
        device, modality = self.accelerator.device, self.modality
        if training.dataset is None:
            raise UserError(f"modality {training.modality!r} has no built-in dataset: give a --dataset")
        dataset = load.load(modality, training.dataset, training.subset, training.split, training.streaming)
        conditional = getattr(modality.config, "conditional", False)
        self.trained_on = {"dataset": training.dataset, "split": training.split}
        if isinstance(dataset, datasets.IterableDataset):
            modality.fit(dataset)
            seed = derive_seed(training.seed, "stream") % 2**32
            return batches.from_stream(
                dataset, modality, training.batch_size, seed, conditional, device, training.skip_corrupt
            )
        data = cached(dataset, modality, training.skip_corrupt)
        if training.batch_size > len(data.real):
            raise UserError(
                f"batch_size {training.batch_size} is more than the {len(data.real)} rows of {training.dataset!r}"
            )
        if conditional and data.label is None:
            raise UserError(f"conditional needs labels, and {training.dataset!r} has none")
        self.trained_on |= {"rows": len(data.real), "rows_left_out": data.skipped}
        return batches.from_cache(data, modality, training.batch_size, training.seed, conditional, device)

    def build_game(self, batch_source: batches.Batches) -> Game:
        """The networks, their optimizers and the rules."""
        training, accelerator, modality = self.training, self.accelerator, self.modality
        generator = self.build_network(modality.generator, "generator")
        discriminator = self.build_network(modality.discriminator, "discriminator")
        optimizers = [
            distributed.adam(generator, training.generator_learning_rate, training.betas),
            distributed.adam(discriminator, training.discriminator_learning_rate, training.betas),
        ]
        wrapped_generator, generator_optimizer = distributed.prepare(accelerator, generator, optimizers[0])
        wrapped_discriminator, discriminator_optimizer = distributed.prepare(accelerator, discriminator, optimizers[1])
        return Game(
            accelerator=accelerator,
            generator=generator,
            discriminator=discriminator,
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            wrapped_generator=wrapped_generator,
            wrapped_discriminator=wrapped_discriminator,
            rules=Rules(
                objective=OBJECTIVES[training.objective],
                r1=training.r1,
                r2=training.r2,
                wgan_gp=training.wgan_gp,
                discriminator_steps=training.discriminator_steps,
                micro_batches=training.micro_batches,
                max_gradient_norm=training.max_gradient_norm,
            ),
            draws=Draws(training.seed, training.batch_size, accelerator.device),
            latent_dim=modality.config.latent_dim,
            batches=batch_source,
            augment=modality.augment,
            augment_numbers=modality.augment_numbers,
            rows=distributed.share(training.batch_size, training.micro_batches, accelerator),
        )

    def build_network(self, build: Any, purpose: str) -> nn.Module:
        """A network on the device, its initial weights decided by the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(self.training.seed, purpose))
            network: nn.Module = build()
        channels_last(network)
        return network.to(self.accelerator.device)

    def try_networks(self) -> None:
        """One batch through both networks, before anything is written.

        Raises:
            UserError: A network cannot take batches of this size, or there is no warm-up phase to do.
        """
        if self.training.warmup_steps and type(self.modality).warmup_loss is Modality.warmup_loss:
            raise UserError(f"modality {self.training.modality!r} has no warm-up phase: leave warmup_steps at 0")
        try:
            batch = self.game.make_micro_batches(0, graph=False)[0]
            with torch.no_grad():
                self.game.judge(batch.real, batch)
        except ValueError as error:
            raise UserError(str(error)) from error

    # --- playing ---

    def train(self) -> Path:
        """Play all steps and return the folder."""
        training, main = self.training, self.accelerator.is_main_process
        total = training.warmup_steps + training.steps
        self.started = self.logged_at = time.perf_counter()
        self.logged_step = self.start
        self.accelerator.print(f"training in {self.folder} on {self.accelerator.device}")
        # A bar belongs on a terminal; a log file gets lines.
        quiet = None if self.accelerator.is_local_main_process else True
        bar = tqdm(total=total, initial=self.start, desc="training", unit=" steps", disable=quiet)
        hooks = [
            loop.Every(training.log_every, lambda step: self.log(step, bar)),
            loop.Every(training.sample_every, self.preview),
            loop.Every(training.checkpoint_every, self.checkpoint),
        ]
        try:
            for _ in loop.run(self.play, self.start, total, self.meter, hooks):
                bar.update()
        except loop.DivergedError as problem:
            raise UserError(
                f"{problem}, after step {self.logged_step}: try lower learning rates, or more r1; the model and the "
                f"checkpoints in {self.folder} are from before"
            ) from problem
        except OSError as error:
            raise UserError(f"cannot go on with {self.folder}: {error}") from error
        finally:
            bar.close()
            self.accelerator.end_training()
        if main:
            # A modality that is not installed by name must be given: a file does not choose what is imported.
            modality = f"--modality {training.modality} " if ":" in training.modality else ""
            command = f"multigan generate {modality}--model {shlex.quote(str(self.folder))}"
            print(f"run folder: {self.folder}\ngenerate:   {command}")
        return self.folder

    def play(self, number: int) -> Metrics:
        """Step ``number`` of the run, counted from 0: of the warm-up, or of the game."""
        training, game = self.training, self.game
        for generator in (game.generator, self.average):
            self.modality.on_step(generator, number, training.warmup_steps + training.steps)
        if number < training.warmup_steps:
            metrics = game.warmup(number, self.modality.warmup_loss)
        else:
            metrics = game.step(number)
        update_average(self.average, game.generator, training.ema_decay, number)
        return metrics

    # --- what a run leaves ---

    def log(self, step: int, bar: Any) -> None:
        """A line of metrics: means over the steps since the last line."""
        values = self.meter.read(self.accelerator)
        now = time.perf_counter()
        rate = (step - self.logged_step) * self.training.batch_size / (now - self.logged_at)
        self.logged_at, self.logged_step = now, step
        line = {"step": step, **values, "samples_per_second": round(rate, 1), "seconds": round(self.seconds(), 1)}
        if self.accelerator.is_main_process:
            with (self.folder / METRICS).open("a") as file:
                file.write(json.dumps(line) + "\n")
            shown = {name: f"{values[name]:.3g}" for name in ("d_real", "d_fake", "warmup_loss") if name in values}
            bar.set_postfix(shown)
            if bar.disable:
                print(f"step {step}", *(f"{name} {value}" for name, value in shown.items()), flush=True)
        self.accelerator.log({key: value for key, value in line.items() if key != "step"}, step=step)

    def seconds(self) -> float:
        """Time spent, over all the parts of a run that was stopped and resumed."""
        return self.seconds_before + time.perf_counter() - self.started

    def preview(self, step: int) -> None:
        """The same latents as ever, as the averaged generator now makes them."""
        if self.accelerator.is_main_process:
            generator = self.trained_generator(step)
            classes = len(generator.classes)
            count = classes * max(1, round(PREVIEWED / classes)) if classes else PREVIEWED
            samples = torch.cat(list(generator.batches(count, self.training.seed)))
            files = self.modality.preview(samples, self.folder / "samples" / f"step-{step:06d}")
            pictures = [file for file in files if file.suffix == ".png"]
            for tracker in self.accelerator.trackers:
                if not hasattr(tracker, "log_images"):
                    continue
                options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                for number, file in enumerate(pictures):
                    name = "samples" if number == 0 else f"samples {number}"
                    tracker.log_images(
                        {name: numpy.asarray(Image.open(file).convert("RGB"))[None]}, step=step, **options
                    )

    def trained_generator(self, step: int) -> TrainedGenerator:
        """The averaged generator, its statistics set, with what is to be known of it."""
        training = self.training
        if self.calibrated != step:
            calibrate(self.average, self.calibration())
            self.calibrated = step
        penalties = [
            f"{name} {getattr(training, name):g}" for name in ("r1", "r2", "wgan_gp") if getattr(training, name)
        ]
        facts = {
            "name": self.folder.name,
            **self.trained_on,
            "steps": step,
            "batch_size": training.batch_size,
            "objective": ", ".join([training.objective, *penalties]),
            "seed": training.seed,
            "minutes": round(self.seconds() / 60, 1),
            "processes": self.accelerator.num_processes,
            "device": self.accelerator.device.type,
            # A path from the root says nothing to anybody else.
            "command": shlex.join(
                [Path(sys.argv[0]).name if Path(sys.argv[0]).is_absolute() else sys.argv[0], *sys.argv[1:]]
            ),
        }
        return TrainedGenerator(training.modality, self.modality, self.average, facts)

    def calibration(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Latents and conditions, the same at every step, for the statistics of the averaged generator."""
        device, count = self.accelerator.device, CALIBRATION[1]
        classes = len(self.modality.config.classes) if getattr(self.modality.config, "conditional", False) else 0
        condition = torch.arange(count, device=device) % classes if classes else None
        draws = Draws(self.training.seed, count, device)
        for number in range(CALIBRATION[0]):
            yield draws.normal("calibrate", number, slice(0, count), self.modality.config.latent_dim), condition

    def checkpoint(self, step: int) -> None:
        """Save all that is needed to go on, and the generator as a model; but never one that has diverged."""
        if not all(weight.isfinite().all() for network in self.networks().values() for weight in network.parameters()):
            raise loop.DivergedError("a weight is no longer a finite number")
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            generator, scaler = self.trained_generator(step), self.accelerator.scaler
            state = {
                "format": checkpoint.FORMAT,
                "multigan": __version__,
                "step": step,
                "meter": self.meter.state(),
                "seconds": self.seconds(),
                "scaler": scaler.state_dict() if scaler is not None else None,
            }
            tensors = {name: network_tensors(network) for name, network in self.networks().items()}
            tensors |= {name: checkpoint.optimizer_tensors(optimizer) for name, optimizer in self.optimizers().items()}
            checkpoint.save(self.folder / "checkpoints", step, tensors, state)
            generator.save(self.folder / "model")

    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.game.generator, "discriminator": self.game.discriminator, "average": self.average}

    def optimizers(self) -> dict[str, Any]:
        game = self.game
        return {
            "generator_optimizer": game.generator_optimizer,
            "discriminator_optimizer": game.discriminator_optimizer,
        }

    def resume(self) -> None:
        """Put back the newest checkpoint of the run."""
        found = checkpoint.complete(self.folder / "checkpoints")
        if not found:
            raise UserError(
                f"nothing to resume in {self.folder}: it has no complete checkpoint (--checkpoint_every says how often "
                "one is written); start anew in another folder"
            )
        run_folder.refuse_changes(config.read(self.folder), self.training)
        tensors, state = checkpoint.load(found[-1])
        try:
            for name, network in self.networks().items():
                network.load_state_dict(tensors[name])
        except RuntimeError as error:
            raise UserError(f"the networks are not those of {found[-1]}: has the dataset changed?") from error
        for name, optimizer in self.optimizers().items():
            checkpoint.restore_optimizer(optimizer, tensors[name])
        self.start = state["step"]
        self.meter.restore(state["meter"], self.accelerator.device)
        self.seconds_before = state["seconds"]
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.start >= self.training.warmup_steps + self.training.steps:
            raise UserError(f"{self.folder} is complete at step {self.start}: give more --steps to go on")
        self.accelerator.print(f"resuming {self.folder} after step {self.start}")
        if self.training.streaming:
            self.accelerator.print("note: a streamed dataset starts anew, so this resume is not exact")
