"""The distance between two clouds of features, as if each were a Gaussian."""

import torch
from torch import Tensor


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``: Heusel et al. 2017, arXiv:1706.08500, equation 6.

    It depends on the feature space and, more than a little, on the number of samples: compare like with like.

    Args:
        real: Features ``(N, F)``.
        fake: Features ``(M, F)``.

    Raises:
        ValueError: A set has fewer than two points.
    """
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"{min(len(real), len(fake))} samples are too few for a covariance")
    real, fake = real.double(), fake.double()
    covariances = [torch.cov(points.T).view(points.shape[1], -1) for points in (real, fake)]
    # The trace of the root of a product is the sum of the roots of its eigenvalues, which are real and not negative.
    roots = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp_min(0).sqrt().sum()
    means = (real.mean(0) - fake.mean(0)).square().sum()
    return float(means + covariances[0].trace() + covariances[1].trace() - 2 * roots)
