"""What passes between the engine and the networks: conditions, the discriminator's output, the generator's.

Shapes: ``B`` is the number of samples in a batch, ``S`` the shape of one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

if TYPE_CHECKING:
    from torch import Tensor

Condition: TypeAlias = Union["Tensor", "dict[str, Tensor]", None]
"""What both networks are told beside latents or samples: nothing, the classes, a picture, or several of these by name.
The first axis of every tensor is the batch."""


def full_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32; others unchanged."""
    return values.float() if values.element_size() < 4 else values


def each_tensor(condition: Condition, change: Callable[[Tensor], Tensor]) -> Condition:
    """A condition with every tensor of it changed."""
    if isinstance(condition, dict):
        return {name: change(value) for name, value in condition.items()}
    return None if condition is None else change(condition)


def tensors_of(condition: Condition) -> list[Tensor]:
    """All tensors of a condition."""
    return list(condition.values()) if isinstance(condition, dict) else [] if condition is None else [condition]


def joined(conditions: Sequence[Condition]) -> Condition:
    """One condition of several, along the batch."""
    import torch

    first = conditions[0]
    if isinstance(first, dict):
        return {name: torch.cat([one[name] for one in conditions if isinstance(one, dict)]) for name in first}
    return None if first is None else torch.cat([one for one in conditions if isinstance(one, torch.Tensor)])


class DiscriminatorOutput(NamedTuple):
    """Logits of a discriminator with several heads, or one that also returns its features.

    The objective is the mean over the heads, so that its scale does not depend on how many there are.

    Attributes:
        heads: Raw logits of each head, ``(B, ...)``: one a sample, or one for each place of it.
        features: Activations that a generator's loss may compare, ``(B, ...)`` each.
    """

    heads: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()

    @property
    def logits(self) -> Tensor:
        """One logit a sample, ``(B,)``: the mean over the places of a head, and then over the heads.

        Penalties, augmentation and metrics are computed from these.
        """
        means = [head if head.dim() == 1 else head.flatten(1).mean(1) for head in self.heads]
        total = means[0]
        for mean in means[1:]:
            total = total + mean
        return total / len(means) if len(means) > 1 else total


class GeneratorOutput(NamedTuple):
    """What a generator made in its phase, for the losses that a modality adds to the objective.

    Attributes:
        generate: ``(latent, condition) -> samples``: the generator that is trained, to be applied again.
        latent: ``(B, latent_dim)``.
        condition: What it was told.
        real: Real samples ``(B, *S)`` of the same rows.
        fake: The samples ``(B, *S)`` that it made, with their graph.
        judged: What the discriminator says of them, with its graph.
        judge_real: What it says of the real samples, without a graph; computed when it is first called.
    """

    generate: Callable[[Tensor, Condition], Tensor]
    latent: Tensor
    condition: Condition
    real: Tensor
    fake: Tensor
    judged: DiscriminatorOutput
    judge_real: Callable[[], DiscriminatorOutput]
