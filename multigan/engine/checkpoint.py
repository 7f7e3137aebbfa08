"""Checkpoints: folders of safetensors and JSON, complete or absent.

A checkpoint is written to a temporary folder, its manifest last, synced to the disk and renamed into place; then older
ones are pruned. Nothing in a checkpoint can run code when it is loaded.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
import xxhash
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from multigan.errors import UserError
from multigan.files import ASIDE, cpu_copy, written_whole
from multigan.version import __version__

FORMAT = 3
KEPT = 3
MANIFEST = "manifest.json"
STATE = "state.json"

Tensors = dict[str, Tensor]


class Writer:
    """Writes in the background, one thing at a time, while training continues.

    As a context manager it waits for the write in progress, except after a KeyboardInterrupt, which ends the process at
    once: a write is complete or absent.
    """

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.error: Exception | None = None

    def submit(self, write: Callable[[], Any]) -> None:
        """Write, once the previous write is on the disk; raises its error."""
        self.wait()

        def run() -> None:
            try:
                write()
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=run, name="writer", daemon=True)
        self.thread.start()

    def check(self) -> None:
        """Raise the error of the last write, if it has failed by now."""
        if self.error is not None:
            self.wait()

    def wait(self) -> None:
        """Wait until everything is on the disk; raises what went wrong."""
        if self.thread is not None:
            self.thread.join()
        error, self.thread, self.error = self.error, None, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.wait()
        elif self.thread is not None and not issubclass(kind, KeyboardInterrupt):
            self.thread.join()


def save(folder: Path, step: int, tensors: dict[str, Tensors], state: dict[str, Any]) -> Path:
    """Write checkpoint ``step`` under ``folder`` and prune the old ones.

    Args:
        folder: The run's ``checkpoints`` folder.
        step: Steps done so far.
        tensors: Files by name, each a dictionary of tensors.
        state: Plain values, for ``state.json``.

    Raises:
        UserError: The disk is full or cannot be written; earlier checkpoints stay as they were.
    """
    target = folder / f"step-{step}"
    with written_whole(target, "a checkpoint") as aside:
        for name, values in tensors.items():
            save_file({key: value.contiguous() for key, value in values.items()}, aside / f"{name}.safetensors")
        (aside / STATE).write_text(json.dumps(state))
        manifest = {
            "format": FORMAT,
            "multigan": __version__,
            "step": step,
            "xxh3_128": {file.name: digest(file) for file in sorted(aside.iterdir())},
        }
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=2))
    for old in complete(folder)[:-KEPT]:
        remove(old)
    return target


def named(folder: Path) -> list[Path]:
    """All that has the name of a checkpoint, oldest first."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def complete(folder: Path) -> list[Path]:
    """The checkpoints that have their manifest, oldest first."""
    return [path for path in named(folder) if (path / MANIFEST).is_file()]


def newest(folder: Path, good: Callable[[dict[str, Any]], bool]) -> tuple[Path | None, list[str]]:
    """The newest intact checkpoint whose state is good, and a warning for each damaged one.

    Damaged ones are renamed. If a good one is found, newer ones are removed, so that they are not resumed later; if
    none is found, all stay.

    Raises:
        UserError: As `damage` does.
    """
    warnings: list[str] = []
    passed: list[Path] = []
    for path in reversed(named(folder)):
        wrong = damage(path)
        if wrong is not None:
            aside = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            warnings.append(f"{wrong} in {path}, which is put aside as {aside.name}")
        elif good(load_state(path)):
            for newer in passed:
                remove(newer)
            return path, warnings
        else:
            passed.append(path)
    return None, warnings


def remove(path: Path) -> None:
    """Remove a checkpoint; if interrupted, what is left is litter, not half a checkpoint."""
    aside = path.with_name(ASIDE + path.name)
    path.rename(aside)
    shutil.rmtree(aside)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, None if it is intact.

    Raises:
        UserError: It was written by a multigan whose format this one does not read.
    """
    manifest = path / MANIFEST
    try:
        values = json.loads(manifest.read_text())
        if values["format"] != FORMAT:
            advice = "update multigan" if values["format"] > FORMAT else "use that version"
            raise UserError(f"{path} was saved by multigan {values['multigan']} in another format: {advice} to resume")
        # Names alone: a manifest cannot point out of its folder.
        files = {path / Path(name).name: found for name, found in values["xxh3_128"].items()}
        wrong = [file.name for file, found in files.items() if not file.is_file() or digest(file) != found]
    except (ValueError, KeyError, TypeError, AttributeError, OSError):  # an OSError is of a name that cannot be
        wrong = [MANIFEST]
    if not wrong:
        try:
            load_state(path)
        except (ValueError, OSError):
            wrong = [STATE]
    return f"{wrong[0]} is missing or damaged" if wrong else None


def load(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The tensors and the state of a checkpoint that has no `damage`, as `save` was given them."""
    return {file.stem: load_file(file) for file in path.glob("*.safetensors")}, load_state(path)


def load_state(path: Path) -> dict[str, Any]:
    """The state alone.

    Raises:
        ValueError: It is none.
    """
    state = json.loads((path / STATE).read_text())
    if not isinstance(state, dict):
        raise ValueError(f"{STATE} holds {type(state).__name__}")
    return state


def optimizer_tensors(optimizer: Optimizer) -> Tensors:
    """Copies, on the CPU, of the state of an optimizer (its settings come from the configuration)."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": cpu_copy(value) for index, values in state.items() for name, value in values.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Tensors) -> None:
    """Restore what `optimizer_tensors` returned."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, Tensors] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        weight = weights[int(index)]
        if value.shape == weight.shape:
            # A fused optimizer pairs numbers by their place in memory: a moment laid out otherwise than its weight
            # (channels last, say, against the plain layout of a file) would be taken for another's, silently.
            value = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def digest(file: Path) -> str:
    """A checksum that detects damage, ten times as fast as the disk; it does not protect against forgery."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, xxhash.xxh3_128).hexdigest()  # type: ignore[arg-type] # it has all that counts
