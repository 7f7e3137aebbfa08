"""Sentences: an LSTM, a relational memory or a transformer writes them, gradients pass by Gumbel-softmax."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from multigan.errors import UserError
from multigan.modality import Modality

# torch and the rest are imported where they are used: listing the modalities must be quick.
if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn

ORDERS = (2, 3, 4, 5)  # the longest runs of words that BLEU counts
# The end of a sentence, and the unknown word and another, or all bytes.
LEAST = {"word": 3, "character": 3, "bpe": 257}


@dataclass(frozen=True)
class TextConfig:
    """The sentences and the networks.

    Args:
        tokenizer: What a token is: a word (what stands between spaces), bpe (bytes that often stand together), or a
            character.
        vocabulary_size: Tokens at most.
        minimum_count: Words, pairs or characters that come less often are not in the vocabulary.
        length: Tokens of a sentence with its end, at most; null takes what holds 99 of 100 sentences, up to 64.
        longer: What becomes of longer sentences: cut, or drop.
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

    tokenizer: Literal["word", "bpe", "character"] = "word"
    vocabulary_size: int = 5000
    minimum_count: int = 1
    length: int | None = None
    longer: Literal["cut", "drop"] = "cut"
    architecture: Literal["lstm", "relational", "transformer"] = "lstm"
    pretrained: str | None = None
    layers: int = 2
    discriminator: Literal["convolutional", "transformer"] = "convolutional"
    representations: int = 4
    conditional: bool = False
    generator_width: int = 64
    discriminator_width: int = 64
    estimator: Literal["straight_through", "soft"] = "straight_through"
    temperature: float = 1.0
    last_temperature: float = 0.5
    temperature_steps: int = 2000
    schedule: Literal["exponential", "linear", "constant"] = "exponential"
    text_column: str | None = None
    label_column: str | None = None
    classes: tuple[str, ...] = ()
    vocabulary: str = ""
    begin: int = 0
    end: int = 0
    decoder: str = ""

    def __post_init__(self) -> None:
        least = LEAST[self.tokenizer]
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


def corpus() -> datasets.Dataset:
    from multigan.modalities.text.grammar import corpus

    return corpus()


class Text(Modality):
    """Sentences: a sample is ``(length, vocabulary)``, at each place a point of the simplex over the tokens."""

    Config = TextConfig
    Options = TextOptions
    config: TextConfig
    builtin_datasets: ClassVar[Mapping[str, Any]] = {"grammar": corpus}
    # What did least harm to the grammar's sentences; see the recipes.
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "objective": "relativistic",
        "r1": 0.1,
        "r2": 0.1,
        "warmup_learning_rate": 2e-3,
        "generator_learning_rate": 3e-4,
        "discriminator_learning_rate": 3e-4,
    }
    latent_space = False

    # --- data ---

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan import columns
        from multigan.modalities.text import data, language_models, tokenization

        config = self.config
        column = data.find_text_column(dataset, config.text_column)
        label_column, classes = columns.find_classes(dataset, config.label_column, config.classes, config.conditional)
        vocabulary, longest = config.vocabulary, None
        if config.pretrained:
            model = language_models.describe(config.pretrained)
            config = replace(config, decoder=model.decoder, begin=model.begin, end=model.end)
            vocabulary, longest = model.vocabulary, model.longest
        elif not vocabulary:
            texts = data.sentences(dataset, column)
            vocabulary = tokenization.train(texts, config.tokenizer, config.vocabulary_size, config.minimum_count)
        rows = len(dataset) if hasattr(dataset, "__len__") else None
        texts = data.sentences(dataset, column)
        decision = data.decide(texts, rows, vocabulary, config.length, config.longer == "drop", longest)
        self.config = replace(
            config,
            text_column=column,
            label_column=label_column,
            classes=classes,
            vocabulary=vocabulary,
            length=decision.length,
        )
        known = columns.columns(dataset)
        chosen = [f"sentences are of column {column!r}: --model.text_column takes another"] if len(known) > 1 else []
        return [*chosen, *decision.notes]

    def fitting(self) -> dict[str, Any]:
        names = ("tokenizer", "vocabulary_size", "minimum_count", "pretrained", "conditional", "decoder", "begin")
        chosen = {name: getattr(self.config, name) for name in names}
        files = sorted(Path(self.config.pretrained).glob("*.json")) if self.config.pretrained else []
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return self.encoding() | chosen | {"files": stats}

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan import columns
        from multigan.modalities.text import tokenization

        config = self.config
        assert config.text_column and config.length  # fit has set them
        ids = tokenization.encode(
            row[config.text_column], config.vocabulary, config.end, config.length, config.longer == "drop"
        )
        if ids is None:
            return None
        encoded: dict[str, numpy.ndarray | int] = {"real": ids}
        if config.label_column is not None:
            encoded["label"] = columns.class_number(row[config.label_column], config.classes)
        return encoded

    def encoding(self) -> dict[str, Any]:
        names = ("vocabulary", "end", "length", "longer", "text_column", "label_column", "classes")
        return {name: getattr(self.config, name) for name in names}

    def to_sample(self, real: Tensor) -> Tensor:
        import torch

        tokens = real.long()
        samples = torch.zeros(*tokens.shape, self._vocabulary, device=tokens.device)
        return samples.scatter_(2, tokens[..., None], 1)

    # --- networks ---

    @property
    def _vocabulary(self) -> int:
        from multigan.modalities.text import tokenization

        return int(self._decoder.get("vocab_size") or tokenization.size(self.config.vocabulary))

    @property
    def _decoder(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.config.decoder or "{}"))
        except (TypeError, ValueError) as error:
            raise UserError(f"the decoder is no configuration of transformers: {error}") from error

    @property
    def _length(self) -> int:
        return self.config.length or 2

    @property
    def _classes(self) -> int:
        return len(self.config.classes) if self.config.conditional else 0

    def generator(self) -> nn.Module:
        from multigan.modalities.text import generators

        config, size, width = self.config, self._vocabulary, self.config.generator_width
        options: dict[str, Any] = {
            "length": self._length,
            "begin": config.begin,
            "end": config.end,
            "estimator": config.estimator,
        }
        if config.architecture == "lstm":
            return generators.RecurrentGenerator(size, width, self._classes, **options)
        if config.architecture == "relational":
            return generators.RelationalGenerator(size, width, self._classes, **options)
        settings = self._decoder or small_decoder(size, self._length, width, config)
        return generators.TransformerGenerator(settings, self._classes, **options)

    def start(self, generator: Any) -> None:
        from multigan.modalities.text import language_models

        if self.config.pretrained:
            language_models.load(generator, self.config.pretrained)

    def discriminator(self) -> nn.Module:
        from multigan.modalities.text import discriminators

        config, size, width = self.config, self._vocabulary, self.config.discriminator_width
        if config.discriminator == "convolutional":
            return discriminators.ConvolutionalTextDiscriminator(
                size, width, config.representations, self._classes, self.config.end
            )
        return discriminators.TransformerTextDiscriminator(size, self._length, width, self._classes, self.config.end)

    def warmup_loss(self, generator: Any, real: Tensor, condition: Tensor | None) -> Tensor:
        likelihood: Tensor = generator.log_likelihood(real.long(), condition)
        return -likelihood.mean()

    def on_step(self, generator: Any, step: int) -> None:
        from multigan.modalities.text.gumbel import temperature_at

        config = self.config
        share = min(step / config.temperature_steps, 1)
        generator.temperature = temperature_at(share, config.temperature, config.last_temperature, config.schedule)

    # --- what people see ---

    def steer(self, generator: Any, options: TextOptions) -> None:
        from multigan.modalities.text import tokenization

        generator.sharpness = options.temperature
        generator.prefix = tokenization.prefix(options.prefix, self.config.vocabulary, self._length)

    def save_beside(self, folder: Path) -> None:
        from multigan.modalities.text import tokenization

        config = self.config
        if config.vocabulary:
            tokenization.wrapped(config.vocabulary, config.begin, config.end).save_pretrained(folder)

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.modalities.text import output

        return output.save(batches, folder, self.present, labels)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.modalities.text import output

        return output.preview(self.present(samples[: output.PREVIEWED]), path, labels)

    def present(self, samples: Tensor) -> list[str]:
        from multigan.modalities.text import tokenization

        return tokenization.decode(samples.argmax(2).numpy(), self.config.vocabulary, self.config.end)

    def classifier(self) -> nn.Module:
        from multigan.modalities.text.features import SentenceFeatures

        return SentenceFeatures(self._vocabulary, self.config.end)

    def figures(self, made: list[str], train: list[str], held_out: list[str]) -> dict[str, float]:
        from multigan.modalities.text import quality

        judged, known, references = ([text.split() for text in texts] for texts in (made, train, held_out))
        values = {f"BLEU-{order}": quality.bleu(judged, references, order) for order in ORDERS}
        values |= {f"self-BLEU-{order}": quality.self_bleu(judged, order) for order in ORDERS}
        values |= {f"distinct-{order}": quality.distinct(judged, order) for order in (1, 2, 3)}
        return values | {"copied": quality.copied(judged, known)}


def small_decoder(vocabulary: int, length: int, width: int, config: TextConfig) -> dict[str, Any]:
    """The configuration of a small transformer, for a vocabulary of our own."""
    return {
        "model_type": "gpt2",
        "vocab_size": vocabulary,
        "n_positions": length,
        "n_embd": 4 * width,
        "n_layer": config.layers,
        "n_head": 4,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
