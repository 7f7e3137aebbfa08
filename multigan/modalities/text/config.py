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
        tokenizer: What a token is: a word (what stands between spaces), bpe (bytes that often occur together), or a
            character. Null chooses: characters for lines without spaces, bpe where too many words are rare, else words.
        vocabulary_size: Tokens at most.
        minimum_count: Words, pairs or characters that come less often are not in the vocabulary.
        length: Tokens of a sentence with its end, at most; null takes what holds 99 of 100 sentences, up to 64.
        overlong: What becomes of longer sentences: truncate, or drop.
        architecture: lstm, relational (the memory of RelGAN), or transformer.
        pretrained: A causal language model of transformers, by name or folder, to start from: the transformer is then
            that one, and the tokenizer is its own.
        layers: transformer, its layers.
        discriminator: convolutional (filters over several embeddings, as RelGAN has), or transformer.
        representations: convolutional, embeddings.
        conditional: Whether both networks are told the class, so that samples of a chosen class can be made.
        generator_width: Numbers in an embedded token; inside there are four times as many.
        discriminator_width: Filters of each size, or numbers in an embedded token of the transformer.
        estimator: How gradients pass the choice of a token: straight_through, or soft, where a mixture is passed on.
        temperature: Of the Gumbel-softmax at the first step of the game.
        last_temperature: After temperature_steps, 0.1 at least: under that most gradients are zero.
        temperature_steps: Steps from one to the other.
        schedule: The way from one to the other: exponential, linear, or constant, which stays at the first.
        text_column: The dataset's column of sentences; null finds it.
        label_column: The dataset's column of classes; null finds it.
        classes: The names of the classes; empty takes them from the dataset.
        vocabulary: The tokenizer itself, as the tokenizers library writes it; empty trains one on the dataset.
        begin: The number of the token before a sentence in that vocabulary.
        end: The number of the token that ends a sentence.
        decoder: The configuration of the transformer, as transformers writes it; empty makes it from the others.
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
    """Of generating sentences.

    Args:
        temperature: What logits are divided by: under 1 likelier sentences, over 1 more daring ones.
        prefix: Words that every sentence begins with.
    """

    temperature: float = 1.0
    prefix: str = ""

    def __post_init__(self) -> None:
        if not 1e-6 <= self.temperature < math.inf:
            raise UserError(f"temperature is {self.temperature}: expected more than 0, a millionth or more")
