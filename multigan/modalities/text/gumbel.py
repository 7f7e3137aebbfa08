"""Gumbel-softmax: gradients through the choice of tokens.

Jang et al. 2017, arXiv:1611.01144, and Maddison et al. 2017, arXiv:1611.00712. To draw from a softmax, add Gumbel noise
to the logits and take the largest; a softmax of the noisy logits at a temperature is a smooth stand-in for that choice.
"""

import hashlib
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Estimator: TypeAlias = Literal["straight_through", "soft"]
Schedule: TypeAlias = Literal["exponential", "linear", "constant"]


def temperature_at(share: float, first: float, last: float, schedule: Schedule) -> float:
    """The temperature at a share of the schedule, from 0 to 1."""
    if schedule == "constant":
        return first
    if schedule == "linear":
        return first + (last - first) * share
    return float(first * (last / first) ** share)


def uniform(latent: Tensor, shape: tuple[int, int]) -> Tensor:
    """Uniform numbers in [0, 1), float32 ``(B, *shape)``: row i depends on latent i alone, float ``(B, L)``.

    The latent seeds a generator of numbers on the device; on another kind of device they are others. A latent with a
    number for every word that might stand at every place would be drawn by every process, on the CPU, for the whole
    batch.
    """
    numbers = torch.empty(len(latent), *shape, dtype=torch.float32, device=latent.device)
    generator = torch.Generator(latent.device)
    for row, key in zip(numbers, latent.float().cpu().numpy(), strict=True):
        seed = int.from_bytes(hashlib.blake2b(key.tobytes(), digest_size=8).digest()) >> 1
        row.uniform_(generator=generator.manual_seed(seed))
    return numbers


def sample(
    logits: Tensor, numbers: Tensor, ended: Tensor, end: int, temperature: float, estimator: Estimator
) -> tuple[Tensor, Tensor]:
    """Draw one token per sentence.

    Args:
        logits: ``(B, V)``, float32 or float64: half precision has no place for the noise.
        numbers: Uniform in [0, 1), ``(B, V)``.
        ended: ``(B,)``, which sentences are over: their token is the end, and no gradient comes from it.
        end: The token that ends a sentence.
        temperature: Of the smooth stand-in. Under about 0.1 most of its gradients are zero.
        estimator: soft gives the stand-in itself; straight_through a choice, with the gradient of the stand-in.

    Returns:
        The tokens ``(B, V)``, on the simplex, and which of them is the largest, ``(B,)``.
    """
    scores = numbers.log().neg_().log_().neg_().to(logits.dtype).add_(logits.detach())
    choice = scores.argmax(1).masked_fill_(ended, end)
    if estimator == "straight_through" and not (logits.requires_grad and torch.is_grad_enabled()):
        return chosen(choice, scores), choice
    scores.masked_fill_(ended[:, None], -torch.inf)[:, end].masked_fill_(ended, 0)
    hard = chosen(choice, scores) if estimator == "straight_through" else None
    choose: Any = GumbelSoftmax.apply
    return choose(logits, scores.div_(temperature), temperature, hard), choice


def chosen(choice: Tensor, like: Tensor) -> Tensor:
    """Tokens ``(B,)`` as one-hot ``(B, V)``, with the shape and type of another tensor."""
    return torch.zeros_like(like).scatter_(1, choice[:, None], 1)


class GumbelSoftmax(torch.autograd.Function):
    """The softmax of noisy logits at a temperature, or the hard choice with the softmax's gradient.

    As one function, so that of all that is as large as the vocabulary only the softmax is kept for the way back.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, scores: Tensor, temperature: float, hard: Tensor | None) -> Tensor:
        soft = torch.softmax(scores, 1)
        ctx.temperature = temperature
        ctx.save_for_backward(soft)
        return soft if hard is None else hard

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (soft,) = ctx.saved_tensors
        pulled = gradient * soft
        return (pulled - soft * pulled.sum(1, keepdim=True)) / ctx.temperature, None, None, None
