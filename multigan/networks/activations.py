"""Activation functions."""

import torch
from torch import Tensor, nn

LEAK = 0.2


def leaky_relu(samples: Tensor) -> Tensor:
    """``x`` where it is positive, else a fifth of ``x``: a product with a mask that is a constant to autograd.

    The second derivative of a leaky ReLU is zero, but PyTorch's own does not say so: for a gradient penalty, zeros are
    sent back through the whole network. As a product the gradients are the same, without that work.
    """
    if not torch.is_grad_enabled():
        return nn.functional.leaky_relu(samples, LEAK)
    return samples * (samples.detach() > 0).to(samples.dtype).clamp_min_(LEAK)
