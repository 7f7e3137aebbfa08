"""Differentiable augmentation, decided for each sample: Zhao 2020, arXiv:2006.10738; Karras 2020, arXiv:2006.06676."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def affine(samples: Tensor, numbers: Tensor, rotation: float, scaling: float, shift: float) -> Tensor:
    """Rotate, scale and shift each picture by its own random amounts; edge pixels are repeated.

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
    longer = samples.shape[2] / samples.shape[3]  # and the sides of a rectangle are both 2 long there
    rows = [
        torch.stack([cosine, -sine * longer, 2 * shift * across], 1),
        torch.stack([sine / longer, cosine, 2 * shift * down], 1),
    ]
    grid = affine_grid(torch.stack(rows, 1), list(samples.shape), align_corners=False)
    return grid_sample(samples, grid.to(samples.dtype), padding_mode="border", align_corners=False)


def flip(samples: Tensor, numbers: Tensor) -> Tensor:
    """Mirror each picture with probability 1/2.

    Args:
        samples: ``(B, C, H, W)``.
        numbers: ``(B, 1)``, uniform in [0, 1).
    """
    return torch.where(numbers.view(-1, 1, 1, 1) < 0.5, samples.flip(3), samples)


def color(samples: Tensor, numbers: Tensor, strength: float) -> Tensor:
    """Change brightness, saturation and contrast of each picture by its own random amounts.

    Args:
        samples: ``(B, C, H, W)`` in [-1, 1]; a fourth channel, transparency, stays as it is.
        numbers: ``(B, 3)``, uniform in [0, 1): brightness, saturation, contrast.
        strength: The most that brightness is moved by, and, as a share, that the other two are.
    """
    if samples.shape[1] == 4:
        return torch.cat([color(samples[:, :3], numbers, strength), samples[:, 3:]], 1)
    brightness, saturation, contrast = (strength * (2 * numbers - 1)).view(-1, 3, 1, 1, 1).unbind(1)
    samples = samples + brightness
    grey = samples.mean(1, keepdim=True)
    samples = grey + (samples - grey) * (1 + saturation)
    middle = samples.mean((1, 2, 3), keepdim=True)
    return middle + (samples - middle) * (1 + contrast)


def cutout(samples: Tensor, numbers: Tensor, share: float) -> Tensor:
    """Make a square of each picture grey at its own random position; at an edge it is cut off.

    Args:
        samples: ``(B, C, H, W)``.
        numbers: ``(B, 2)``, uniform in [0, 1): the middle of the square, down and across.
        share: Its side, as a share of the picture's.
    """
    sides = []
    for axis, place in enumerate(numbers.unbind(1)):
        length = samples.shape[2 + axis]
        away = torch.arange(length, device=samples.device) - (place[:, None] * length).floor()
        sides.append(away.abs() < share * length / 2)
    covered = sides[0][:, None, :, None] & sides[1][:, None, None, :]
    return samples.masked_fill(covered, 0)
