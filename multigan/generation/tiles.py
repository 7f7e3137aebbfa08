"""Large inputs in overlapping tiles, so that the network needs memory for one of them alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from multigan.interface import Condition, each_tensor, tensors_of
from multigan.modality import Tiling


def tiled(generate: Callable[[Condition], Tensor], condition: Condition, tiling: Tiling | None) -> Tensor:
    """What is generated for a condition, ``(B, ..., H, W)``: at once where it is small, otherwise tile by tile.

    Where tiles overlap, one fades into the next one linearly. Beside the output, memory is needed for one row of tiles.

    Args:
        generate: Condition -> samples; their height and width are those of the condition, times ``tiling.scale``.
        condition: What the generator is told. Tensors whose last two axes are height and width of the input are cut.
        tiling: How; None for at once.
    """
    sides = input_sides(condition)
    if tiling is None or sides is None or max(sides) <= tiling.side:
        return generate(condition)
    height, width = sides
    output: Tensor | None = None
    for top, bottom in spans(height, tiling):
        band: Tensor | None = None
        for left, right in spans(width, tiling):
            tile = generate(each_tensor(condition, partial(cut, sides=sides, at=(top, bottom, left, right))))
            if band is None:
                band = tile.new_empty(*tile.shape[:-1], width * tiling.scale)
            blend(band, tile, left * tiling.scale, tiling.overlap * tiling.scale, -1)
        assert band is not None
        if output is None:
            output = band.new_empty(*band.shape[:-2], height * tiling.scale, band.shape[-1])
        blend(output, band, top * tiling.scale, tiling.overlap * tiling.scale, -2)
    assert output is not None
    return output


def input_sides(condition: Condition) -> tuple[int, int] | None:
    """Height and width of an input: those of the largest tensor with channels, or without; None if there is none."""
    laid_out = [values for values in tensors_of(condition) if values.dim() > 2]
    if not laid_out:
        return None
    height, width = max((values.dim() > 3, values[0, ..., 0].numel(), values.shape[-2:]) for values in laid_out)[-1]
    return height, width


def spans(length: int, tiling: Tiling) -> list[tuple[int, int]]:
    """Where tiles start and stop along an axis; all are equally long, so that the last may overlap by more."""
    side = min(tiling.side, length)
    starts = range(0, length - side, tiling.side - tiling.overlap)
    return [(start, start + side) for start in (*starts, length - side)]


def cut(values: Tensor, sides: tuple[int, int], at: tuple[int, int, int, int]) -> Tensor:
    """One tile of a tensor of these sides; others are left as they are."""
    top, bottom, left, right = at
    return values[..., top:bottom, left:right] if values.dim() > 2 and tuple(values.shape[-2:]) == sides else values


def blend(target: Tensor, part: Tensor, start: int, overlap: int, axis: int) -> None:
    """Put a part into its place along an axis; where it begins, what is there already fades into it.

    It is a mean of both with weights that sum to 1, and where both are equal, it is exactly what they are.
    """
    place = target.narrow(axis, start, part.shape[axis])
    faded = min(overlap, part.shape[axis]) if start else 0
    if faded:
        weights = (torch.arange(faded, dtype=part.dtype, device=part.device) + 0.5) / faded
        weights = weights.view(-1, *[1] * (-axis - 1))
        before = place.narrow(axis, 0, faded)
        before.lerp_(part.narrow(axis, 0, faded), weights)
    rest = part.shape[axis] - faded
    place.narrow(axis, faded, rest).copy_(part.narrow(axis, faded, rest))
