"""Pretrained causal language models of `transformers` as generators."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError

from multigan.errors import UserError, first_line


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model without its weights.

    Attributes:
        vocabulary: Its tokenizer, as JSON.
        decoder: Its configuration, as JSON.
        begin: The token before a text.
        end: The token after it.
        longest: Tokens that it has room for; None where that is not said.
    """

    vocabulary: str
    decoder: str
    begin: int
    end: int
    longest: int | None


def describe(name: str) -> LanguageModel:
    """A causal language model by name or folder.

    Raises:
        UserError: It cannot be had, or is of another kind.
    """
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoTokenizer

    with to_be_had(name):
        settings = AutoConfig.from_pretrained(name, trust_remote_code=False)
        found = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if type(settings) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ValueError(f"it is a {settings.model_type}, which continues no text")
        if found.eos_token_id is None:
            raise ValueError("its tokenizer has no token for the end of a text")
        coder = found.backend_tokenizer
        if coder.get_vocab_size() > settings.vocab_size:
            raise ValueError(f"its tokenizer has {coder.get_vocab_size()} tokens, the model {settings.vocab_size}")
        end = found.eos_token_id
        begin = end if found.bos_token_id is None else found.bos_token_id
        longest = getattr(settings, "max_position_embeddings", None)
        return LanguageModel(coder.to_str(), json.dumps(settings.to_dict()), begin, end, longest)


def load(generator: Any, name: str) -> None:
    """Give a `TransformerGenerator` the weights of a causal language model, by name or folder.

    Raises:
        UserError: It cannot be had.
    """
    from transformers import AutoModelForCausalLM

    decoder = generator.decoder
    with to_be_had(name):
        fetch: Any = AutoModelForCausalLM.from_pretrained
        found, loading = fetch(name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True)
        if missing := sorted({*loading["missing_keys"], *loading["mismatched_keys"]}):
            raise ValueError(f"weights are missing: {', '.join(map(str, missing[:3]))}")
        decoder.load_state_dict(found.state_dict())
        # Some models scale embeddings or logits outside the layers used here, and some look ahead.
        tokens = (
            torch.arange(2, 8, device=generator.embedding.weight.device)[None] % generator.embedding.weight.shape[0]
        )
        with torch.no_grad():
            theirs, inputs, memory, steps = (
                decoder(input_ids=tokens).logits,
                generator.embedding.weight[tokens],
                None,
                [],
            )
            for place in inputs.unbind(1):
                hidden, memory = generator.step(place, memory)
                steps.append(generator.projection(hidden))
            for ours in (torch.stack(steps, 1), generator.projection(generator.read(inputs))):
                if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
                    raise ValueError(
                        f"it is a {decoder.config.model_type}, which multigan cannot take word by word yet"
                    )


@contextmanager
def to_be_had(name: str) -> Iterator[None]:
    """Turn errors in loading a pretrained model into one line."""
    try:
        yield
    except (OSError, ValueError, AttributeError, RuntimeError, ImportError, LookupError, SafetensorError) as error:
        raise UserError(f"cannot load a causal language model {name!r}: {first_line(error)}") from error
