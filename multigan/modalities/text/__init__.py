"""Sentences: an LSTM, a relational memory or a transformer writes them, gradients pass by Gumbel-softmax."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from multigan.errors import UserError
from multigan.modalities.text.config import TextConfig, TextOptions
from multigan.modality import ExtraMetrics, Modality, PretrainingLoss, Preview

# torch and the rest are imported where they are used: listing the modalities must be quick.
if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn


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
        "pretraining_learning_rate": 2e-3,
        "generator_learning_rate": 3e-4,
        "discriminator_learning_rate": 3e-4,
    }
    latent_space = False
    size_settings = ("length", "vocabulary_size", "generator_width", "discriminator_width")

    # --- data ---

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan import columns
        from multigan.modalities.text import data, language_models, tokenization

        config = self.config
        column = data.find_text_column(dataset, config.text_column)
        label_column, classes = columns.find_classes(dataset, config.label_column, config.classes, config.conditional)
        vocabulary, longest, notes = config.vocabulary, None, []
        if config.pretrained:
            model = language_models.describe(config.pretrained)
            config = replace(config, decoder=model.decoder, begin=model.begin, end=model.end)
            vocabulary, longest = model.vocabulary, model.longest
        elif not vocabulary:
            tokenizer = config.tokenizer
            if tokenizer is None:
                tokenizer, reason = tokenization.choose(data.sentences(dataset, column), config.vocabulary_size)
                notes.append(f"tokenizer {tokenizer}, because {reason}: --model.tokenizer takes another")
                config = replace(config, tokenizer=tokenizer)
            texts = data.sentences(dataset, column)
            vocabulary = tokenization.train(texts, tokenizer, config.vocabulary_size, config.minimum_count)
        rows = len(dataset) if hasattr(dataset, "__len__") else None
        texts = data.sentences(dataset, column)
        decision = data.decide(texts, rows, vocabulary, config.length, config.overlong == "drop", longest)
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
        return [*chosen, *notes, *decision.notes]

    def fit_key(self) -> dict[str, Any]:
        names = ("tokenizer", "vocabulary_size", "minimum_count", "pretrained", "conditional", "decoder", "begin")
        chosen = {name: getattr(self.config, name) for name in names}
        files = sorted(Path(self.config.pretrained).glob("*.json")) if self.config.pretrained else []
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return self.encode_key() | chosen | {"files": stats}

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan import columns
        from multigan.modalities.text import tokenization

        config = self.config
        assert config.text_column and config.length  # fit has set them
        ids = tokenization.encode(
            row[config.text_column], config.vocabulary, config.end, config.length, config.overlong == "drop"
        )
        if ids is None:
            return None
        encoded: dict[str, numpy.ndarray | int] = {"real": ids}
        if config.label_column is not None:
            encoded["label"] = columns.class_number(row[config.label_column], config.classes)
        return encoded

    def encode_key(self) -> dict[str, Any]:
        names = ("vocabulary", "end", "length", "overlong", "text_column", "label_column", "classes")
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
            return generators.RecurrentGenerator(size, width, len(self.classes), **options)
        if config.architecture == "relational":
            return generators.RelationalGenerator(size, width, len(self.classes), **options)
        settings = self._decoder or generators.small_decoder(size, self._length, width, config.layers)
        return generators.TransformerGenerator(settings, len(self.classes), **options)

    def load_pretrained(self, generator: Any) -> None:
        from multigan.modalities.text import language_models

        if self.config.pretrained:
            language_models.load(generator, self.config.pretrained)

    def discriminator(self) -> nn.Module:
        from multigan.modalities.text import discriminators

        config, size, width = self.config, self._vocabulary, self.config.discriminator_width
        if config.discriminator == "convolutional":
            return discriminators.ConvolutionalTextDiscriminator(
                size, width, config.representations, len(self.classes), self.config.end
            )
        return discriminators.TransformerTextDiscriminator(
            size, self._length, width, len(self.classes), self.config.end
        )

    def pretraining_loss(self) -> PretrainingLoss:
        def loss(generator: Any, real: Tensor, condition: Tensor | None) -> Tensor:
            likelihood: Tensor = generator.log_likelihood(real.long(), condition)
            return -likelihood.mean()

        return loss

    def on_step(self, generator: Any, step: int) -> None:
        from multigan.modalities.text.gumbel import temperature_at

        config = self.config
        share = min(step / config.temperature_steps, 1)
        generator.temperature = temperature_at(share, config.temperature, config.last_temperature, config.schedule)

    # --- what people see ---

    def apply_options(self, generator: Any, options: TextOptions) -> None:
        from multigan.modalities.text import tokenization

        generator.sampling_temperature = options.temperature
        generator.prefix = tokenization.prefix(options.prefix, self.config.vocabulary, self._length)

    def save_extras(self, folder: Path) -> None:
        from multigan.modalities.text import tokenization

        config = self.config
        if config.vocabulary:
            tokenization.wrapped(config.vocabulary, config.begin, config.end).save_pretrained(folder)

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.modalities.text import output

        return output.save(batches, folder, self.to_outputs, labels)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        from multigan.modalities.text import output

        return Preview(output.preview(self.to_outputs(samples[: output.PREVIEWED]), path, labels))

    def to_outputs(self, samples: Tensor) -> list[str]:
        from multigan.modalities.text import tokenization

        return tokenization.decode(samples.argmax(2).numpy(), self.config.vocabulary, self.config.end)

    def classifier(self) -> nn.Module:
        from multigan.modalities.text.features import SentenceFeatures

        return SentenceFeatures(self._vocabulary, self.config.end)

    def extra_metrics(self) -> ExtraMetrics:
        """Of words; of characters, named so, where the tokens are characters, as such lines have no words."""
        from multigan.modalities.text import quality

        return quality.metrics if self.config.tokenizer != "character" else quality.character_metrics
