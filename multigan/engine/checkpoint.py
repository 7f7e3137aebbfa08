"""Checkpoints: folders of safetensors and JSON, complete or absent.

A checkpoint is written into a temporary folder, synced to the disk, its manifest last, and renamed into place; older
ones are pruned after that. Nothing in one can run code when it is loaded.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from multigan.errors import UserError

FORMAT = 1
KEPT = 3
MANIFEST = "manifest.json"
TEMPORARY = ".writing-"

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
    target, temporary = folder / f"step-{step}", folder / f"{TEMPORARY}step-{step}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, values in tensors.items():
            save_file({key: value.contiguous() for key, value in values.items()}, temporary / f"{name}.safetensors")
        (temporary / "state.json").write_text(json.dumps(state))
        files = sorted(temporary.iterdir())
        for file in files:
            sync(file)
        manifest = {"step": step, "sha256": {file.name: digest(file) for file in files}}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2))
        sync(temporary / MANIFEST)
        sync(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        sync(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(f"cannot save a checkpoint in {folder}: {error.strerror or error}") from error
    for old in complete(folder)[:-KEPT]:
        shutil.rmtree(old)
    return target


def complete(folder: Path) -> list[Path]:
    """The complete checkpoints, oldest first."""
    found = [path for path in folder.glob("step-*") if (path / MANIFEST).is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def clean(folder: Path) -> None:
    """Remove what an interrupted save left behind."""
    for litter in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(litter)


def load(path: Path) -> tuple[dict[str, Tensors], dict[str, Any]]:
    """The tensors and the state of one checkpoint, as `save` was given them.

    Raises:
        UserError: A file is missing, or is not as it was written.
    """
    manifest = json.loads((path / MANIFEST).read_text())
    for name, expected in manifest["sha256"].items():
        file = path / Path(name).name
        if not file.is_file() or digest(file) != expected:
            raise UserError(f"{file} is missing or damaged: delete the folder {path} to resume from the one before")
    tensors = {file.stem: load_file(file) for file in path.glob("*.safetensors")}
    return tensors, json.loads((path / "state.json").read_text())


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


def network_tensors(network: nn.Module) -> Tensors:
    """A network's weights and buffers, on the CPU."""
    return {name: value.detach().cpu() for name, value in network.state_dict().items()}


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
