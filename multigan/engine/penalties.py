"""Gradient penalties on the discriminator, for samples of any rank.

Samples are here what the discriminator takes: where it has a method ``represent``, what that made of them.

They are computed in float32: under reduced precision a penalty can be almost entirely wrong.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def squared_gradient_norm(logits: Tensor, samples: Tensor) -> Tensor:
    """``|| d D(x) / d x ||^2`` for each sample, differentiable by the parameters.

    Args:
        logits: ``D(samples)``, ``(B,)``, with its graph.
        samples: ``(B, *S)``, which the logits were computed from and which require a gradient.

    Returns:
        ``(B,)``.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def r1(logits: Tensor, real: Tensor) -> Tensor:
    """``1/2 E ||grad D(real)||^2``, a scalar. Mescheder et al. 2018, arXiv:1801.04406, equation 9."""
    return squared_gradient_norm(logits, real).mean() / 2


def r2(logits: Tensor, fake: Tensor) -> Tensor:
    """``1/2 E ||grad D(fake)||^2``, a scalar. Mescheder et al. 2018, arXiv:1801.04406, equation 10."""
    return squared_gradient_norm(logits, fake).mean() / 2


def wgan_gp(discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """``E (||grad D(mix real + (1 - mix) fake)|| - 1)^2``, a scalar. Gulrajani et al. 2017, 1704.00028, equation 3.

    Args:
        discriminate: Samples ``(B, *S)`` -> logits ``(B,)``.
        real: ``(B, *S)``.
        fake: ``(B, *S)``.
        mix: ``(B,)``, uniform in [0, 1).
    """
    mix = mix.view(-1, *[1] * (real.dim() - 1))
    mixed = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    squared = squared_gradient_norm(discriminate(mixed), mixed)
    # The root's slope is infinite at zero: a dead discriminator would make every gradient NaN.
    return ((squared + 1e-12).sqrt() - 1).square().mean()
