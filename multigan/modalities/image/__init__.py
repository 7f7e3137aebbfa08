"""Pictures of 16 to 512 pixels a side: five architectures, unconditional or class-conditional."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from multigan.modalities.defaults import RELATIVISTIC
from multigan.modalities.image.config import ImageConfig
from multigan.modality import Augmentation, Modality, Preview
from multigan.pictures import ENDINGS

# torch and the rest are imported where they are used: listing the modalities must be fast.
if TYPE_CHECKING:
    import datasets
    import numpy
    from PIL.Image import Image as Picture
    from torch import Tensor, nn

    from multigan.exportable import Exportable

MOST_COLUMNS = 20  # of a grid with one class per column


def digits() -> datasets.Dataset:
    from multigan.pictures.digits import digits

    return digits()


class Image(Modality):
    """Pictures: a sample is ``(channels, height, width)`` in [-1, 1]."""

    Config = ImageConfig
    config: ImageConfig
    builtin_datasets: ClassVar[Mapping[str, Any]] = {"digits": digits}
    pipeline_tag = "unconditional-image-generation"
    file_endings = ENDINGS
    size_settings = ("resolution", "generator_width", "discriminator_width")
    training_defaults = RELATIVISTIC

    def fit(self, dataset: datasets.Dataset | datasets.IterableDataset) -> Sequence[str]:
        from multigan.classes import label_note, with_classes
        from multigan.modalities.image.data import report
        from multigan.pictures import decoding

        config = with_classes(self.config, dataset)
        notes = label_note(self.config, config, dataset)
        image_column = decoding.find_image_column(dataset, self.config.image_column)
        found = decoding.scan(dataset, image_column)
        channels = config.channels or (3 if found.colour and config.bits == 8 else 1)
        self.config = replace(config, image_column=image_column, channels=channels)
        rows = len(dataset) if hasattr(dataset, "__len__") else None
        augmented = any(True for _ in self._augmentations())
        return [*notes, report(found, rows, self.config, augmented)]

    def encode(self, row: dict[str, Any]) -> dict[str, numpy.ndarray | int] | None:
        from multigan.classes import labelled
        from multigan.pictures import decoding

        config = self.config
        assert config.image_column and config.channels  # set by fit
        real = decoding.pixels(row[config.image_column], config.sides, config.channels, config.fit, config.bits)
        return labelled({"real": real}, row, config)

    def encode_key(self) -> dict[str, Any]:
        names = ("resolution", "fit", "image_column", "label_column", "channels", "bits", "classes", "combinations")
        return {name: getattr(self.config, name) for name in names}

    def to_sample(self, real: Tensor) -> Tensor:
        import torch

        return real.to(torch.get_default_dtype()) / (127.5 if self.config.bits == 8 else 32767.5) - 1

    @property
    def _sides(self) -> tuple[int, int]:
        return self.config.sides

    def generator(self) -> nn.Module:
        config = self.config
        return self._networks()[0](
            config.latent_dim, config.channels or 3, self._sides, config.generator_width, len(self.classes)
        )

    def discriminator(self) -> nn.Module:
        config = self.config
        return self._networks()[1](config.channels or 3, self._sides, config.discriminator_width, len(self.classes))

    def _networks(self) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module]]:
        """What builds the generator and the discriminator of the architecture."""
        if self.config.architecture == "mlp":
            from multigan.modalities.image.networks import FullyConnectedDiscriminator, FullyConnectedGenerator

            return FullyConnectedGenerator, FullyConnectedDiscriminator
        if self.config.architecture == "stylegan2":
            from multigan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

            return StyleGAN2Generator, StyleGAN2Discriminator
        if self.config.architecture == "r3gan":
            from multigan.networks.r3gan import R3GANDiscriminator, R3GANGenerator

            return R3GANGenerator, R3GANDiscriminator
        from multigan.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator

        if self.config.architecture == "styled":
            from multigan.networks.styled import StyledGenerator

            return StyledGenerator, ConvolutionalDiscriminator
        return ConvolutionalGenerator, ConvolutionalDiscriminator

    def augmentation(self) -> Augmentation | None:
        parts = list(self._augmentations())
        if not parts:
            return None

        def apply(samples: Tensor, numbers: Tensor) -> Tensor:
            for count, change in parts:
                samples, numbers = change(samples, numbers[:, :count]), numbers[:, count:]
            return samples

        return Augmentation(sum(count for count, _ in parts), apply)

    def _augmentations(self) -> Iterator[tuple[int, Callable[[Tensor, Tensor], Tensor]]]:
        """The augmentations that are on, and how many random numbers each takes."""
        from multigan.modalities.image import augmentation

        config = self.config
        if config.rotation or config.scaling or config.shift:
            amounts = config.rotation, config.scaling, config.shift
            yield 4, lambda samples, numbers: augmentation.affine(samples, numbers, *amounts)
        if config.flip:
            yield 1, augmentation.flip
        if config.color:
            yield 3, partial(augmentation.color, strength=config.color)
        if config.cutout:
            yield 2, partial(augmentation.cutout, share=config.cutout)

    def to_outputs(self, samples: Tensor) -> list[Picture]:
        from multigan.pictures import output

        return output.pictures(samples, self.config.bits)

    def save(self, batches: Iterable[Tensor], folder: Path, labels: Sequence[str] = ()) -> list[Path]:
        from multigan.pictures import output

        return output.save(batches, folder, self.config.bits)

    def preview(self, samples: Tensor, path: Path, labels: Sequence[str] = ()) -> Preview:
        from multigan.pictures import output

        columns, classes = None, len(set(labels))
        if 0 < classes <= MOST_COLUMNS:  # one class per column, in as many groups of columns as make it nearly square
            columns = classes * max(1, round(math.sqrt(len(samples)) / classes))
        return Preview(output.grid(samples, path, columns))

    def exportable(self, generator: nn.Module) -> Exportable:
        from multigan.exportable import latent_exportable

        about = {"bits": self.config.bits}
        return latent_exportable(
            self, generator, lambda samples: samples.clamp(-1, 1), "picture", "picture", True, about
        )

    def classifier(self) -> nn.Module:
        from torch.nn import Linear, ReLU, Sequential

        from multigan.networks.convolutional import ConvolutionalFeatures

        body = ConvolutionalFeatures(self.config.channels or 3, self._sides, width=32)
        return Sequential(body, Linear(body.features, 128), ReLU())
