"""The distance between two clouds of features, as if each were a Gaussian."""

import torch
from torch import Tensor

BLOCK = 4096  # features in double precision at a time


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``: Heusel et al. 2017, arXiv:1706.08500, equation 6.

    It depends on the feature space and, more than a little, on the number of samples: compare like with like.

    Args:
        real: Features ``(N, F)``.
        fake: Features ``(M, F)``.

    Raises:
        ValueError: A set has fewer than two points.
    """
    (real_mean, real_covariance), (fake_mean, fake_covariance) = moments(real), moments(fake)
    # The roots of the eigenvalues of C1 C2 are those of S C2 S, which is symmetric, where S is the root of C1.
    values, vectors = torch.linalg.eigh(real_covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    roots = torch.linalg.eigvalsh(root @ fake_covariance @ root).clamp_min(0).sqrt().sum()
    means = (real_mean - fake_mean).square().sum()
    return float(means + real_covariance.trace() + fake_covariance.trace() - 2 * roots)


def moments(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(F,)`` and covariance ``(F, F)`` of features ``(N, F)``, in double precision, a block at a time.

    Raises:
        ValueError: There are fewer than two points.
    """
    if len(points) < 2:
        raise ValueError(f"{len(points)} samples are too few for a covariance")
    mean: Tensor = sum(block.double().sum(0) for block in torch.split(points, BLOCK)) / len(points)  # type: ignore[assignment]
    covariance = points.new_zeros(points.shape[1], points.shape[1], dtype=torch.float64)
    for block in torch.split(points, BLOCK):
        away = block.double() - mean
        covariance.addmm_(away.T, away)
    return mean, covariance / (len(points) - 1)
