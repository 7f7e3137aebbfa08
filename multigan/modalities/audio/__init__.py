"""Sounds of many rates and lengths, mono or stereo, unconditional or class-conditional: three architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from multigan.errors import UserError
from multigan.modalities.audio.config import MAX_SECONDS, MIN_LENGTH, AudioConfig, AudioOptions
from multigan.modalities.defaults import RELATIVISTIC
from multigan.modality import Augmentation, Crop, Modality, Preview
from multigan.sounds import ENDINGS, MIN_SAMPLING_RATE, drum_kit, to_waves

# torch and the rest are imported where they are used: listing the modalities must be fast.
if TYPE_CHECKING:
    import datasets
    import numpy
    from torch import Tensor, nn

    from multigan.exportable import Exportable


# Of istft: after three minutes on the drums, smaller batches and larger penalties had more variety. The mean over two
# heads has a quarter of the slopes' squares of one.
ISTFT_DEFAULTS: Mapping[str, Any] = {**RELATIVISTIC, "r1": 4.0, "r2": 4.0, "batch_size": 16}
# Of specgan, from the recipe with which it learned the drums, and of wavegan.
GAN_DEFAULTS: Mapping[str, Any] = {
    "objective": "relativistic",
    "r1": 3.0,
    "r2": 3.0,
    "generator_learning_rate": 5e-4,
    "discriminator_learning_rate": 5e-4,
    "batch_size": 32,
}


class Audio(Modality):
    """Sounds: a sample is ``(channels, length)`` in [-1, 1]; for SpecGAN, its picture ``(channels, bins, frames)``."""

    Config = AudioConfig
    Options = AudioOptions
    config: AudioConfig
    builtin_datasets: ClassVar[Mapping[str, Any]] = {"drums": drum_kit}
    file_endings = ENDINGS
    size_settings = ("sampling_rate", "length", "generator_width", "discriminator_width")

    @property
    def training_defaults(self) -> Mapping[str, Any]:  # type: ignore[override]
        return ISTFT_DEFAULTS if self.config.architecture == "istft" else GAN_DEFAULTS

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan.classes import class_note, label_note, with_classes
        from multigan.sounds import data

        config = with_classes(self.config, dataset)
        notes = label_note(self.config, config, dataset)
        audio_column = data.find_audio_column(dataset, config.audio_column)
        infos = data.scan(dataset, audio_column)
        decision = data.decide(
            infos, config.sampling_rate, config.length, config.crop, config.channels, config.trim is not None
        )
        self.config = replace(
            config,
            audio_column=audio_column,
            sampling_rate=decision.rate,
            length=decision.length,
            crop=decision.crop,
            channels=decision.channels,
        )
        return [*notes, *decision.notes, *class_note(config)]

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan.classes import labelled
        from multigan.sounds import data

        config = self.config
        assert config.audio_column and config.sampling_rate and config.channels  # set by fit
        real = data.decode(
            row[config.audio_column],
            config.sampling_rate,
            config.channels,
            config.normalization,
            config.trim,
            self._kept,
        )
        return labelled({"real": real}, row, config)

    def encode_key(self) -> dict[str, Any]:
        names = ("sampling_rate", "channels", "normalization", "trim", "audio_column")
        values = {name: getattr(self.config, name) for name in (*names, "label_column", "classes", "combinations")}
        return values | {"kept": self._kept}

    @property
    def _kept(self) -> int | None:
        """How many samples from the start of a file are used; None if any can be."""
        return self._length if self.config.crop == "start" else None

    @property
    def crop(self) -> Crop:
        return Crop(self._length, random=self.config.crop == "random")

    def to_sample(self, real: Tensor) -> Tensor:
        from multigan.modalities.audio import spectrogram

        waves = to_waves(real)
        return spectrogram.to_log_magnitude(waves, *self.config.spectrogram()) if self._spectrograms else waves

    @property
    def finish(self) -> Callable[[Tensor], Tensor] | None:
        from multigan.modalities.audio import spectrogram

        return partial(spectrogram.to_waves, hop=self.config.spectrogram()[1]) if self._spectrograms else None

    def to_finished(self, real: Tensor) -> Tensor:
        return to_waves(real)

    @property
    def _spectrograms(self) -> bool:
        """Whether samples are spectrograms."""
        return self.config.architecture == "specgan"

    @property
    def _channels(self) -> int:
        return self.config.channels or 1

    @property
    def _rate(self) -> int:
        return self.config.sampling_rate or MIN_SAMPLING_RATE

    @property
    def _length(self) -> int:
        return self.config.length or MIN_LENGTH

    @property
    def _sides(self) -> tuple[int, int]:
        bins, hop = self.config.spectrogram()
        return bins, self._length // hop

    def generator(self) -> nn.Module:
        from multigan.modalities.audio.istft import ISTFTGenerator
        from multigan.modalities.audio.networks import WaveGenerator
        from multigan.networks.convolutional import ConvolutionalGenerator

        config, channels, width, length = self.config, self._channels, self.config.generator_width, self._length
        if config.architecture == "istft":
            return ISTFTGenerator(config.latent_dim, channels, length, *config.spectrogram(), width, len(self.classes))
        if config.architecture == "specgan":
            return ConvolutionalGenerator(config.latent_dim, channels, self._sides, width, len(self.classes))
        return WaveGenerator(config.latent_dim, channels, length, width, len(self.classes), config.post_filter)

    def discriminator(self) -> nn.Module:
        from multigan.modalities.audio.istft import SpectrogramDiscriminator
        from multigan.modalities.audio.networks import WaveDiscriminator
        from multigan.networks.convolutional import ConvolutionalDiscriminator

        config, channels, width, length = self.config, self._channels, self.config.discriminator_width, self._length
        if config.architecture == "istft":
            return SpectrogramDiscriminator(channels, length, *config.spectrogram(), width, len(self.classes))
        if config.architecture == "specgan":
            return ConvolutionalDiscriminator(channels, self._sides, width, len(self.classes))
        return WaveDiscriminator(channels, length, width, len(self.classes), config.phase_shuffle)

    def apply_options(self, generator: Any, options: AudioOptions) -> None:
        asked = options.seconds is not None or options.loop
        if self.config.architecture != "istft":
            if asked:
                raise UserError(
                    f"this model has architecture {self.config.architecture}, whose sounds have one length: seconds "
                    "and loop are for istft"
                )
            return
        generator.extent = self._extent(generator, options) if asked else None

    def _extent(self, generator: Any, options: AudioOptions) -> Any:
        """Samples of a longer sound, and how they are made."""
        from multigan.modalities.audio.istft import Extent

        length, rate = self._length, self._rate
        seconds = length / rate if options.seconds is None else options.seconds
        if not length / rate <= seconds <= MAX_SECONDS:
            raise UserError(
                f"seconds is {options.seconds:g}: expected {math.ceil(1000 * length / rate) / 1000:g}, the length of "
                f"this model's sounds in training, to {MAX_SECONDS:g}"
            )
        overlapping = self.config.crop != "start"  # what begins with its attack is not faded in
        samples, unit = round(seconds * rate), generator.unit(overlapping)
        if not unit:
            raise UserError(
                f"this model has {generator.bins} spectrogram_bins and a spectrogram_hop of {generator.hop}, for which "
                "overlapping windows cannot be aligned: longer sounds and loops need a hop that is a power of two and, "
                f"where sounds have {length} samples in training, at most {length // 16} bins"
            )
        if options.loop:
            samples = min(-(-samples // unit), int(MAX_SECONDS * rate) // unit) * unit
        return Extent(samples, overlapping, options.loop)

    def augmentation(self) -> Augmentation | None:
        from multigan.modalities.audio import augmentation, spectrogram

        config = self.config
        if not (config.gain or config.shift):
            return None
        unit = -spectrogram.FLOOR / 2 if self._spectrograms else None
        silence = -1.0 if self._spectrograms else 0.0

        def apply(samples: Tensor, numbers: Tensor) -> Tensor:
            if config.gain:
                samples, numbers = augmentation.gain(samples, numbers[:, :1], config.gain, unit), numbers[:, 1:]
            if config.shift:
                samples = augmentation.time_shift(samples, numbers[:, :1], config.shift, silence)
            return samples

        return Augmentation(int(config.gain > 0) + int(config.shift > 0), apply)

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.sounds import output

        return output.save(batches, folder, self._rate)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        from multigan.sounds import artifacts, output

        waves = samples[: output.PICTURED]
        return Preview(output.preview(waves, path, self._rate, labels), artifacts.warnings(waves))

    def to_outputs(self, samples: Tensor) -> list[dict[str, Any]]:
        from multigan.sounds import output

        return output.to_outputs(samples, self._rate)

    def exportable(self, generator: Any) -> Exportable:
        from multigan.exportable import latent_exportable

        if getattr(generator, "extent", None) is not None:
            raise UserError("seconds and loop cannot be exported: an exported model makes sounds of its own length")
        finish = self.finish

        def to_sound(samples: Tensor) -> Tensor:
            return (samples if finish is None else finish(samples)).clamp(-1, 1)

        return latent_exportable(self, generator, to_sound, "sound", "sound", True, {"sampling_rate": self._rate})

    def classifier(self) -> nn.Module:
        from multigan.sounds.features import SoundFeatures

        return SoundFeatures(self._channels, self._length, self._rate)
