"""The launch: one process, or data-parallel ones; anything else is refused."""

import atexit
import os
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, DistributedType

from multigan.engine.rendezvous import rendezvous_arguments
from multigan.errors import UserError, first_line

SUPPORTED = {DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU}
# Environment variables that accelerate's launcher sets, their supported values, and why others are refused.
ONE_OR_PARALLEL = "use one process or plain data parallelism (distributed_type MULTI_GPU)"
TWICE = f"it does not support two networks with second derivatives: {ONE_OR_PARALLEL}"
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


def check_launch(timeout: int) -> None:
    """Join the other processes, if there are any.

    Args:
        timeout: Seconds that each exchange waits for the others.

    Raises:
        UserError: The launcher asked for what this machine does not have, or for an unsupported way of training.
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
        raise UserError(
            f"{local} processes were launched here, for {torch.cuda.device_count()} GPUs: launch one per GPU"
        )
    joined = torch.distributed.is_initialized()
    try:
        restarted = launched > 1 and not joined and int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
        place = rendezvous_arguments(timeout) if restarted else {}
        state = PartialState(cpu=on_cpu, timeout=timedelta(seconds=timeout), **place)
    except (RuntimeError, ValueError) as error:  # the other host does not answer, or the port is taken
        raise UserError(f"the processes could not connect: {first_line(error)}") from error
    if torch.distributed.is_initialized() and not joined:
        atexit.register(state.destroy_process_group)  # at the very end: the processes may train again before it
    if state.distributed_type not in SUPPORTED:
        raise UserError(f"{state.distributed_type.value} is asked for, and {TWICE}")
    if state.num_processes != launched:
        raise UserError(f"{launched} processes were launched, but only {state.num_processes} work together")


def start(tracker: str, folder: Path) -> Accelerator:
    """The accelerator for this process, tracking into the run folder.

    Raises:
        UserError: The precision does not suit this device, or accelerate cannot be set up as it was launched.
    """
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
