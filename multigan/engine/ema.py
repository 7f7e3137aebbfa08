"""The exponential moving average of the generator, which previews and generation use."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from multigan.interface import Condition


def decay_at(updates: int, decay: float) -> float:
    """``min(decay, (1 + updates) / (10 + updates))``, so that a short run is not held at its random start."""
    return min(decay, (1 + updates) / (10 + updates))


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """``average = decay * average + (1 - decay) * weight``, for every weight and buffer, in place.

    Yazici et al. 2019, arXiv:1806.04498.
    """
    averages, values = ([*one.parameters(), *one.buffers()] for one in (average, network))  # tied weights once
    floats = [index for index, value in enumerate(values) if value.is_floating_point()]
    torch._foreach_lerp_([averages[i] for i in floats], [values[i] for i in floats], 1 - decay)
    for index in set(range(len(values))) - set(floats):  # counters
        averages[index].copy_(values[index])


@torch.no_grad()
def calibrate(network: nn.Module, inputs: Iterable[tuple[Tensor, Condition]]) -> None:
    """Set the running statistics of batch normalisation, and other running means, to their means over some batches.

    Averaged weights need statistics of their own (Wu and Johnson 2021, arXiv:2105.07576), and these depend on the
    weights and the inputs alone, not on how batches were shared out. Leaves the network in evaluation mode.

    Args:
        network: Any network; without layers that have ``reset_running_stats`` and ``momentum``, nothing happens.
        inputs: Latents ``(b, latent_dim)`` and conditions, batch by batch.
    """
    layers: list[Any] = [layer for layer in network.modules() if hasattr(layer, "reset_running_stats")]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # PyTorch's word for a plain mean
    network.train()
    if layers:
        for latent, condition in inputs:
            network(latent, condition)
    network.eval()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
