"""What a modality says of its generator so that it can be exported: a function of tensors, and what these mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from multigan.modality import Modality

Kind = Literal["picture", "sound", "sentence", "values"]


class TensorInfo(NamedTuple):
    """An input or the output of an exported model. Its first axis is the batch, of any size.

    Attributes:
        name: What the model calls it.
        type: As numpy calls it.
        shape: Without the batch; an axis of any size by its name.
        values: ``standard normal``, or ``uniform`` for numbers from ``low`` to ``high``, or ``whole`` for whole
            numbers from ``low`` to ``high``, or ``any`` for numbers between them that do not come by chance.
        low: The least value; None for none.
        high: The largest.
        meaning: What it is, for people.
        default: What to give where one has no wish.
    """

    name: str
    type: str
    shape: tuple[int | str, ...]
    values: Literal["standard normal", "uniform", "whole", "any"]
    low: float | None = None
    high: float | None = None
    meaning: str = ""
    default: float | None = None


class Exportable(NamedTuple):
    """A generator as a function of tensors.

    Attributes:
        module: Tensors as ``inputs`` describes them -> a tensor as ``output`` does. It draws no random numbers, and
            takes the size of the batch from ``tensor.shape[0]``: ``len(tensor)`` would fix it.
        inputs: What it takes, in order.
        output: What it returns. Whole numbers must be the same in the exported model, others nearly so.
        kind: How a page shows the output: a picture ``(channels, height, width)``, a sound ``(channels, samples)``, a
            sentence of token numbers ``(length,)``, or plain values.
        reference: What the output is held against, of the same inputs. None is the module itself.
        axes: Of axes of any size: two sizes that they may have, to trace and to check with.
        about: What else one needs to know, as plain values: ``sampling_rate`` of a sound, ``tokens`` of sentences.
    """

    module: nn.Module
    inputs: tuple[TensorInfo, ...]
    output: TensorInfo
    kind: Kind = "values"
    reference: Callable[..., Tensor] | None = None
    axes: Mapping[str, tuple[int, int]] = {}
    about: Mapping[str, Any] = {}


class FromLatents(nn.Module):
    """``network`` with what it takes one after another, and its samples in the form that is exported.

    Args:
        network: A generator.
        latent: Whether it is given a latent; if not, one of no numbers.
        to_output: Samples -> what is returned; None leaves them as they are.
    """

    def __init__(self, network: nn.Module, latent: bool, to_output: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.network, self.latent, self.to_output = network, latent, to_output

    def forward(self, *inputs: Tensor) -> Tensor:
        latent, others = inputs[0], inputs[1:]
        if not self.latent:
            latent, others = torch.zeros(inputs[0].shape[0], 0, device=inputs[0].device), inputs
        samples: Tensor = self.network(latent, *(others or (None,)))
        return samples if self.to_output is None else self.to_output(samples)


def latent_exportable(
    modality: Modality,
    generator: nn.Module,
    to_output: Callable[[Tensor], Tensor] | None = None,
    name: str = "sample",
    kind: Kind = "values",
    bounded: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Exportable:
    """A generator of latents and classes.

    Args:
        modality: What it is of.
        generator: In evaluation mode.
        to_output: Samples ``(B, *S)`` -> what the exported model returns; None leaves them as they are.
        name: Of the output.
        kind: As in `Exportable`.
        bounded: Whether outputs are in [-1, 1].
        about: As in `Exportable`.
    """
    inputs = latent_and_label(modality)
    module = FromLatents(generator, bool(modality.config.latent_dim), to_output)
    tried = [torch.zeros(1, *one.shape, dtype=getattr(torch, one.type)) for one in inputs]  # type: ignore[arg-type]
    with torch.no_grad():
        shape = tuple(module(*tried).shape[1:])
    limits = (-1.0, 1.0) if bounded else (None, None)
    return Exportable(module, inputs, TensorInfo(name, "float32", shape, "any", *limits), kind, about=about or {})


def latent_and_label(modality: Modality) -> tuple[TensorInfo, ...]:
    """The latent, if the generator takes one, and the class, if it is conditional."""
    dim, classes, found = modality.config.latent_dim, len(modality.classes), []
    if dim:
        found.append(TensorInfo("latent", "float32", (dim,), "standard normal", meaning="what makes samples differ"))
    if classes and modality.config.combinations:
        found.append(TensorInfo("label", "int8", (classes,), "whole", 0, 1, "1 for each class that a sample has"))
    elif classes:
        found.append(TensorInfo("label", "int64", (), "whole", 0, classes - 1, "number of the class"))
    return tuple(found)
