"""The checkpoints of a run: saving them, resuming from them, rolling back to them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from tqdm import tqdm

from multigan import config, legacy
from multigan.config import TrainingConfig
from multigan.engine import checkpoint, health
from multigan.engine.state import State
from multigan.errors import UserError
from multigan.generation.generator import TrainedGenerator
from multigan.training import run_folder

MAX_ROLLBACKS = 3
ADVICE = "try lower learning rates, or a larger r1"


class Checkpoints:
    """Saves the state of a run into its folder, and puts saved states back.

    Attributes:
        writer: Writes in the background; left as a context, it waits for what is being written.
    """

    def __init__(self, folder: Path, state: State, accelerator: Accelerator) -> None:
        self.folder = folder
        self.state = state
        self.accelerator = accelerator
        self.writer = checkpoint.Writer()

    def save(self, generator: Callable[[], TrainedGenerator]) -> None:
        """Save what the run needs to continue, and the generator as a model. Every process must call this.

        The state is copied here and written in the background, while training goes on.

        Args:
            generator: Gives the averaged generator; called in the main process alone.

        Raises:
            DivergedError: The run has diverged, so nothing is saved.
        """
        self.state.health.check()
        if not self.state.is_finite():
            raise health.DivergedError("a weight is no longer a finite number")
        values = self.state.values()
        if not self.accelerator.is_main_process:
            return
        model = copy.deepcopy(generator())  # first, because it sets the statistics of the average, which are saved too
        step, tensors = self.state.step, self.state.tensors()

        def write() -> None:
            try:
                # The model first: a run that is killed in between repeats these steps when it is resumed. The other
                # way round, the last model of a run could be missing beside a checkpoint that says it is complete.
                model.save(self.folder / "model")
                checkpoint.save(self.folder / "checkpoints", step, tensors, values)
            except UserError as error:
                raise UserError(f"{error}; free some space there, then {self.resume_hint()}") from error

        self.writer.submit(write)

    def newest(self, good: Callable[[dict[str, Any]], bool] = lambda state: True) -> Path | None:
        """The newest checkpoint whose state is good, as the main process finds it; None if there is none."""
        found: list[Path | None] = [None]
        if self.accelerator.is_main_process:
            found[0], warnings = checkpoint.newest(self.folder / "checkpoints", good)
            for warning in warnings:
                tqdm.write(f"warning: {warning}", file=sys.stderr)
        path: Path | None = broadcast_object_list(found)[0]
        return path

    def resume(self, training: TrainingConfig, restarted: bool) -> list[str]:
        """Restore the newest checkpoint.

        Args:
            training: The configuration that the run continues with.
            restarted: Whether the launcher started the processes again; then a run may be complete already.

        Returns:
            What changes from here on, each as "setting before -> now".

        Raises:
            UserError: There is no checkpoint, or the run cannot continue from it with this configuration.
        """
        path = self.newest()
        if path is None:
            damaged = any(self.folder.glob("checkpoints/damaged-*"))
            reason = "all its checkpoints are damaged" if damaged else "it has no checkpoint yet"
            raise UserError(
                f"cannot resume {self.folder}: {reason}; delete it and start again, or choose another --output"
            )
        changed = run_folder.diff_for_resume(
            config.plain(config.read(self.folder, training.modality)), config.plain(training)
        )
        try:
            tensors, values = load(path)
            if values["digest"] != self.state.digest:
                raise UserError(
                    f"the dataset {training.dataset} has changed since {self.folder} was started: train on other data "
                    "in a new run (--output)"
                )
            self.state.restore(tensors, values)
            before = values["launch"]
        except FileNotFoundError as error:
            raise UserError(f"{path} is not visible here: all hosts must share the run folder to resume") from error
        except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"the networks do not match {path}: has the dataset changed?") from error
        step = self.state.step
        if step >= training.pretraining_steps + training.steps and not restarted:
            more = step - training.pretraining_steps
            before = f", {training.pretraining_steps} of them pretraining" * bool(training.pretraining_steps)
            apart = ", without pretraining" if training.pretraining_steps else ""
            raise UserError(
                f"{self.folder} is complete at step {step}{before}: --steps is a total{apart}, give more than {more}"
            )
        return changed + [
            f"{key} {before[key]} -> {now}" for key, now in self.state.launch().items() if before[key] != now
        ]

    def roll_back(self, problem: health.DivergedError) -> str:
        """Restore the newest checkpoint from before a divergence, to continue with other random numbers.

        Returns:
            What happened, as a line.

        Raises:
            UserError: There is no such checkpoint, or the run has been rolled back too often.
        """
        self.writer.wait()
        rollbacks, step = self.state.rollbacks, self.state.step
        # Preferably from before the first dropped step; but a dropped step leaves the weights as they were.
        path = self.newest(lambda state: state["health"]["streak"] == 0) or self.newest()
        if path is None:
            raise UserError(f"{problem}, at step {step}, and there is no checkpoint from before: {ADVICE}")
        if rollbacks == MAX_ROLLBACKS:
            raise UserError(
                f"{problem}, at step {step}, after {rollbacks} rollbacks: {ADVICE}; the model and the checkpoints in "
                f"{self.folder} are from before"
            )
        best = self.state.best  # best/ stays as it is
        self.state.restore(*load(path))
        self.state.best = best
        self.state.rollbacks, self.state.health.streak = rollbacks + 1, 0
        return f"{problem}: rolled back from step {step} to {self.state.step}, continuing with other random numbers"

    def resume_hint(self) -> str:
        """How a user continues a run that ended early."""
        kept = checkpoint.complete(self.folder / "checkpoints")
        if not kept:
            return f"start again, with {self.folder} deleted or another --output: it has no checkpoint yet"
        return f"--resume {self.folder} continues after {kept[-1].name.replace('-', ' ')}"


def load(path: Path) -> tuple[dict[str, checkpoint.Tensors], dict[str, Any]]:
    """The tensors and the state of a checkpoint; those of multigan 0.1 under today's names."""
    tensors, values = checkpoint.load(path)
    return {name: legacy.weights(part) for name, part in tensors.items()}, legacy.state(values)
