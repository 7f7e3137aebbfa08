"""Quality and variety by nearest neighbours in a feature space."""

from typing import NamedTuple

import torch
from torch import Tensor


class Neighbours(NamedTuple):
    """Shares from 0 to 1.

    Attributes:
        precision: Of generated samples, those inside the real manifold: quality. Kynkaanniemi et al. 2019,
            arXiv:1904.06991, equation 1.
        recall: Of real samples, those inside the generated manifold: variety. The same, equation 2.
        coverage: Of real samples, those whose own neighbourhood holds a generated one: variety, and less easily
            fooled by outliers. Naeem et al. 2020, arXiv:2002.09797, equation 6.
    """

    precision: float
    recall: float
    coverage: float


def neighbours(real: Tensor, fake: Tensor, k: int = 5) -> Neighbours:
    """Precision, recall and coverage.

    A manifold is the union of the balls around its points, each reaching to the point's k-th nearest neighbour in its
    own set.

    Args:
        real: Features ``(N, F)``.
        fake: Features ``(M, F)``.
        k: Which neighbour sets the radius.

    Raises:
        ValueError: A set has k points or fewer.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"{min(len(real), len(fake))} samples are too few for {k} neighbours")
    real, fake = real.double(), fake.double()
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    distances = torch.cdist(fake, real)
    return Neighbours(
        precision=(distances <= real_radii).any(1).double().mean().item(),
        recall=(distances <= fake_radii[:, None]).any(0).double().mean().item(),
        coverage=(distances.min(0).values <= real_radii).double().mean().item(),
    )


def radii(points: Tensor, k: int) -> Tensor:
    """Each point's distance to its k-th nearest other point: ``(N, F) -> (N,)``."""
    # Smallest first, the smallest of all is the point itself.
    return torch.cdist(points, points).kthvalue(k + 1, dim=1).values
