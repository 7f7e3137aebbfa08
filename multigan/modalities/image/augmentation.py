"""Differentiable augmentation, decided for each sample: Zhao 2020, arXiv:2006.10738; Karras 2020, arXiv:2006.06676."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def affine(samples: Tensor, numbers: Tensor, rotation: float, scaling: float, shift: float) -> Tensor:
    """Turn, scale and move each picture by amounts of its own; edges are repeated outwards.

    Args:
        samples: ``(B, C, H, W)``.
        numbers: ``(B, 4)``, uniform in [0, 1): angle, size, shift across, shift down.
        rotation: Largest angle, in degrees either way.
        scaling: Largest change of size, as a share: 0.1 is from 1 / 1.1 to 1.1.
        shift: Largest shift, as a share of the side.

    Returns:
        ``(B, C, H, W)``.
    """
    angle, size, across, down = (2 * numbers - 1).unbind(1)
    angle, size = angle * math.radians(rotation), (1 + scaling) ** size
    cosine, sine = angle.cos() / size, angle.sin() / size
    # The grid spans [-1, 1], so a share of the side is twice as much there.
    rows = [torch.stack([cosine, -sine, 2 * shift * across], 1), torch.stack([sine, cosine, 2 * shift * down], 1)]
    grid = affine_grid(torch.stack(rows, 1), list(samples.shape), align_corners=False)
    return grid_sample(samples, grid.to(samples.dtype), padding_mode="border", align_corners=False)
