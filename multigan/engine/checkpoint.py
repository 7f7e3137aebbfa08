"""Checkpoints: folders of safetensors and JSON, complete or absent.

A checkpoint is written aside, its manifest last, synced to the disk and renamed into place; older ones are pruned after
that. Nothing in one can run code when it is loaded.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from multigan.errors import UserError
from multigan.files import written_whole

FORMAT = 1
KEPT = 3
MANIFEST = "manifest.json"

Tensors = dict[str, Tensor]


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
        (aside / "state.json").write_text(json.dumps(state))
        manifest = {"step": step, "sha256": {file.name: digest(file) for file in sorted(aside.iterdir())}}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=2))
    for old in complete(folder)[:-KEPT]:
        shutil.rmtree(old)
    return target


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints, oldest first."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdecimal() and (path / MANIFEST).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def load(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The tensors and the state of one checkpoint, as `save` was given them.

    Raises:
        UserError: A file is missing, or is not as it was written.
    """
    try:
        expected = {
            path / Path(name).name: sha for name, sha in json.loads((path / MANIFEST).read_text())["sha256"].items()
        }
        damaged = [file for file, sha in expected.items() if not file.is_file() or digest(file) != sha]
    except (ValueError, KeyError, TypeError, AttributeError):
        damaged = [path / MANIFEST]
    if damaged:
        raise UserError(f"{damaged[0]} is missing or damaged: delete the folder {path} to resume from the one before")
    tensors = {file.stem: load_file(file) for file in expected if file.suffix == ".safetensors"}
    state = json.loads((path / "state.json").read_text())
    if state.get("format", 0) > FORMAT:
        raise UserError(f"{path} was saved by multigan {state['multigan']}: update multigan to go on with it")
    return tensors, state


def optimizer_tensors(optimizer: Optimizer) -> Tensors:
    """The state of an optimizer as named tensors (its settings come from the configuration)."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` took."""
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
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
