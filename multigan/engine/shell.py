"""How the engine holds a network: wrapped in a shell, frozen, with its samples and its output in one form."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from multigan.interface import DiscriminatorOutput


class NetworkShell(nn.Module):
    """What accelerate wraps instead of the network itself.

    Everything accelerate adds (autocast, data parallelism) stays on this shell, so the network can be frozen,
    differentiated twice and saved without it. ``through`` is what to compute with the network, if not its forward.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any, through: Callable[..., Any] = lambda network, *inputs: network(*inputs)) -> Any:
        return through(self.network, *inputs)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without accumulating in it."""
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)


def as_output(output: Tensor | DiscriminatorOutput) -> DiscriminatorOutput:
    """A discriminator's output; logits alone are its only head."""
    return output if isinstance(output, DiscriminatorOutput) else DiscriminatorOutput((output,))


def represented(discriminator: nn.Module, samples: Tensor) -> Tensor:
    """Samples ``(B, *S)`` as a discriminator takes them: its method ``represent`` is applied, if it has one."""
    represent: Callable[[Tensor], Tensor] | None = getattr(discriminator, "represent", None)
    return samples if represent is None else represent(samples)
