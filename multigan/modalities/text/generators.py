"""Generators of sentences: each forward pass generates whole sentences, token by token, from a latent.

A sample is ``(B, T, V)``: at each of T places a point of the simplex over V tokens, a corner where a token was chosen.
After the token that ends a sentence there are only more of it.
"""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from multigan.errors import UserError
from multigan.interface import full_precision
from multigan.modalities.text import gumbel
from multigan.modalities.text.gumbel import Estimator
from multigan.networks.embedding import ClassEmbedding


class TextGenerator(nn.Module):
    """The base of all generators: drawing tokens, and the likelihood of given sentences.

    Args:
        length: Tokens in a sample.
        begin: The token before a sentence.
        end: The token that ends a sentence, and follows it.
        estimator: How gradients get past the choice of a token.

    Attributes:
        temperature: Of the Gumbel-softmax in training; the modality sets it by the step.
        sampling_temperature: Logits are divided by it when generating (evaluation mode).
        prefix: Tokens that every sentence begins with when generating.
    """

    def __init__(self, length: int, begin: int, end: int, estimator: Estimator) -> None:
        super().__init__()
        self.length, self.begin_token, self.end, self.estimator = length, begin, end, estimator
        self.temperature, self.sampling_temperature = 1.0, 1.0
        self.prefix: Sequence[int] = ()

    # --- implemented by each generator ---

    @property
    @abstractmethod
    def embedding(self) -> nn.Module:
        """The layer whose weight embeds tokens, ``(V, E)``."""

    @property
    @abstractmethod
    def projection(self) -> nn.Module:
        """``(..., H) -> (..., V)``, logits."""

    @abstractmethod
    def begin(self, size: int) -> Any:
        """The initial recurrent state of a batch of sentences."""

    @abstractmethod
    def step(self, inputs: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """One step: the previous token ``(B, E)`` and the state -> hidden ``(B, H)`` and the new state."""

    @abstractmethod
    def read(self, inputs: Tensor) -> Tensor:
        """All steps of given sentences at once (teacher forcing): ``(B, T, E) -> (B, T, H)``."""

    # --- shared by all ---

    def with_class(self, inputs: Tensor, condition: Tensor | None) -> Tensor:
        """Inputs ``(B, E)`` or ``(B, T, E)`` with the embedding of the class added."""
        if self.class_embedding is None:
            return inputs
        with_class: Tensor = self.class_embedding(condition).view(inputs.shape[0], *[1] * (inputs.dim() - 2), -1)
        return inputs + with_class

    def add_class_embedding(self, classes: int, width: int) -> None:
        """Create the class embeddings, if there are classes."""
        self.class_embedding = ClassEmbedding(classes, width) if classes else None

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """``(B, L)``, ``(B,)`` or None -> samples ``(B, T, V)``."""
        weight: Any = self.embedding.weight
        return self.sentences(gumbel.uniform(latent, (self.length, len(weight))), condition)

    def sentences(self, numbers: Tensor, condition: Tensor | None) -> Tensor:
        """What `forward` makes of uniform numbers in [0, 1), float32 ``(B, T, V)``, instead of a latent."""
        weight: Any = self.embedding.weight
        size = numbers.shape[0]
        inputs, memory = weight[self.begin_token].expand(size, -1), self.begin(size)
        ended = torch.zeros(size, dtype=torch.bool, device=numbers.device)
        mixed = self.training and self.estimator == "soft"
        tokens = []
        for place in range(self.length):
            hidden, memory = self.step(self.with_class(inputs, condition), memory)
            logits = full_precision(self.projection(hidden))  # as half has neither Gumbel noise nor large sums
            with torch.autocast(numbers.device.type, enabled=False):
                token, choice = self.draw(logits, numbers[:, place], ended, place)
            tokens.append(token)
            ended = ended | (choice == self.end)
            inputs = token @ weight if mixed or token.requires_grad else weight[choice]
        return torch.stack(tokens, 1)

    def draw(self, logits: Tensor, numbers: Tensor, ended: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """The tokens at one position, as `gumbel.sample` gives them."""
        if self.training:
            return gumbel.sample(logits, numbers, ended, self.end, self.temperature, self.estimator)
        if place < len(self.prefix):
            choice = torch.full_like(ended, self.prefix[place], dtype=torch.long)
            return gumbel.chosen(choice, logits), choice
        return gumbel.sample(logits / self.sampling_temperature, numbers, ended, self.end, 1.0, "straight_through")

    def log_likelihood(self, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
        """The log-likelihood in nats of each sentence up to its end: int64 ``(B, T)`` -> ``(B,)``."""
        weight: Any = self.embedding.weight
        before = torch.cat([torch.full_like(tokens[:, :1], self.begin_token), tokens[:, :-1]], 1)
        counted = token_mask(tokens == self.end)
        inputs = nn.functional.embedding(before, weight)  # its backward is many times as fast as that of indexing
        hidden = self.read(self.with_class(inputs, condition))[counted]
        logits = full_precision(self.projection(hidden))
        losses = nn.functional.cross_entropy(logits, tokens[counted], reduction="none")
        places = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(tokens)[counted]
        return -losses.new_zeros(len(tokens)).index_add(0, places, losses)


def token_mask(ends: Tensor) -> Tensor:
    """Mask the tokens of each sentence, its end included: bool ``(B, T)``, true at ends -> bool ``(B, T)``."""
    return (ends.cumsum(1) - ends.long()) == 0


class RecurrentGenerator(TextGenerator):
    """An LSTM. Hochreiter and Schmidhuber 1997.

    Args:
        vocabulary: V.
        width: Numbers in an embedded token; the LSTM has four times as many units.
        classes: Number of classes; 0 for an unconditional generator.
        options: Of `TextGenerator`.
    """

    def __init__(self, vocabulary: int, width: int, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, 4 * width, batch_first=True)
        self.last = nn.Linear(4 * width, vocabulary)
        self.add_class_embedding(classes, width)

    embedding = property(lambda self: self.tokens)
    projection = property(lambda self: self.last)

    def begin(self, size: int) -> Any:
        return None

    def step(self, inputs: Tensor, memory: Any) -> tuple[Tensor, Any]:
        hidden, memory = self.run(inputs[:, None], memory)
        return hidden[:, 0], memory

    def read(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.run(inputs, None)[0]
        return hidden

    def run(self, inputs: Tensor, memory: Any) -> Any:
        """Run the LSTM; on a CPU without autocast, because older processors do not support it in half precision."""
        if inputs.device.type != "cpu":
            return self.lstm(inputs, memory)
        with torch.autocast("cpu", enabled=False):
            return self.lstm(inputs.to(next(self.lstm.parameters()).dtype), memory)


class RelationalGenerator(TextGenerator):
    """A relational memory: slots that attend to one another and to the previous token. RelGAN, Nie et al. 2019.

    The memory is that of Santoro et al. 2018, arXiv:1806.01822, with a gate for each unit.

    Args:
        vocabulary: V.
        width: Numbers in an embedded token; the memory has four times as many units a slot.
        classes: Number of classes; 0 for an unconditional generator.
        slots: Of the memory; RelGAN has one.
        heads: Of its attention.
        options: Of `TextGenerator`.
    """

    def __init__(
        self, vocabulary: int, width: int, classes: int, slots: int = 1, heads: int = 2, **options: Any
    ) -> None:
        super().__init__(**options)
        units = 4 * width
        self.tokens = nn.Embedding(vocabulary, width)
        self.input_projection = nn.Linear(width, units)
        self.attention = nn.MultiheadAttention(units, heads, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(units, units), nn.ReLU(), nn.Linear(units, units))
        self.norms = nn.ModuleList([nn.LayerNorm(units), nn.LayerNorm(units)])
        self.from_inputs = nn.Linear(units, 2 * units)
        self.from_memory = nn.Linear(units, 2 * units)
        self.last = nn.Linear(slots * units, vocabulary)
        self.register_buffer("empty", torch.eye(slots, units))
        self.add_class_embedding(classes, width)

    embedding = property(lambda self: self.tokens)
    projection = property(lambda self: self.last)

    def begin(self, size: int) -> Tensor:
        empty: Any = self.empty
        return empty.expand(size, -1, -1)  # type: ignore[no-any-return]

    def step(self, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        entered = self.input_projection(inputs)[:, None]
        seen = torch.cat([memory, entered], 1)
        update = self.norms[0](memory + self.attention(memory, seen, seen, need_weights=False)[0])
        update = self.norms[1](update + self.feed_forward(update))
        keep, write = (self.from_inputs(entered) + self.from_memory(memory.tanh())).chunk(2, 2)
        # Santoro et al. bias the gates so that at first more is kept than written.
        memory = (write.sigmoid() * update.tanh()) + (keep + 1).sigmoid() * memory
        return memory.flatten(1), memory

    def read(self, inputs: Tensor) -> Tensor:
        memory, hidden = self.begin(len(inputs)), []
        for entered in inputs.unbind(1):
            output, memory = self.step(entered, memory)
            hidden.append(output)
        return torch.stack(hidden, 1)


class TransformerGenerator(TextGenerator):
    """A decoder of `transformers` with a key-value cache.

    Args:
        settings: Its configuration, as `transformers` writes it. Dropout is left out, for no network draws numbers, and
            so is the type that its weights were stored in.
        classes: Number of classes; 0 for an unconditional generator.
        options: Of `TextGenerator`.
    """

    def __init__(self, settings: dict[str, Any], classes: int, **options: Any) -> None:
        from transformers import AutoConfig, AutoModelForCausalLM

        super().__init__(**options)
        try:
            chosen = AutoConfig.for_model(**{key: value for key, value in settings.items() if "dtype" not in key})
        except (TypeError, ValueError) as error:
            raise UserError(f"the decoder is no configuration of transformers: {str(error).splitlines()[0]}") from error
        for name, value in chosen.to_dict().items():
            if "drop" in name and isinstance(value, float):
                setattr(chosen, name, 0.0)
        make: Any = AutoModelForCausalLM.from_config
        self.decoder = make(chosen, trust_remote_code=False)
        # transformers 5.24 renamed it, as an argument and in the output.
        accepted = inspect.signature(self.decoder.base_model.forward).parameters
        self.cache_name = "cache" if "cache" in accepted else "past_key_values"
        self.add_class_embedding(classes, self.decoder.get_input_embeddings().weight.shape[1])

    embedding = property(lambda self: self.decoder.get_input_embeddings())
    projection = property(lambda self: self.decoder.get_output_embeddings())

    def begin(self, size: int) -> Any:
        return None

    def step(self, inputs: Tensor, memory: Any) -> tuple[Tensor, Any]:
        cache = {self.cache_name: memory}
        output = self.decoder.base_model(inputs_embeds=inputs[:, None], use_cache=True, **cache)
        return output.last_hidden_state[:, 0], getattr(output, self.cache_name)

    def read(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.decoder.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        return hidden


def small_decoder(vocabulary: int, length: int, width: int, layers: int) -> dict[str, Any]:
    """The configuration of a small transformer for a vocabulary trained here."""
    return {
        "model_type": "gpt2",
        "vocab_size": vocabulary,
        "n_positions": length,
        "n_embd": 4 * width,
        "n_layer": layers,
        "n_head": 4,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
