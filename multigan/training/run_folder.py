"""The folder of a run: where it is, what it contains, and whether the run can be resumed."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from multigan import legacy
from multigan.config import CONFIG_FILE, PLACES, TrainingConfig, flatten, plain, read, write
from multigan.errors import UserError
from multigan.files import clean, write_text
from multigan.generation.model_folder import RUNS

METRICS = "metrics.jsonl"
# Settings that cannot change on resume: the data, the networks and the random numbers. The dataset's path may change,
# because a digest identifies its content; only a stream has none.
IMMUTABLE_ON_RESUME = (
    "modality",
    "subset",
    "split",
    "streaming",
    "skip_corrupt",
    "seed",
    "batch_size",
    "pretraining_steps",
    "spectral_norm",
    "model",
)


class RunLocation(NamedTuple):
    """Where a run is, whether it is resumed, and whether the launcher restarted it."""

    folder: Path
    resume: bool
    restarted: bool


def resolve(training: TrainingConfig) -> RunLocation:
    """Where the run is, the same for every process.

    A launcher that restarts the processes (``--max_restarts``) gives them the same command, so that a new run finds
    its own folder.

    Raises:
        UserError: The folder is not empty, and the run is not resumed.
    """
    from accelerate.utils import broadcast_object_list, gather_object  # here, because a run is described without torch

    restarted = max(gather_object([int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))])) > 0
    if training.resume is not None:
        if training.output is not None:
            raise UserError("give --resume (a run folder to continue) or --output (a new one), not both")
        return RunLocation(Path(training.resume), True, restarted)
    if training.output is None and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        raise UserError("--max_restarts needs --output: a restarted run has to find its folder again")
    folder = (
        Path(training.output) if training.output else RUNS / f"{training.modality}-{time.strftime('%Y%m%d-%H%M%S')}"
    )
    # One process decides: clocks differ, and the others may already see what the first one created.
    own = (
        restarted
        and (folder / CONFIG_FILE).is_file()
        and not diff_for_resume(plain(read(folder, training.modality)), plain(training))
    )
    taken = not own and folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    begun = any((folder / "checkpoints").glob("step-*"))
    name, own, taken, begun = broadcast_object_list([str(folder), own, taken, begun])
    if taken:
        resume_hint = f"--resume {name} continues the run in it" if begun else "delete it if nothing in it is needed"
        raise UserError(f"{name} is not empty: {resume_hint}, or name a new folder with --output")
    return RunLocation(Path(name), own and begun, restarted)


def diff_for_resume(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changes on resume, as "field before -> now", of plain configurations.

    Raises:
        UserError: Something that cannot change within one run.
    """
    old, new = flatten(before), flatten(now)
    changed = {key: f"{old[key]} -> {new[key]}" for key in old if old[key] != new[key] and key not in PLACES}
    names = {*IMMUTABLE_ON_RESUME, *(["dataset"] if new["streaming"] else [])}
    if old["steps"] == new["steps"] == 0:  # of pretraining alone, which may go on
        names.remove("pretraining_steps")
    fixed = [f"another {key}: {words}" for key, words in changed.items() if key.split(".")[0] in names]
    if fixed:
        raise UserError(f"a run cannot be resumed with {'; '.join(fixed)} (--output starts a new run)")
    return [f"{key} {words}" for key, words in changed.items()]


def open_folder(folder: Path, training: TrainingConfig, start: int) -> None:
    """Create the folder, or prepare it for resuming: metrics from after the checkpoint are dropped."""
    try:
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        clean(folder)
        clean(folder / "checkpoints")
        write(training, folder)
        truncate_metrics(folder, start)
    except OSError as error:
        raise UserError(f"cannot write the run folder {folder}: {error.strerror or error}") from error


def truncate_metrics(folder: Path, step: int) -> None:
    """Drop the metrics of later steps."""
    lines = [json.dumps(line) + "\n" for line in read_metrics(folder) if line["step"] <= step]
    write_text(folder / METRICS, "".join(lines))


def add_line(folder: Path, line: dict[str, Any]) -> None:
    """Add a line to ``metrics.jsonl``."""
    with (folder / METRICS).open("a") as file:
        file.write(json.dumps(line) + "\n")


def add_note(folder: Path, step: int, note: str) -> None:
    """Add a line that says what happened to the run after a step."""
    add_line(folder, {"step": step, "note": note})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``, without damaged or truncated ones."""
    lines = []
    file = folder / METRICS
    for text in file.read_text(errors="replace").splitlines() if file.is_file() else []:
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                lines.append(legacy.metrics(line))
    return lines
