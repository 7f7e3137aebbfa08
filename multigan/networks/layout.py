"""How weights lie in memory."""

import torch
from torch import nn


def channels_last(network: nn.Module) -> None:
    """Lay the weights of convolutions over pictures out as is fastest for them; others have no such layout and stay."""
    for weight in network.parameters():
        if weight.dim() == 4:
            # Not contiguous(), which leaves a weight of one channel as it is, and so the layout of all that follows.
            weight.data = weight.data.to(memory_format=torch.channels_last)
