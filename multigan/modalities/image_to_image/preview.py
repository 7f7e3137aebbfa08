"""Pictures to look at: inputs, outputs and truths side by side."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from multigan.modalities.image_to_image.tasks import Task
from multigan.pictures import output

GROUPS = 4  # examples in a row of the grid
LARGEST = 1024  # pixels of a side that is shown; a grid of what is larger would need gigabytes


def pairs(task: Task, condition: Tensor, generated: Tensor, real: Tensor | None, path: Path) -> list[Path]:
    """A grid of input, output and truth, several examples in a row; both directions of unpaired pictures.

    Large ones are shown smaller.
    """
    condition, generated, real = smaller(task.scale, condition, generated, real)
    columns = [task.shown(condition), generated, *([] if real is None else [real])]
    if generated.shape[1] == 2 * task.channels:  # first the pictures of A and what became of them, then those of B
        columns = [torch.cat(column.chunk(2, 1)[::-1]) for column in columns]
    channels = max(column.shape[1] for column in columns)
    columns = [column.expand(-1, channels, -1, -1) for column in columns]
    cells = torch.stack(columns, 1).flatten(0, 1)
    return output.grid(cells, path, min(GROUPS, len(columns[0])) * len(columns))


def smaller(
    scale: int, condition: Tensor, generated: Tensor, real: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """All three at a share of their sides, where outputs, ``scale`` times as large as inputs, have too large ones."""
    shrink = -(-max(generated.shape[2:]) // LARGEST)
    if shrink == 1:
        return condition, generated, real
    sides = [max(side // shrink, 1) for side in condition.shape[2:]]
    large = [side * scale for side in sides]
    condition = interpolate(condition, sides, mode="area")
    return (
        condition,
        interpolate(generated, large, mode="area"),
        real if real is None else interpolate(real, large, mode="area"),
    )
