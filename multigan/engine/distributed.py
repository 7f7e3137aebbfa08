"""Data-parallel processes: sharing out batches, wrapping networks, and staying in agreement."""

from collections.abc import Mapping
from datetime import timedelta
from inspect import unwrap
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from torch.optim import Optimizer

from multigan.engine.shell import NetworkShell
from multigan.errors import UserError

A_DAY = timedelta(days=1)


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


class Adam(torch.optim.Adam):
    """Adam without the decorators that hide its methods from torch.compile.

    Calling those imports the compiler, which takes three quarters as long as importing torch; nothing is compiled here.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)


def adam(network: nn.Module, learning_rate: float, betas: tuple[float, float]) -> Optimizer:
    """Adam in its fused form, one pass over the weights. Kingma and Ba 2014, arXiv:1412.6980."""
    return Adam(network.parameters(), lr=learning_rate, betas=betas, fused=True)


def prepare(accelerator: Accelerator, network: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Any]:
    """A network's `NetworkShell` and its optimizer, wrapped for the devices and processes at hand."""
    # The default, given because accelerate would import torch.distributed.tensor to work it out.
    wrapped, prepared = accelerator.prepare(NetworkShell(network), optimizer, device_placement=[True, True])
    return wrapped, prepared


# --- staying together ---


class StopSignal:
    """Lets the processes agree on when to stop, over a CPU connection of its own.

    An answer arrives one step after its question, so that neither a process nor a device has to wait.
    """

    def __init__(self, accelerator: Accelerator, timeout: int) -> None:
        self.alone = accelerator.num_processes == 1
        self.pending: tuple[torch.Tensor, Any] | None = None
        if not self.alone:
            self.group = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=timeout))

    def max_of_previous(self, number: int) -> int:
        """The largest number that any process passed in the previous call; with one process, the number."""
        if self.alone:
            return number
        answer = self.collect()
        asked = torch.tensor(number)
        operation = torch.distributed.ReduceOp.MAX
        self.pending = asked, torch.distributed.all_reduce(asked, operation, self.group, async_op=True)
        return answer

    def collect(self) -> int:
        """Wait for the answer to the last call, 0 if there is none."""
        if self.pending is None:
            return 0
        number, work = self.pending
        work.wait()
        self.pending = None
        return int(number)

    def barrier(self) -> None:
        """Wait for the other processes, however long: one of them may be decoding a dataset for hours."""
        if not self.alone:
            torch.distributed.monitored_barrier(self.group, timeout=A_DAY)


def check_same(values: Mapping[str, object]) -> None:
    """Check that all processes have the same values.

    Raises:
        UserError: They were not; names the first thing that differs.
    """
    everywhere = gather_object([dict(values)])
    for process, other in enumerate(everywhere):
        different = [name for name, value in everywhere[0].items() if other.get(name) != value]
        if different:
            name = different[0]
            raise UserError(
                f"the processes disagree on {name}: it is {everywhere[0][name]} in the first and "
                f"{other.get(name)} in number {process}"
            )


def raise_on_all(problem: UserError | None) -> None:
    """Raise on every process if there is a problem on any, so that none waits for one that has stopped.

    Raises:
        UserError: The first problem of any, in all of them.
    """
    problems: list[str | None] = gather_object([None if problem is None else str(problem)])
    for process, words in enumerate(problems):
        if words is not None:
            raise UserError(words if None not in problems else f"{words} (in process {process})") from problem


def check_weights(accelerator: Accelerator, networks: Mapping[str, nn.Module]) -> None:
    """Check that all processes have bit-identical weights, by comparing a hash of each.

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
            f"the processes no longer have the same weights: the first module that differs is {module}, in process "
            f"{processes}; continue from the last checkpoint with --resume"
        )


def is_loss_of_a_process(error: RuntimeError) -> bool:
    """Whether an error means that another process has gone or does not answer in time."""
    return isinstance(error, torch.distributed.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))
