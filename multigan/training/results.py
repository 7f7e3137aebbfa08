"""What a run produces for people: previews, curves, evaluations and the trained generator."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from multigan.config import TrainingConfig
from multigan.engine.ema import calibrate
from multigan.engine.health import DivergedError
from multigan.engine.rng import BatchRandom
from multigan.engine.state import State
from multigan.errors import BrokenSamplesError, NoSplitError, UserError
from multigan.evaluation.held_out import has_truth, open_pair
from multigan.evaluation.report import LOWER_IS_BETTER, number, words
from multigan.generation.generator import TrainedGenerator
from multigan.interface import Condition, each_tensor
from multigan.modality import Modality, Preview
from multigan.training.run_folder import add_line, add_note, read_metrics

if TYPE_CHECKING:
    from multigan.evaluation.evaluator import Evaluator

CALIBRATION = 16, 64  # batches, and samples in each, for the statistics of the averaged generator
CURVES, FEWEST = "curves.png", 5  # lines of metrics from which on curves are drawn
PREVIEWED = 64  # samples in a preview, or as close as gives whole columns of classes
PAIRS = 16  # rows of inputs, outputs and truths in a preview


class Pairs(NamedTuple):
    """The rows that previews of a model with inputs show, on the CPU.

    Attributes:
        condition: What the generator is told.
        real: The truth, ``(N, *S)``, if it is known.
        rows: How many there are.
    """

    condition: Condition
    real: Tensor | None
    rows: int


class Results:
    """Previews, evaluates and exports the averaged generator of a run."""

    def __init__(
        self,
        state: State,
        accelerator: Accelerator,
        training: TrainingConfig,
        modality: Modality,
        folder: Path,
        provenance: dict[str, Any],
    ) -> None:
        self.state = state
        self.accelerator = accelerator
        self.training = training
        self.modality = modality
        self.folder = folder
        self.provenance = provenance
        self.calibrated: tuple[int, int] | None = None
        self.evaluator: Evaluator | None = None
        self.pairs: Pairs | None = None
        self.first: tuple[Tensor, Condition] | None = None
        if training.streaming and modality.takes_inputs:  # a stream is not read again
            self.first = self.training_pair(0)

    def preview(self) -> None:
        """Write a preview: the same latents at every step, and the same inputs."""
        if not self.accelerator.is_main_process:
            return
        generator, step = self.generator(), self.state.step
        path = self.folder / "samples" / f"step-{step:06d}"
        files, artifacts = (self.preview_pairs if self.modality.takes_inputs else self.preview_samples)(generator, path)
        for artifact in artifacts:
            tqdm.write(f"warning: step {step}: {artifact}", file=sys.stderr)
            add_note(self.folder, step, artifact)
        pictures = [file for file in files if file.suffix == ".png"]
        for place, file in enumerate(pictures):
            self.show(file, f"samples {place}" if place else "samples")
        self.curves()

    def preview_samples(self, generator: TrainedGenerator, path: Path) -> Preview:
        """Samples of a model that takes no inputs, all classes in turn."""
        classes = len(generator.combinations or generator.classes)
        count = classes * max(1, round(PREVIEWED / classes)) if classes else PREVIEWED
        samples = torch.cat(list(generator.batches(count, self.training.seed)))
        return self.modality.preview(samples, path, generator.class_names(count))

    def preview_pairs(self, generator: TrainedGenerator, path: Path) -> Preview:
        """Inputs, outputs and truths of a few held-out rows."""
        self.pairs = self.pairs or self.open_pairs()
        condition, real, count = self.pairs

        def conditions_of(numbers: range) -> Condition:
            return each_tensor(condition, lambda values: values[numbers.start : numbers.stop])

        samples = torch.cat(list(generator.batches(count, self.training.seed, conditions_of=conditions_of)))
        return self.modality.preview_pairs(condition, samples, real, path)

    def open_pairs(self) -> Pairs:
        """The rows of the previews: of a split that is not trained on if there is one, otherwise of the first batch."""
        training, modality = self.training, self.modality
        known = not modality.unpaired
        try:
            if training.streaming or training.dataset is None:
                raise NoSplitError("another split of a stream is not read to its end for this")
            rows = open_pair(
                modality,
                training.dataset,
                training.subset,
                training.split,
                training.skip_corrupt,
                training.evaluate_held_out,
                PAIRS,
                training.seed,
            ).held_out
            if not len(rows):
                raise NoSplitError("half of a single example is none")
            real, condition = rows.pair(modality, 0, len(rows), self.accelerator.device)
            known = known or has_truth(rows)
        except UserError:  # a test split of another kind is no reason not to train
            real, condition = self.training_pair(0)
        count = min(len(real), PAIRS)
        condition = each_tensor(condition, lambda values: values[:count].cpu())
        return Pairs(condition, real[:count].cpu() if known else None, count)

    def training_pair(self, number: int) -> tuple[Tensor, Condition]:
        """Samples of a batch that is trained on, and what the networks are told of them: not more than calibrate."""
        return self.first or self.state.game.batches(number, slice(0, min(CALIBRATION[1], self.training.batch_size)))

    def show(self, file: Path, name: str) -> None:
        """Send a picture to the trackers that support pictures."""
        for tracker in self.accelerator.trackers:
            if hasattr(tracker, "log_images"):
                options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                picture = numpy.asarray(Image.open(file).convert("RGB"))[None]
                tracker.log_images({name: picture}, step=self.state.step, **options)

    def curves(self) -> None:
        """Plot the metrics so far into the run folder and the tracker."""
        lines = read_metrics(self.folder)
        if len(lines) >= FEWEST:
            from multigan.training.curves import curves  # here, because it imports matplotlib

            curves(lines, self.folder / CURVES)
            if (self.folder / CURVES).is_file():
                self.show(self.folder / CURVES, "curves")

    def open_evaluation(self) -> None:
        """Prepare evaluations, if any, so that errors come before the first step.

        Raises:
            UserError: The features cannot be had, or there is no such metric.
        """
        from multigan.evaluation.evaluator import Evaluator

        training = self.training
        if not training.evaluate_every:
            return
        assert training.dataset is not None
        self.evaluator = Evaluator.open(
            self.modality,
            training.dataset,
            training.subset,
            training.split,
            training.skip_corrupt,
            training.evaluate_held_out,
            count=training.evaluate_samples,
            features=training.evaluate_features,
            seed=training.seed,
            search_all=False,
            quiet=True,
        )
        untold = () if self.modality.conditional else ("class_accuracy",)
        metrics = [name for name in self.evaluator.baseline if not name.endswith("_std") and name not in untold]
        if training.best_metric not in metrics:
            raise UserError(f"best_metric is {training.best_metric!r}: expected one of {', '.join(metrics)}")

    def evaluate(self) -> None:
        """Evaluate the averaged generator, and save it if it is the best so far. Every process must call this.

        Raises:
            DivergedError: It makes no finite numbers.
        """
        training, step, began = self.training, self.state.step, time.perf_counter()
        assert self.evaluator is not None
        generator = self.generator()
        try:
            found = self.evaluator.generated(generator)
        except BrokenSamplesError as error:
            raise DivergedError(str(error)) from error
        evaluation = self.evaluator.evaluate(generator, found, quick=True)
        value = evaluation.generated[training.best_metric]
        sign = -1 if training.best_metric in LOWER_IS_BETTER else 1
        better = math.isfinite(value) and (self.state.best is None or sign * value > sign * self.state.best[1])
        if better:
            self.state.best = step, value
        if not self.accelerator.is_main_process:
            return
        seconds = round(time.perf_counter() - began, 1)
        add_line(self.folder, {"step": step, "evaluation": evaluation.generated, "evaluation_seconds": seconds})
        evaluation.write(self.folder)
        self.accelerator.log({f"evaluation/{name}": value for name, value in evaluation.generated.items()}, step=step)
        baseline = evaluation.baseline[training.best_metric]
        best = ", the best so far" if better else ""
        tqdm.write(
            f"step {step}: {words(training.best_metric)} {number(value)}, real {number(baseline)}{best} ({seconds} s)"
        )
        if better:
            generator.save(self.folder / "best")
            evaluation.write(self.folder / "best")

    def generator(self) -> TrainedGenerator:
        """The averaged generator with its batch-norm statistics, and the facts for its card."""
        training, state = self.training, self.state
        now = state.step, state.rollbacks  # a step is repeated after a rollback
        if self.calibrated != now:
            calibrate(state.average, self.calibration())
            self.calibrated = now
        names = "r1", "r2", "wgan_gp", "path_length"
        penalties = [f"{name} {getattr(training, name):g}" for name in names if getattr(training, name)]
        facts = {
            "name": self.folder.name,
            **self.provenance,
            **({"held_out": training.evaluate_held_out} if training.evaluate_held_out else {}),
            "steps": state.step,
            "batch_size": training.batch_size,
            "objective": ", ".join([training.objective, *penalties]),
            "seed": training.seed,
            "minutes": round(state.seconds / 60, 1),
            "processes": self.accelerator.num_processes,
            "device": self.accelerator.device.type,
            # An absolute path means nothing to others.
            "command": shlex.join(
                [Path(sys.argv[0]).name if Path(sys.argv[0]).is_absolute() else sys.argv[0], *sys.argv[1:]]
            ),
        }
        return TrainedGenerator(training.modality, self.modality, state.average, facts)

    def calibration(self) -> Iterator[tuple[Tensor, Condition]]:
        """Latents and conditions, the same at every step, for the statistics of the averaged generator."""
        device, count = self.accelerator.device, CALIBRATION[1]
        conditions = TrainedGenerator(self.training.modality, self.modality, self.state.average).conditions()
        condition: Condition = None
        if conditions is not None:
            condition = conditions[torch.arange(count) % len(conditions)].to(device)
        random = BatchRandom(self.training.seed, count, device)
        for part in range(CALIBRATION[0]):
            rows = slice(0, count)
            if self.modality.takes_inputs:
                real, condition = self.training_pair(part)
                rows = slice(0, len(real))
            yield random.normal("calibrate", part, rows, self.modality.config.latent_dim), condition
