"""A vocoder: sounds from their log-mel spectrograms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from multigan.modalities.vocoder.config import VocoderConfig
from multigan.modality import Crop, Modality, PairMetrics, PretrainingLoss, Preview
from multigan.sounds import ENDINGS, drum_kit, to_waves

# torch and the rest are imported where they are used: listing the modalities must be fast.
if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn

    from multigan.exportable import Exportable
    from multigan.interface import Condition, GeneratorOutput


class Vocoder(Modality):
    """A sample is a sound ``(1, length)`` in [-1, 1], and the condition its log-mel spectrogram ``(bins, frames)``.

    It is trained on pieces, and generates recordings of any length.
    """

    Config = VocoderConfig
    config: VocoderConfig
    builtin_datasets: ClassVar[Mapping[str, Any]] = {"drums": drum_kit}
    pipeline_tag = "audio-to-audio"
    file_endings = ENDINGS
    input_endings = (*ENDINGS, ".npy")
    takes_inputs = True
    latent_space = False
    pair_numbers = 1  # how much quieter a piece is
    size_settings = ("sampling_rate", "length", "generator_width", "discriminator_width")
    # From the recipe, on speech.
    training_defaults: ClassVar[Mapping[str, Any]] = {
        "batch_size": 16,
        "pretraining_steps": 6000,
        "steps": 1400,
        "objective": "least_squares",
        "r1": 0.0,
        "r2": 0.0,
        "betas": (0.8, 0.99),
        "pretraining_learning_rate": 1e-3,
        "generator_learning_rate": 5e-4,
        "discriminator_learning_rate": 5e-4,
        "learning_rate_schedule": "late_linear",
        "ema_decay": 0.998,
    }

    # --- data ---

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan.sounds import data

        config = self.config
        column = data.find_audio_column(dataset, config.audio_column)
        infos = data.scan(dataset, column)
        config = replace(config, audio_column=column, sampling_rate=config.sampling_rate or data.usual_rate(infos))
        self.config = config = replace(config, length=config.piece)
        decision = data.decide(infos, config.sampling_rate, config.length, "random", 1)
        kind = f"log-mel spectrograms of {config.bins} bins, windows of {config.size} samples, hops of {config.hop}"
        return [*decision.notes, kind]

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan.sounds import data

        config = self.config
        assert config.audio_column  # set by fit
        return {"real": data.decode(row[config.audio_column], config.rate, 1, config.normalization)}

    def encode_key(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in ("sampling_rate", "normalization", "audio_column")}

    @property
    def crop(self) -> Crop:
        return Crop(self.config.piece)

    def to_sample(self, real: Tensor) -> Tensor:
        return to_waves(real)

    def to_pair(self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor) -> tuple[Tensor, Condition]:
        waves = to_waves(encoded) * 10 ** (-self.config.gain / 20 * numbers[:, :, None])
        return waves, self.mels(waves)

    def to_pretraining_pair(
        self, encoded: Tensor, beside: dict[str, Tensor], numbers: Tensor
    ) -> tuple[Tensor, Condition]:
        return self.to_pair(encoded, beside, numbers)

    def mels(self, waves: Tensor) -> Tensor:
        """Sounds ``(B, 1, T)`` -> log-mel spectrograms ``(B, bins, frames)``."""
        from multigan.modalities.vocoder import mel

        return mel.log_mel(waves[:, 0], self.config.bins, self.config.size, self.config.rate)

    # --- inputs ---

    def read_input(self, row: dict[str, Any], options: Any) -> dict[str, numpy.ndarray]:
        from multigan.modalities.vocoder import inputs

        return inputs.read_input(self.config, row.get("file", row.get("input")))

    def to_condition(self, inputs: dict[str, Tensor]) -> Condition:
        import torch

        if "mel" in inputs:
            return inputs["mel"].to(torch.get_default_dtype())
        return self.mels(to_waves(inputs["wave"]))

    def trivial_output(self, condition: Condition) -> Tensor:
        """What Griffin and Lim's algorithm makes."""
        from multigan.modalities.vocoder import mel

        waves = mel.griffin_lim(condition, self.config.size, self.config.rate)  # type: ignore[arg-type]
        return waves[:, None]

    # --- networks ---

    def generator(self) -> nn.Module:
        from multigan.modalities.vocoder.generator import VocoderGenerator

        config = self.config
        return VocoderGenerator(config.bins, config.size, config.rate, config.generator_width, config.blocks)

    def discriminator(self) -> nn.Module:
        from multigan.modalities.vocoder.discriminators import WaveDiscriminators
        from multigan.modalities.vocoder.losses import sizes

        return WaveDiscriminators(self.config.discriminator_width, sizes(self.config))

    def generator_loss(self, output: GeneratorOutput) -> dict[str, Tensor]:
        from multigan.modalities.vocoder import losses

        return losses.generator_losses(self.config, output)

    def pretraining_loss(self) -> PretrainingLoss:
        """The difference of log-mel spectrograms alone."""
        from multigan.modalities.vocoder import losses

        def loss(generator: nn.Module, real: Tensor, condition: Tensor) -> Tensor:
            fake = generator(real.new_zeros(len(real), 0), condition)
            return losses.mel_loss(self.config, fake[:, 0], real[:, 0])

        return loss

    # --- what people see ---

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.sounds import output

        return output.save(batches, folder, self.config.rate)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        from multigan.sounds import output

        return Preview(output.preview(samples, path, self.config.rate, labels))

    def preview_pairs(self, condition: Condition, generated: Tensor, real: Tensor | None, path: Path) -> Preview:
        from multigan.modalities.vocoder import preview

        return Preview(preview.pairs(self.config, condition, generated, real, path))  # type: ignore[arg-type]

    def to_outputs(self, samples: Tensor) -> list[dict[str, Any]]:
        from multigan.sounds import output

        return output.to_outputs(samples, self.config.rate)

    def exportable(self, generator: nn.Module) -> Exportable:
        from multigan.exportable import Exportable, FromLatents, TensorInfo
        from multigan.modalities.vocoder.mel import FLOOR

        config = self.config
        low, high = math.log(FLOOR), 3.0
        mel = TensorInfo("mel", "float32", (config.bins, "frames"), "any", low, high, "log-mel spectrogram")
        sound = TensorInfo("sound", "float32", (1, "samples"), "any", -1, 1)
        about = {"sampling_rate": config.rate, "window": config.size, "hop": config.hop, "mel_bins": config.bins}
        module = FromLatents(generator, False, lambda waves: waves.clamp(-1, 1))
        return Exportable(module, (mel,), sound, "sound", axes={"frames": (40, 57)}, about=about)

    # --- how good it is ---

    def classifier(self) -> nn.Module:
        from multigan.sounds.features import SoundFeatures

        return SoundFeatures(1, self.config.piece, self.config.rate)

    def pair_metrics(self, training: Callable[[], Iterator[tuple[Tensor, Condition]]]) -> PairMetrics:
        from multigan.modalities.vocoder import metrics

        return metrics.sound_metrics(self.config)
