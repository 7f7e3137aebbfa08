"""The feature network for sentences: convolutions over word embeddings."""

import torch
from torch import Tensor, nn

from multigan.modalities.text.generators import token_mask

WINDOWS = (1, 2, 3, 4)


class SentenceFeatures(nn.Module):
    """Samples ``(B, T, V) -> (B, 128)``. Kim 2014, arXiv:1408.5882.

    Args:
        vocabulary: V.
        end: The token that ends a sentence; nothing after it is read.
    """

    def __init__(self, vocabulary: int, end: int) -> None:
        super().__init__()
        self.end = end
        self.tokens = nn.Embedding(vocabulary, 64)
        self.filters = nn.ModuleList(nn.Conv1d(64, 64, window, padding=window - 1) for window in WINDOWS)
        self.last = nn.Linear(64 * len(WINDOWS), 128)

    def forward(self, samples: Tensor) -> Tensor:
        tokens = samples.argmax(2)
        embedded = (self.tokens(tokens) * token_mask(tokens == self.end)[..., None]).transpose(1, 2)
        found = torch.cat([filters(embedded).relu().amax(2) for filters in self.filters], 1)
        features: Tensor = self.last(found).relu()
        return features
