"""Holes in pictures, from uniform random numbers: a square, or strokes as of a brush."""

from __future__ import annotations

import torch
from torch import Tensor

STROKES = 4
THINNEST = 2**0.5  # pixels of a stroke's thickness, so that the pixel that its end is in belongs to it
NUMBERS = 2 + 4 * STROKES  # a square takes the first two, each stroke the two ends of a line


def squares(numbers: Tensor, sides: torch.Size, share: float) -> Tensor:
    """One square a picture, ``(B, 1, H, W)`` of true and false, anywhere in it.

    Args:
        numbers: Uniform in [0, 1), ``(B, NUMBERS)``.
        sides: Height and width.
        share: Side of the square over the shorter side of the picture.
    """
    size = min(max(1, round(share * min(sides))), min(sides) - 1)  # neither nothing nor everything
    inside = []
    for axis, side in enumerate(sides):
        start = (numbers[:, axis, None] * (side - size + 1)).long()
        place = torch.arange(side, device=numbers.device)[None]
        inside.append((place >= start) & (place < start + size))
    return inside[0][:, None, :, None] & inside[1][:, None, None, :]


def strokes(numbers: Tensor, sides: torch.Size, share: float) -> Tensor:
    """Some straight strokes a picture, ``(B, 1, H, W)`` of true and false, from anywhere to anywhere.

    Args:
        numbers: Uniform in [0, 1), ``(B, NUMBERS)``.
        sides: Height and width.
        share: Thickness of all strokes together over the shorter side of the picture; each covers one pixel at least.
    """
    ends = numbers[:, 2:].view(-1, STROKES, 2, 2, 1, 1) * numbers.new_tensor(sides).view(2, 1, 1)
    first, second = ends[:, :, 0], ends[:, :, 1]  # (B, STROKES, 2, 1, 1)
    grid = torch.meshgrid(*(torch.arange(side, device=numbers.device) + 0.5 for side in sides), indexing="ij")
    offsets = torch.stack(grid) - first
    way = second - first
    along = ((offsets * way).sum(2, keepdim=True) / way.square().sum(2, keepdim=True).clamp(min=1e-6)).clamp(0, 1)
    distance = (offsets - along * way).square().sum(2).sqrt()  # of each pixel from the line
    half = max(share * min(sides) / (2 * STROKES), THINNEST / 2)
    return (distance <= half).any(1, keepdim=True)
