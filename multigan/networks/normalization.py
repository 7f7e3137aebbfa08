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
        size = len(samples)
        group = min(GROUP, size)
        if size % group:
            raise ValueError(
                f"batch normalisation takes groups of {GROUP} samples, and {size} samples for each process and "
                "micro-batch is not a multiple: change batch_size or micro_batches"
            )
        # Each group moves running statistics of its own, and their mean is kept: the order of groups has no part in it.
        means, variances = (statistic.repeat(size // group, 1) for statistic in (self.running_mean, self.running_var))
        normal = [
            batch_norm(part, mean, variance, self.weight, self.bias, True, MOMENTUM, EPSILON)
            for part, mean, variance in zip(torch.split(samples, group), means, variances, strict=True)
        ]
        self.running_mean.copy_(means.mean(0))
        self.running_var.copy_(variances.mean(0))
        return torch.cat(normal)
