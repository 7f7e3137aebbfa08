"""Batch normalisation whose result does not depend on the number of processes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

GROUP = 16
MOMENTUM = 0.1
EPSILON = 1e-5


class GhostBatchNorm2d(nn.Module):
    """Batch normalisation over groups of 16 consecutive samples: Hoffer et al. 2017, arXiv:1705.08741, algorithm 1.

    ``(B, C, H, W) -> (B, C, H, W)``. A group never spans processes or micro-batches, so nothing is communicated, and
    the same batch gives the same result however it is shared out. In evaluation, the running statistics are used.

    Raises:
        ValueError: In training, B is neither a multiple of the group nor smaller than it.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, samples: Tensor) -> Tensor:
        if not self.training:
            return batch_norm(samples, self.running_mean, self.running_var, self.weight, self.bias, False, 0, EPSILON)
        size, channels, height, width = samples.shape
        group = min(GROUP, size)
        if size % group:
            raise ValueError(
                f"batch normalisation takes groups of {GROUP} samples, and {size} samples for each process and "
                "micro-batch is not a multiple: change batch_size or micro_batches"
            )
        groups = size // group
        # Side by side in the channel dimension, all groups are normalised by one call.
        beside = samples.view(groups, group, channels, height, width).transpose(0, 1).reshape(group, -1, height, width)
        mean, variance = self.running_mean.repeat(groups), self.running_var.repeat(groups)
        weight, bias = self.weight.repeat(groups), self.bias.repeat(groups)
        normal = batch_norm(beside, mean, variance, weight, bias, True, MOMENTUM, EPSILON)
        self.running_mean.copy_(mean.view(groups, channels).mean(0))
        self.running_var.copy_(variance.view(groups, channels).mean(0))
        return normal.view(group, groups, channels, height, width).transpose(0, 1).reshape(samples.shape)
