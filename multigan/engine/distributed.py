"""Processes and devices: one process, or data-parallel ones; nothing else."""

import os
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs, DistributedType
from torch import nn
from torch.optim import Optimizer

from multigan.engine.step import Player
from multigan.errors import UserError

SUPPORTED = {DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU}


def check_launch() -> None:
    """Join the other processes, if there are any.

    Raises:
        UserError: The launcher asked for what this machine has not, or for a way of training that is not supported.
    """
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true"
    if launched > 1 and not on_cpu and not torch.cuda.is_available():
        raise UserError(
            f"{launched} processes were launched for GPUs, and this host has none: launch without a configuration file "
            "for one process, or with configs/accelerate/cpu.yaml"
        )
    state = PartialState(cpu=on_cpu)
    if state.distributed_type not in SUPPORTED:
        raise UserError(
            f"{state.distributed_type.value} cannot train two networks with second derivatives: "
            "use one process or plain data parallelism (distributed_type MULTI_GPU)"
        )
    if state.num_processes != launched:
        raise UserError(f"{launched} processes were launched, but only {state.num_processes} work together")


def start(tracker: str, folder: Path) -> Accelerator:
    """The accelerator for this process, tracking into the run folder.

    Raises:
        UserError: There is no such tracker, or it is not installed.
    """
    if tracker not in ("none", *LOGGER_TYPE_TO_CLASS):
        raise UserError(f"no tracker {tracker!r}: known are none, {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}")
    if tracker != "none" and tracker not in map(str, get_available_trackers()):
        raise UserError(f"the tracker {tracker} is not installed: install it, or use --tracker none")
    # Buffers are not sent round: they would change under a graph between two forwards and one backward.
    handler = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    log_with = None if tracker == "none" else tracker
    accelerator = Accelerator(kwargs_handlers=[handler], log_with=log_with, project_dir=folder)
    if accelerator.gradient_accumulation_steps != 1:
        raise UserError("gradient accumulation is set by --micro_batches: launch with gradient_accumulation_steps 1")
    return accelerator


def share(batch_size: int, micro_batches: int, accelerator: Accelerator) -> slice:
    """This process's rows of the global batch.

    Raises:
        UserError: The batch cannot be shared out evenly.
    """
    parts = accelerator.num_processes * micro_batches
    if batch_size % parts:
        raise UserError(
            f"batch_size {batch_size} cannot be shared out evenly over {accelerator.num_processes} processes x "
            f"{micro_batches} micro-batches: use a multiple of {parts}"
        )
    size = batch_size // accelerator.num_processes
    return slice(accelerator.process_index * size, (accelerator.process_index + 1) * size)


def adam(network: nn.Module, learning_rate: float, betas: tuple[float, float]) -> Optimizer:
    """Adam in its fused form, one pass over the weights. Kingma and Ba 2014, arXiv:1412.6980."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)


def prepare(accelerator: Accelerator, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Any]:
    """A network's `Player` and its optimizer, wrapped for the devices and processes at hand."""
    wrapped, prepared = accelerator.prepare(Player(network), optimizer)
    return wrapped, prepared
