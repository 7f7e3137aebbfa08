"""The configuration of the text modality, and its options of generating."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig

# The end of a sentence, and the unknown word and another, or all bytes.
LEAST = {"word": 3, "character": 3, "bpe": 257}


@dataclass(frozen=True)
class TextConfig(ClassConditionalConfig):
    """The sentences and the networks.

    Args:
        tokenizer: word (split at spaces), bpe (frequent byte sequences) or character; null chooses by the dataset:
            characters for lines without spaces, bpe where too many words are rare, otherwise words.
        vocabulary_size: Maximum number of tokens.
        minimum_count: Words, pairs or characters that occur less often are left out of the vocabulary.
        length: Maximum tokens of a sentence, its end included; null takes what holds 99 % of the sentences, up to 64.
        overlong: truncate or drop longer sentences.
        architecture: lstm, relational (the memory of RelGAN), or transformer.
        pretrained: A causal language model of transformers, by name or folder, to fine-tune as the generator,
            with its own tokenizer.
        layers: transformer: number of layers.
        discriminator: convolutional (filters over several embeddings, as RelGAN has), or transformer.
        representations: convolutional: number of embeddings.
        conditional: Condition both networks on the class, so that samples of a chosen class can be generated.
        generator_width: Size of a token embedding; hidden layers are four times as wide.
        discriminator_width: Filters per size, or the size of the transformer's token embedding.
        estimator: How gradients pass the choice of a token: straight_through, or soft (the next step gets a mixture).
        temperature: Temperature of the Gumbel-softmax at the first adversarial step.
        last_temperature: Temperature after temperature_steps, at least 0.1: below that most gradients vanish.
        temperature_steps: Steps from the first temperature to the last.
        schedule: exponential or linear from the first temperature to the last, or constant at the first.
        text_column: The dataset's column of sentences; null finds it.
        label_column: The dataset's column of classes; null finds it.
        classes: The names of the classes; empty takes them from the dataset.
        vocabulary: The tokenizer in the JSON of the tokenizers library; empty trains one on the dataset.
        begin: Id of the token that starts a sentence.
        end: Id of the token that ends a sentence.
        decoder: The transformer's configuration in the JSON of transformers; empty derives it from the other settings.
    """

    latent_dim: ClassVar[int] = 4  # enough that no two of a million sentences share their noise

    tokenizer: Literal["word", "bpe", "character"] | None = None
    vocabulary_size: int = 5000
    minimum_count: int = 1
    length: int | None = None
    overlong: Literal["truncate", "drop"] = "truncate"
    architecture: Literal["lstm", "relational", "transformer"] = "lstm"
    pretrained: str | None = None
    layers: int = 2
    discriminator: Literal["convolutional", "transformer"] = "convolutional"
    representations: int = 4
    generator_width: int = 64
    discriminator_width: int = 64
    estimator: Literal["straight_through", "soft"] = "straight_through"
    temperature: float = 1.0
    last_temperature: float = 0.5
    temperature_steps: int = 2000
    schedule: Literal["exponential", "linear", "constant"] = "exponential"
    text_column: str | None = None
    vocabulary: str = ""
    begin: int = 0
    end: int = 0
    decoder: str = ""

    def __post_init__(self) -> None:
        least = LEAST[self.tokenizer or "word"]
        if self.vocabulary_size < least:
            others = "256 bytes" if self.tokenizer == "bpe" else "the unknown word and another"
            raise UserError(
                f"vocabulary_size is {self.vocabulary_size}: expected at least {least}, for the end of a sentence, "
                f"{others}"
            )
        if self.length is not None and not 2 <= self.length <= 1024:
            raise UserError(f"length is {self.length}: expected 2 to 1024, or null (as the sentences are)")
        for name in (
            "minimum_count",
            "layers",
            "temperature_steps",
            "representations",
            "generator_width",
            "discriminator_width",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name in ("temperature", "last_temperature"):
            if not 0.1 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}: expected 0.1 or more, for gradients to pass")
        if self.discriminator == "convolutional" and self.discriminator_width % self.representations:
            raise UserError(
                f"discriminator_width is {self.discriminator_width}: expected a multiple of representations, "
                f"{self.representations}"
            )
        if self.discriminator == "transformer" and self.discriminator_width % 4:
            raise UserError(f"discriminator_width is {self.discriminator_width}: expected a multiple of 4")
        if self.pretrained is not None and self.architecture != "transformer":
            raise UserError(f"pretrained is {self.pretrained!r}: it needs --model.architecture transformer")


@dataclass(frozen=True)
class TextOptions:
    """Options of generating sentences.

    Args:
        temperature: Logits are divided by it: below 1 sentences are more likely, above 1 more varied.
        prefix: Words that every sentence begins with.
    """

    temperature: float = 1.0
    prefix: str = ""

    def __post_init__(self) -> None:
        if not 1e-6 <= self.temperature < math.inf:
            raise UserError(f"temperature is {self.temperature}: expected at least 0.000001")
