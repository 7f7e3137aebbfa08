"""Quality, variety and copying by nearest neighbours in a feature space, a block of distances at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

K = 5  # neighbours, as in the papers below
BLOCK = 2**24  # distances held at a time: 128 megabytes
TIE = 1 + 1e-9  # what a distance may be over a radius that it equals: of copies both are one, rounded in two ways
SAME = 1e-5  # of the usual length of features: nearer ones are of the same sample, and differ by rounding


class Neighbours(NamedTuple):
    """Shares from 0 to 1, but for density.

    Attributes:
        precision: Of generated samples, those inside the real manifold: quality. Kynkaanniemi et al. 2019,
            arXiv:1904.06991, equation 1.
        recall: Of real samples, those inside the generated manifold: variety. The same, equation 2.
        density: In how many real neighbourhoods a generated sample is, over k, on average: quality, and less easily
            fooled by outliers; 1 as for real ones, and above it where the data is densest. Naeem et al. 2020,
            arXiv:2002.09797, equation 5.
        coverage: Of real samples, those whose own neighbourhood holds a generated one: variety. The same, equation 6.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbours(real: Tensor, fake: Tensor, k: int = 5, real_radii: Tensor | None = None) -> Neighbours:
    """Precision, recall, density and coverage.

    A manifold is the union of the balls around its points, each reaching to the point's k-th nearest neighbour in its
    own set.

    Args:
        real: Features ``(N, F)``.
        fake: Features ``(M, F)``.
        k: Which neighbour sets the radius.
        real_radii: `radii` of the real ones, where they are known.

    Raises:
        ValueError: A set has k points or fewer.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{min(len(real), len(fake))} samples are too few for {k} neighbours")
    real_radii = TIE * (radii(real, k) if real_radii is None else real_radii)
    fake_radii = TIE * radii(fake, k)
    held = inside = torch.zeros((), dtype=torch.int64, device=real.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for rows, distances in blocks(fake, real):
        within = distances <= real_radii
        held, inside = held + within.sum(), inside + within.any(1).sum()
        covered |= within.any(0)
        recalled |= (distances <= fake_radii[rows, None]).any(0)
    return Neighbours(
        precision=inside.item() / len(fake),
        recall=recalled.double().mean().item(),
        density=held.item() / (k * len(fake)),
        coverage=covered.double().mean().item(),
    )


def radii(points: Tensor, k: int) -> Tensor:
    """Each point's distance to its k-th nearest other point: ``(N, F) -> (N,)``."""
    # Smallest first, the smallest of all is the point itself.
    return torch.cat([distances.kthvalue(k + 1, dim=1).values for _, distances in blocks(points, points)])


def nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Of each point the distance to the nearest of others, and which that is: ``(N, F), (M, F) -> (N,), (N,)``."""
    found = [distances.min(1) for _, distances in blocks(points, others)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


def blocks(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Distances ``(b, M)`` of some points ``(N, F)`` after others from all of ``(M, F)``, and which points they are."""
    # In single precision, or far from zero, points near one another would be at no distance or at a wrong one. Squares
    # by |x|^2 - 2 x.y + |y|^2 and not by cdist, which copies all the others for every block.
    center = others.mean(0, dtype=torch.float64).round()  # of whole numbers, equal distances stay equal
    others, size = others - center, max(1, BLOCK // len(others))
    squares = torch.einsum("nf,nf->n", others, others)
    rounding = SAME * squares.mean().sqrt()
    for start in range(0, len(points), size):
        rows = slice(start, start + size)
        some = points[rows] - center
        distances = torch.addmm(squares, some, others.T, alpha=-2).add_(some.square().sum(1, keepdim=True))
        distances = distances.clamp_min_(0).sqrt_()
        yield rows, distances.masked_fill_(distances < rounding, 0)
