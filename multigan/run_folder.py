"""The folder of a run: which one it is, what is there already, and whether it can be gone on with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list

from multigan.config import TrainingConfig, flatten, plain, write
from multigan.errors import UserError
from multigan.files import clean, write_text
from multigan.model_folder import RUNS

METRICS = "metrics.jsonl"
# What a run cannot be resumed with another value of: its data, its networks and its random numbers.
FIXED = (
    "modality",
    "dataset",
    "subset",
    "split",
    "streaming",
    "skip_corrupt",
    "seed",
    "batch_size",
    "warmup_steps",
    "model",
)


def choose(training: TrainingConfig) -> Path:
    """The run's folder, the same for every process.

    Raises:
        UserError: It holds something already, and this is no resume.
    """
    if training.resume is not None:
        if training.output is not None:
            raise UserError("give --resume (a run folder to go on with) or --output (a new one), not both")
        return Path(training.resume)
    folder = (
        Path(training.output) if training.output else RUNS / f"{training.modality}-{time.strftime('%Y%m%d-%H%M%S')}"
    )
    # One process decides: clocks differ, and another may already see what the first one made.
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    name, taken = broadcast_object_list([str(folder), taken])
    if taken:
        raise UserError(
            f"{name} holds something already: --resume {name} goes on with a run, --output names a new folder"
        )
    return Path(name)


def refuse_changes(before: TrainingConfig, now: TrainingConfig) -> None:
    """Raise the error for a resume that would be of another run."""
    old, new = flatten(plain(before)), flatten(plain(now))
    changed = [f"{key} {old[key]} -> {new[key]}" for key in old if key.split(".")[0] in FIXED and old[key] != new[key]]
    if changed:
        raise UserError(f"a run cannot be resumed with other data, networks or seed: {'; '.join(changed)}")


def open_folder(folder: Path, training: TrainingConfig, start: int) -> None:
    """Make the folder, or make it ready to go on: metrics from after the checkpoint are dropped."""
    try:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        clean(folder)
        clean(folder / "checkpoints")
        write(training, folder)
        lines = [json.dumps(line) + "\n" for line in read_metrics(folder) if line["step"] <= start]
        write_text(folder / METRICS, "".join(lines))
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror or error}") from error


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; one that was cut off in the middle does not count."""
    lines = []
    file = folder / METRICS
    for text in file.read_text().splitlines() if file.is_file() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
