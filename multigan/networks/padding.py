"""Pictures of any size for networks that halve and double the sides."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def pad_to_multiple(pictures: Tensor, multiple: int, least: int = 1) -> Tensor:
    """``(B, C, H, W) -> (B, C, H', W')``: each side the next multiple, and at least ``least`` times ``multiple``.

    The last row and column are repeated, which works at any size; a reflection must be smaller than the picture. The
    caller crops the result: `cropped`.
    """
    height, width = pictures.shape[2:]
    if torch.compiler.is_exporting():  # without a decision, which would fix what sides are possible
        return pad(pictures, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    below, right = (max(-side % multiple, least * multiple - side) for side in (height, width))
    if not (below or right):
        return pictures
    return pad(pictures, (0, right, 0, below), mode="replicate")


def cropped(pictures: Tensor, height: int, width: int) -> Tensor:
    """The caller's crop: ``(B, C, H', W')`` -> ``(B, C, height, width)``."""
    if torch.compiler.is_exporting():  # a view would be compared with the whole, and what comes out taken for a rule
        rows, columns = (torch.arange(side, device=pictures.device) for side in (height, width))
        return pictures.index_select(2, rows).index_select(3, columns)
    return pictures[..., :height, :width]
