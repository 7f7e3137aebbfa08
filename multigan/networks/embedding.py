"""Embeddings of classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class ClassEmbedding(nn.Embedding):
    """Condition -> ``(B, features)``: the embedding of the class, or the sum of those of several.

    The condition is class numbers, int64 ``(B,)``, or 0 and 1 for each class, ``(B, classes)``; shares of classes make
    the same blend of their embeddings.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 1:
            return super().forward(input)
        return input.to(self.weight.dtype) @ self.weight


def class_weights(condition: Tensor, classes: int) -> Tensor:
    """Class numbers ``(B,)``, or weights ``(B, classes)`` as they are, as weights that can be blended."""
    rows = one_hot(condition, classes) if condition.dim() == 1 else condition
    return rows.to(torch.get_default_dtype())
