"""Path length regularisation of a style-based generator: Karras et al. 2020 (StyleGAN2), arXiv:1912.04958, section 3.2.

It asks that a step of a given length in w changes the picture by about as much, wherever w is and whichever way the
step goes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multigan.interface import Condition

DECAY = 0.99  # of the mean length


def path_lengths(synthesize: Callable[[Tensor], Tensor], styles: Tensor, directions: Tensor) -> Tensor:
    """``||J_w^T y||_2`` for each sample, ``(B,)``, differentiable by the parameters.

    The Jacobian's product is the gradient of ``g(w) . y``: appendix B. With a style for each layer, the root of the
    mean over layers of its square.

    Args:
        synthesize: Styles -> samples ``(B, *S)``, a function g of these styles.
        styles: w, ``(B, layers, style_dim)``, with its graph.
        directions: y, ``(B, *S)``, standard normal; divided here by the root of the number of pixels, so that lengths
            do not depend on the resolution.
    """
    pixels = directions[0, 0].numel()
    product = (synthesize(styles) * directions).sum() / pixels**0.5
    (gradient,) = torch.autograd.grad(product, styles, create_graph=True)
    # The root's slope is infinite at zero: a generator that ignores its styles would make every gradient NaN.
    return (gradient.square().sum(2).mean(1) + 1e-12).sqrt()


@dataclass
class PathLength:
    """``weight E (||J_w^T y||_2 - a)^2`` added to the generator's loss: equation 4.

    Attributes:
        weight: Weight of the penalty; 2 in the published code.
        every: Applied in every so many generator phases, with as many times the weight (lazy regularisation).
        mean: a, the moving average of the lengths of the whole batch over the phases before this one, a scalar; it
            starts at 0.
    """

    weight: float
    every: int
    mean: Tensor

    @classmethod
    def new(cls, weight: float, every: int, device: torch.device) -> "PathLength":
        return cls(weight, every, torch.zeros((), device=device))

    def penalty(
        self, generator: Any, latent: Tensor, condition: Condition, directions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The weighted penalty and the mean length, scalars, in full precision on the unwrapped generator."""
        with torch.autocast(latent.device.type, enabled=False):
            styles = generator.layer_styles(latent, condition)
            lengths = path_lengths(lambda styles: generator.synthesize(styles, latent), styles, directions)
            return self.every * self.weight * (lengths - self.mean).square().mean(), lengths.detach().mean()

    def remember(self, length: Tensor) -> None:
        """Update the average with the mean length of a phase over all processes, unless that is not finite."""
        moved = self.mean.lerp(length.to(self.mean.dtype), 1 - DECAY)
        self.mean.copy_(torch.where(length.isfinite(), moved, self.mean))
