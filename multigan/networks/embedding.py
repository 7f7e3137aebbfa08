"""Embeddings of classes."""

from torch import Tensor, nn


class ClassEmbedding(nn.Embedding):
    """Condition -> ``(B, features)``: the embedding of the class, or the sum of those of several.

    The condition is class numbers, int64 ``(B,)``, or 0 and 1 for each class, ``(B, classes)``; shares of classes make
    the same blend of their embeddings.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 1:
            return super().forward(input)
        return input.to(self.weight.dtype) @ self.weight
