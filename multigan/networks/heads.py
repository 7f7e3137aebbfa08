"""Heads of discriminators: from features to logits."""

from torch import Tensor, nn

from multigan.networks.embedding import ClassEmbedding


class ProjectionHead(nn.Module):
    """``(B, features), condition -> (B,)`` logits: a linear layer, and the class by projection.

    Miyato and Koyama 2018, arXiv:1802.05637, equation 3. The projection starts at
    zero, so that at first the class makes no difference.

    Args:
        features: Numbers in a sample's features.
        classes: Number of classes; 0 for an unconditional discriminator.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(features, 1)
        self.projection = ClassEmbedding(classes, features) if classes else None
        if self.projection is not None:
            nn.init.zeros_(self.projection.weight)

    def forward(self, features: Tensor, condition: Tensor | None) -> Tensor:
        logits: Tensor = self.last(features).squeeze(1)
        if self.projection is not None:
            logits = logits + (self.projection(condition) * features).sum(1)
        return logits
