"""Processes and devices: one process, or data-parallel ones; nothing else."""

import atexit
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, gather_object
from torch import nn
from torch.optim import Optimizer

from multigan.engine.meeting import meeting_place
from multigan.engine.step import Player
from multigan.errors import UserError, first_line

SUPPORTED = {DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU}
# What accelerate's launcher says in the environment, the values that can be trained with, and why the others cannot.
ONE_OR_PARALLEL = "use one process or plain data parallelism (distributed_type MULTI_GPU)"
TWICE = f"two networks with second derivatives cannot be trained with it: {ONE_OR_PARALLEL}"
UNSUPPORTED = {
    "ACCELERATE_USE_FSDP": ({"false"}, f"FSDP is asked for, and {TWICE}"),
    "ACCELERATE_USE_DEEPSPEED": ({"false"}, f"DeepSpeed is asked for, and {TWICE}"),
    "ACCELERATE_USE_MEGATRON_LM": ({"false"}, f"Megatron-LM is asked for, and {TWICE}"),
    "ACCELERATE_USE_PARALLELISM_CONFIG": ({"false"}, f"tensor or context parallelism is asked for, and {TWICE}"),
    "ACCELERATE_DYNAMO_BACKEND": (
        {"no"},
        "torch.compile is asked for (dynamo_backend), and a compiled discriminator cannot be differentiated twice: "
        "launch with dynamo_backend no",
    ),
    "ACCELERATE_MIXED_PRECISION": ({"no", "fp16", "bf16"}, "mixed precision is no, fp16 or bf16; fp8 is not supported"),
}
LAUNCHED = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # torchrun and the MPIs
A_DAY = timedelta(days=1)


def check_launch(timeout: int) -> None:
    """Join the other processes, if there are any.

    Args:
        timeout: Seconds that each exchange waits for the others.

    Raises:
        UserError: The launcher asked for what this machine has not, or for a way of training that is not supported.
    """
    for name, (good, reason) in UNSUPPORTED.items():
        if os.environ.get(name, next(iter(good))).lower() not in good:
            raise UserError(reason)
    launched = max([1, *(int(os.environ[name]) for name in LAUNCHED if name in os.environ)])
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() == "true"
    # Told --cpu, accelerate names a port for several processes to meet at, and starts one.
    if {"MASTER_PORT", "ACCELERATE_MIXED_PRECISION"} <= os.environ.keys() and not os.environ.keys() & set(LAUNCHED):
        raise UserError(
            "several processes were asked for, and accelerate started one (it does so with --cpu): launch with "
            "ACCELERATE_USE_CPU=true and --config_file configs/accelerate/cpu.yaml, or leave --num_processes out"
        )
    if launched > 1 and not on_cpu and not torch.cuda.is_available():
        raise UserError(
            f"{launched} processes were launched for GPUs, and this host has none: launch without a configuration file "
            "for one process, or ACCELERATE_USE_CPU=true accelerate launch --config_file configs/accelerate/cpu.yaml"
        )
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not on_cpu and local > torch.cuda.device_count() > 0:
        raise UserError(f"{local} processes were launched here, for {torch.cuda.device_count()} GPUs: one for each")
    joined = torch.distributed.is_initialized()
    try:
        restarted = launched > 1 and not joined and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
        place = meeting_place(timeout) if restarted else {}
        state = PartialState(cpu=on_cpu, timeout=timedelta(seconds=timeout), **place)
    except (RuntimeError, ValueError) as error:  # the other host does not answer, or the port is taken
        raise UserError(f"the processes cannot meet: {first_line(error)}") from error
    if torch.distributed.is_initialized() and not joined:
        atexit.register(state.destroy_process_group)  # at the very end: the processes may train again before it
    if state.distributed_type not in SUPPORTED:
        raise UserError(f"{state.distributed_type.value} is asked for, and {TWICE}")
    if state.num_processes != launched:
        raise UserError(f"{launched} processes were launched, but only {state.num_processes} work together")


def start(tracker: str, folder: Path) -> Accelerator:
    """The accelerator for this process, tracking into the run folder.

    Raises:
        UserError: There is no such tracker, or it is not installed; or the precision is not for this device.
    """
    if tracker not in ("none", *LOGGER_TYPE_TO_CLASS):
        raise UserError(f"no tracker {tracker!r}: known are none, {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}")
    if tracker != "none" and tracker not in map(str, get_available_trackers()):
        raise UserError(f"the tracker {tracker} is not installed: install it, or use --tracker none")
    # Buffers are not sent round: they would change under a graph between two forwards and one backward.
    handler = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
    log_with = None if tracker == "none" else tracker
    try:
        accelerator = Accelerator(kwargs_handlers=[handler], log_with=log_with, project_dir=folder)
    except (ValueError, ImportError) as error:
        raise UserError(f"accelerate cannot be set up as it was launched: {first_line(error)}") from error
    if accelerator.mixed_precision == "fp16" and accelerator.device.type == "cpu":  # accelerate would leave it out
        raise UserError("fp16 is for GPUs: on a processor use bf16, or leave mixed precision out")
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


# --- staying together ---


class Agreement:
    """What the processes tell one another between steps, over a connection of its own on the CPU.

    An answer comes one step after its question, so that no process waits for it and no device is asked.
    """

    def __init__(self, accelerator: Accelerator, timeout: int) -> None:
        self.alone = accelerator.num_processes == 1
        self.pending: tuple[torch.Tensor, Any] | None = None
        if not self.alone:
            self.group = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=timeout))

    def largest(self, number: int) -> int:
        """The largest number that any process gave in the call before this one; alone, the number."""
        if self.alone:
            return number
        answer = self.collect()
        asked = torch.tensor(number)
        operation = torch.distributed.ReduceOp.MAX
        self.pending = asked, torch.distributed.all_reduce(asked, operation, self.group, async_op=True)
        return answer

    def collect(self) -> int:
        """Wait for the answer to the last question, 0 if there is none."""
        if self.pending is None:
            return 0
        number, work = self.pending
        work.wait()
        self.pending = None
        return int(number)

    def meet(self) -> None:
        """Wait for the other processes as long as it takes: one of them may be decoding a dataset for hours."""
        if not self.alone:
            torch.distributed.monitored_barrier(self.group, timeout=A_DAY)


def check_same(values: Mapping[str, object]) -> None:
    """Make sure that all processes were given the same.

    Raises:
        UserError: They were not; names the first thing that differs.
    """
    everywhere = gather_object([dict(values)])
    for process, other in enumerate(everywhere):
        different = [name for name, value in everywhere[0].items() if other.get(name) != value]
        if different:
            name = different[0]
            raise UserError(
                f"the processes were given different things: {name} is {everywhere[0][name]} in the first and "
                f"{other.get(name)} in number {process}"
            )


def check_all_well(problem: UserError | None) -> None:
    """Make sure that nothing is wrong in any process, so that none waits for one that has stopped.

    Raises:
        UserError: The first problem of any, in all of them.
    """
    problems: list[str | None] = gather_object([None if problem is None else str(problem)])
    for process, words in enumerate(problems):
        if words is not None:
            raise UserError(words if None not in problems else f"{words} (in process {process})") from problem


def check_weights(accelerator: Accelerator, networks: Mapping[str, nn.Module]) -> None:
    """Make sure that all processes hold the same weights, to the last bit, by comparing a hash of each.

    Raises:
        UserError: They do not; names the first module that differs.
    """
    if accelerator.num_processes == 1:
        return
    weights = {f"{player}.{name}": w for player, net in networks.items() for name, w in net.named_parameters()}
    hashes = torch.stack([torch.hash_tensor(weight.detach()) for weight in weights.values()]).view(torch.int64)
    everywhere = accelerator.gather(hashes[None])
    different = (everywhere != everywhere[0]).cpu()
    if different.any():
        column = int(different.any(0).nonzero()[0])
        processes = ", ".join(str(int(process)) for process in different[:, column].nonzero())
        module = list(weights)[column].rpartition(".")[0]
        raise UserError(
            f"the processes no longer hold the same weights: the first module that differs is {module}, in process "
            f"{processes}; --resume goes on from the last checkpoint"
        )


def is_loss_of_a_process(error: RuntimeError) -> bool:
    """Whether an error is that another process has gone, or does not answer in time."""
    return isinstance(error, torch.distributed.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))
