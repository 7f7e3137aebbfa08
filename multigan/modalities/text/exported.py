"""Generators of sentences as functions of tensors, for models that are exported.

What is exported takes the uniform numbers that the choice of tokens needs instead of a latent that seeds them. Its loop
over the places of a sentence is one operator, so that a file does not grow with their number: a state of tensors goes
from one place to the next. An LSTM is written out for that. A decoder of `transformers` reads all tokens anew at each
place, because the cache that saves this grows.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from multigan.exportable import Exportable, TensorInfo, latent_and_label
from multigan.modalities.text import tokenization
from multigan.modalities.text.generators import RecurrentGenerator, TextGenerator, TransformerGenerator

if TYPE_CHECKING:
    from multigan.modalities.text import Text

State: TypeAlias = tuple[Tensor, ...]
COLDEST, HOTTEST = 0.1, 2.0  # temperatures that a page offers


def exportable(modality: Text, generator: Any) -> Exportable:
    """Uniform numbers, temperatures and classes -> token numbers."""
    length, size = generator.length, len(generator.embedding.weight)
    inputs = (
        TensorInfo("numbers", "float32", (length, size), "uniform", 0, 1, "chance: 0 included, 1 not"),
        TensorInfo(
            "temperature",
            "float32",
            (),
            "any",
            COLDEST,
            HOTTEST,
            "below 1 likelier sentences, above 1 more varied ones",
            default=1.0,
        ),
        *(one for one in latent_and_label(modality) if one.name == "label"),
    )
    output = TensorInfo("tokens", "int64", (length,), "whole", 0, size - 1, "up to the first end token")
    about = {"end": generator.end, **tokenization.described(modality.config.vocabulary)}

    def reference(numbers: Tensor, temperature: Tensor, label: Tensor | None = None) -> Tensor:
        before, generator.sampling_temperature = generator.sampling_temperature, temperature[:, None]
        tokens: Tensor = generator.sentences(numbers, label).argmax(2)
        generator.sampling_temperature = before
        return tokens

    return Exportable(Sentences(generator), inputs, output, "sentence", reference, about=about)


class Sentences(nn.Module):
    """Numbers ``(B, T, V)``, temperatures ``(B,)``, condition -> tokens, int64 ``(B, T)``: as `TextGenerator` does."""

    def __init__(self, generator: TextGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, numbers: Tensor, temperature: Tensor, label: Tensor | None = None) -> Tensor:
        from torch._higher_order_ops import scan  # here, because it imports torch's compiler, which takes seconds

        generator, weight = self.generator, cast(Tensor, self.generator.embedding.weight)
        size, length = numbers.shape[0], generator.length
        prefix = [*generator.prefix, *[-1] * (length - len(generator.prefix))]

        def step(carry: State, given: State) -> tuple[State, Tensor]:
            inputs, ended, *state = carry
            noise, place, forced = given
            hidden, *state = advance(generator, generator.with_class(inputs, label), state, place)
            logits = generator.projection(hidden) / temperature[:, None]
            choice = (noise.log().neg().log().neg() + logits).argmax(1)
            choice = torch.where(ended, generator.end, choice)
            choice = torch.where(forced >= 0, forced, choice)
            return (weight[choice], ended | (choice == generator.end), *state), choice

        begin = weight[generator.begin_token].expand(size, -1).clone()
        ended = torch.zeros(size, dtype=torch.bool, device=numbers.device)
        given = numbers.transpose(0, 1), torch.arange(length), torch.tensor(prefix)
        _, tokens = scan(step, (begin, ended, *initial(generator, begin)), given)
        found: Tensor = tokens.transpose(0, 1)
        return found


def initial(generator: Any, inputs: Tensor) -> State:
    """The state before the first place; inputs ``(B, E)``."""
    size = inputs.shape[0]
    if isinstance(generator, RecurrentGenerator):
        return tuple(inputs.new_zeros(size, generator.lstm.hidden_size) for _ in range(2))
    if isinstance(generator, TransformerGenerator):
        return (inputs.new_zeros(size, generator.length, inputs.shape[1]),)
    return (generator.begin(size).clone(),)


def advance(generator: Any, inputs: Tensor, state: list[Tensor], place: Tensor) -> tuple[Tensor, ...]:
    """Inputs ``(B, E)``, the state and the place -> hidden ``(B, H)``, and the new state."""
    if isinstance(generator, RecurrentGenerator):
        hidden, cell = state
        lstm: Any = generator.lstm
        gates = linear(inputs, lstm.weight_ih_l0, lstm.bias_ih_l0) + linear(hidden, lstm.weight_hh_l0, lstm.bias_hh_l0)
        enter, keep, new, leave = gates.chunk(4, 1)
        cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        return hidden, hidden.clone(), cell
    if isinstance(generator, TransformerGenerator):
        (read,) = state
        here = torch.arange(generator.length, device=place.device) == place
        read = torch.where(here[:, None], inputs[:, None], read)
        return (read_by(generator.decoder.base_model, read) * here[:, None]).sum(1), read
    return generator.step(inputs, state[0])  # type: ignore[no-any-return]


def read_by(decoder: Any, inputs: Tensor) -> Tensor:
    """What a decoder of `transformers` makes of embedded tokens: ``(B, T, E) -> (B, T, H)``.

    Without the functions that it wraps its own in, which note down what passes through: a loop may do no such thing.
    """
    hidden: Tensor = inspect.unwrap(type(decoder).forward)(decoder, inputs_embeds=inputs, use_cache=False)[0]
    return hidden
