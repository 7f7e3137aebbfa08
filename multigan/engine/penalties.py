"""Gradient penalties on the discriminator, for samples of any rank.

Each uses the discriminator as it was built, outside every wrapper, in float32: under reduced precision a penalty can be
almost entirely wrong, and through a data-parallel wrapper its gradients are lost silently.
``discriminate`` maps samples ``(B, *S)`` to logits ``(B,)``.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Discriminate = Callable[[Tensor], Tensor]


def squared_gradient_norm(discriminate: Discriminate, samples: Tensor) -> Tensor:
    """``|| d D(x) / d x ||^2`` for each sample: ``(B, *S) -> (B,)``, differentiable by the parameters."""
    samples = samples.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminate(samples).sum(), samples, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def r1(discriminate: Discriminate, real: Tensor) -> Tensor:
    """``1/2 E ||grad D(real)||^2``, a scalar. Mescheder et al. 2018, arXiv:1801.04406, equation 9."""
    return squared_gradient_norm(discriminate, real).mean() / 2


def r2(discriminate: Discriminate, fake: Tensor) -> Tensor:
    """``1/2 E ||grad D(fake)||^2``, a scalar. Mescheder et al. 2018, arXiv:1801.04406, equation 10."""
    return squared_gradient_norm(discriminate, fake).mean() / 2


def wgan_gp(discriminate: Discriminate, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """``E (||grad D(mix real + (1 - mix) fake)|| - 1)^2``, a scalar. Gulrajani et al. 2017, 1704.00028, equation 3.

    Args:
        discriminate: The discriminator.
        real: ``(B, *S)``.
        fake: ``(B, *S)``.
        mix: ``(B,)``, uniform in [0, 1).
    """
    mix = mix.view(-1, *[1] * (real.dim() - 1))
    squared = squared_gradient_norm(discriminate, mix * real + (1 - mix) * fake)
    # The root's slope is infinite at zero: a dead discriminator would make every gradient NaN.
    return ((squared + 1e-12).sqrt() - 1).square().mean()
