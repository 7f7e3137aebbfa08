"""The distance between two clouds of features by a kernel: no Gaussian is assumed, and few samples do no harm."""

from typing import NamedTuple

import torch
from torch import Tensor

SUBSETS, SIZE = 100, 1000


class KernelDistance(NamedTuple):
    """Mean over the subsets, and their standard deviation."""

    mean: float
    std: float


def kernel_distance(real: Tensor, fake: Tensor, seed: int = 0) -> KernelDistance:
    """The squared maximum mean discrepancy with the kernel ``(x.y / F + 1)^3``, without bias.

    Binkowski et al. 2018 (KID), arXiv:1801.01401, section 4: over 100 subsets of 1,000 of each, or of half where there
    are fewer than twice as many. Around zero, and below it as often as above, for two samples of one distribution.

    Args:
        real: Features ``(N, F)``.
        fake: Features ``(M, F)``.
        seed: Of the subsets.

    Raises:
        ValueError: A set has fewer than four points.
    """
    least = min(len(real), len(fake))
    size = min(SIZE, least // 2)
    if size < 2:
        raise ValueError(f"{least} samples are too few for a kernel distance")
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(SUBSETS):
        x, y = (points[torch.randperm(len(points), generator=generator)[:size]].double() for points in (real, fake))
        found.append(squared_discrepancy(x, y))
    values = torch.stack(found)
    return KernelDistance(values.mean().item(), values.std().item())


def squared_discrepancy(x: Tensor, y: Tensor) -> Tensor:
    """The estimate without bias for two sets of one size, ``(n, F)``: a scalar."""
    count, dimensions = x.shape
    within = sum((kernel.sum() - kernel.trace()) for kernel in ((a @ a.T / dimensions + 1) ** 3 for a in (x, y)))
    across = ((x @ y.T / dimensions + 1) ** 3).mean()
    discrepancy: Tensor = within / (count * (count - 1)) - 2 * across
    return discrepancy
