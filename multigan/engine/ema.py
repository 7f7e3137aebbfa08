"""The moving average of the generator's weights: what previews and generation use."""

import torch
from torch import nn


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, updates: int) -> None:
    """``average = d * average + (1 - d) * weight``, for every weight and running statistic, in place.

    ``d = min(decay, (1 + updates) / (10 + updates))``, so that a short run is not held at its random start: a function
    of the number of updates so far, with no state of its own. Yazici et al. 2019, arXiv:1806.04498.
    """
    averages, values = list(average.state_dict().values()), list(network.state_dict().values())
    floats = [index for index, value in enumerate(values) if value.is_floating_point()]
    weight = 1 - min(decay, (1 + updates) / (10 + updates))
    torch._foreach_lerp_([averages[i] for i in floats], [values[i] for i in floats], weight)
    for index in set(range(len(values))) - set(floats):  # counters
        averages[index].copy_(values[index])
