"""The configuration of the image modality."""

from dataclasses import dataclass
from typing import Literal

from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig

RESOLUTIONS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class ImageConfig(ClassConditionalConfig):
    """The pictures and the networks.

    Args:
        resolution: Height and width in pixels: 16, 32, 64, 128 or 256. The shorter side is scaled to it and the
            center cropped.
        architecture: mlp, fully connected networks (Goodfellow et al. 2014), or dcgan, convolutional ones
            (Radford et al. 2016).
        conditional: Condition both networks on the class, so that samples of a chosen class can be generated.
        latent_dim: Dimensions of the noise that a picture is generated from.
        generator_width: dcgan, channels before the generator's last layer; mlp, units of its smallest hidden layer.
        discriminator_width: dcgan, channels after the discriminator's first layer; mlp, units of its smallest
            hidden layer.
        rotation: Augmentation of real and generated pictures for the discriminator: rotation by up to this many
            degrees.
        scaling: Augmentation: scaling up or down by up to this share.
        shift: Augmentation: shift by up to this share of the side.
        flip: Augmentation: every second picture is mirrored.
        color: Augmentation: change of brightness, saturation and contrast by up to this share, such as 0.5.
        cutout: Augmentation: a square with this share of the side is made grey.
        image_column: The dataset's column of pictures; null finds it.
        label_column: The dataset's column of classes; null finds it.
        channels: 1 for grey, 3 for colour; null takes what the pictures are.
        classes: The names of the classes; empty takes them from the dataset.
    """

    resolution: int = 32
    architecture: Literal["mlp", "dcgan"] = "dcgan"
    latent_dim: int = 64
    generator_width: int = 64
    discriminator_width: int = 64
    rotation: float = 0.0
    scaling: float = 0.0
    shift: float = 0.0
    flip: bool = False
    color: float = 0.0
    cutout: float = 0.0
    image_column: str | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.resolution not in RESOLUTIONS:
            raise UserError(f"resolution is {self.resolution}: expected one of {', '.join(map(str, RESOLUTIONS))}")
        if self.channels not in (None, 1, 3):
            raise UserError(f"channels is {self.channels}: expected 1 (grey), 3 (colour) or null (as the pictures are)")
        for name in ("latent_dim", "generator_width", "discriminator_width"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 1")
        for name, most in (("rotation", 180), ("scaling", 0.9), ("shift", 1), ("color", 1), ("cutout", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name)}: expected 0 to {most}")
