"""Discriminators of sentences: samples ``(B, T, V)`` on the simplex, masked after their ends."""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from multigan.modalities.text.generators import token_mask
from multigan.networks.activations import leaky_relu
from multigan.networks.heads import ProjectionHead

WINDOWS = (2, 3, 4, 5)  # filter widths in tokens


class Embedded(nn.Module):
    """``(B, T, V) -> (B, T, width)``, zeros after the end of each sentence; and where there is none, ``(B, T)``."""

    def __init__(self, vocabulary: int, width: int, end: int) -> None:
        super().__init__()
        self.end = end
        self.weight = nn.Parameter(torch.randn(vocabulary, width))

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        present = token_mask(samples[..., self.end] > 0.5)
        return samples @ self.weight * present[..., None], present


class ConvolutionalTextDiscriminator(nn.Module):
    """Convolutions of several widths over several token embeddings, max-pooled over time, after RelGAN.

    Nie et al. 2019 slide the same filters over every embedding; here each embedding has filters of its own, fewer of
    them, and all answers are judged together.

    Args:
        vocabulary: V.
        width: Filters of each of the four widths, over all embeddings.
        representations: Embeddings.
        classes: Number of classes; 0 for an unconditional discriminator.
        end: The token that ends a sentence.
    """

    def __init__(self, vocabulary: int, width: int, representations: int, classes: int, end: int) -> None:
        super().__init__()
        self.embedded = Embedded(vocabulary, width, end)
        self.filters = nn.ModuleList(
            nn.Conv1d(width, width, window, padding=window - 1, groups=representations) for window in WINDOWS
        )
        features = len(WINDOWS) * width
        self.mix = nn.Linear(features, features)
        self.head = ProjectionHead(features, classes)

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        embedded = self.embedded(samples)[0].transpose(1, 2)
        features = torch.cat([leaky_relu(filters(embedded)).amax(2) for filters in self.filters], 1)
        logits: Tensor = self.head(leaky_relu(self.mix(features)), condition)
        return logits


class TransformerTextDiscriminator(nn.Module):
    """A transformer encoder on soft embeddings, averaged over the tokens of a sentence.

    Args:
        vocabulary: V.
        length: T.
        width: Numbers in an embedded token.
        classes: Number of classes; 0 for an unconditional discriminator.
        end: The token that ends a sentence.
        layers: Of the encoder.
        heads: Of its attention.
    """

    def __init__(
        self, vocabulary: int, length: int, width: int, classes: int, end: int, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.embedded = Embedded(vocabulary, width, end)
        self.positions = nn.Parameter(torch.randn(length, width) / 2)
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = ProjectionHead(width, classes)

    def forward(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        embedded, present = self.embedded(samples)
        # Only this implementation of attention has the second derivatives that gradient penalties need.
        with sdpa_kernel(SDPBackend.MATH):
            encoded = self.encoder(embedded + self.positions, src_key_padding_mask=~present)
        kept = present[..., None].to(encoded)
        logits: Tensor = self.head((encoded * kept).sum(1) / kept.sum(1), condition)
        return logits
