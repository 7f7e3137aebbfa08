"""What a run leaves for people: pictures of the way, and the trained generator."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
from accelerate import Accelerator
from PIL import Image
from tqdm import tqdm

from multigan.config import TrainingConfig
from multigan.engine.draws import Draws
from multigan.engine.ema import calibrate
from multigan.engine.state import State
from multigan.modality import Modality
from multigan.pretrained import TrainedGenerator
from multigan.run_folder import add_note

CALIBRATION = 16, 64  # batches, and samples in each, for the statistics of the averaged generator
PREVIEWED = 64  # samples in a preview, or as near as makes whole columns of classes


class Results:
    """The averaged generator of a run as it now is, to look at and to keep."""

    def __init__(
        self,
        state: State,
        accelerator: Accelerator,
        training: TrainingConfig,
        modality: Modality,
        folder: Path,
        trained_on: dict[str, Any],
    ) -> None:
        self.state = state
        self.accelerator = accelerator
        self.training = training
        self.modality = modality
        self.folder = folder
        self.trained_on = trained_on
        self.calibrated: tuple[int, int] | None = None

    def preview(self) -> None:
        """The same latents as ever, as the averaged generator now makes them."""
        if not self.accelerator.is_main_process:
            return
        generator, step = self.generator(), self.state.step
        classes = len(generator.classes)
        count = classes * max(1, round(PREVIEWED / classes)) if classes else PREVIEWED
        samples = torch.cat(list(generator.batches(count, self.training.seed)))
        labels = generator.class_names(count)
        files = self.modality.preview(samples, self.folder / "samples" / f"step-{step:06d}", labels)
        for fault in self.modality.faults(samples):
            tqdm.write(f"warning: step {step}: {fault}", file=sys.stderr)
            add_note(self.folder, step, fault)
        pictures = [file for file in files if file.suffix == ".png"]
        for tracker in self.accelerator.trackers:
            if not hasattr(tracker, "log_images"):
                continue
            options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            for number, file in enumerate(pictures):
                name = "samples" if number == 0 else f"samples {number}"
                picture = numpy.asarray(Image.open(file).convert("RGB"))[None]
                tracker.log_images({name: picture}, step=step, **options)

    def generator(self) -> TrainedGenerator:
        """The averaged generator, its statistics set, with what is to be known of it."""
        training, state = self.training, self.state
        now = state.step, state.returns  # a step may come a second time, after a return to a checkpoint
        if self.calibrated != now:
            calibrate(state.average, self.calibration())
            self.calibrated = now
        penalties = [
            f"{name} {getattr(training, name):g}" for name in ("r1", "r2", "wgan_gp") if getattr(training, name)
        ]
        facts = {
            "name": self.folder.name,
            **self.trained_on,
            "steps": state.step,
            "batch_size": training.batch_size,
            "objective": ", ".join([training.objective, *penalties]),
            "seed": training.seed,
            "minutes": round(state.seconds / 60, 1),
            "processes": self.accelerator.num_processes,
            "device": self.accelerator.device.type,
            # A path from the root says nothing to anybody else.
            "command": shlex.join(
                [Path(sys.argv[0]).name if Path(sys.argv[0]).is_absolute() else sys.argv[0], *sys.argv[1:]]
            ),
        }
        return TrainedGenerator(training.modality, self.modality, state.average, facts)

    def calibration(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Latents and conditions, the same at every step, for the statistics of the averaged generator."""
        device, count = self.accelerator.device, CALIBRATION[1]
        classes = len(self.modality.config.classes) if getattr(self.modality.config, "conditional", False) else 0
        condition = torch.arange(count, device=device) % classes if classes else None
        draws = Draws(self.training.seed, count, device)
        for number in range(CALIBRATION[0]):
            yield draws.normal("calibrate", number, slice(0, count), self.modality.config.latent_dim), condition
