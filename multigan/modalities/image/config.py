"""The configuration of the image modality."""

import re
from dataclasses import dataclass
from typing import Literal

from multigan.errors import UserError
from multigan.modality import ClassConditionalConfig

SMALLEST, LARGEST = 16, 512  # pixels
BASE = 4  # the shorter side of the smallest layer is this to under twice this


@dataclass(frozen=True)
class ImageConfig(ClassConditionalConfig):
    """The pictures and the networks.

    Args:
        resolution: Height and width in pixels: 32, say, or 64x96 (height x width). 16 to 512; for all but mlp, sides
            that can be halved until the shorter is 4 to 7.
        fit: How pictures of another shape get that resolution: crop scales and takes the center, pad scales and adds
            white (transparency, with 4 channels), stretch changes the proportions.
        architecture: mlp, fully connected networks (Goodfellow et al. 2014); dcgan, convolutional ones (Radford et al.
            2016); styled, dcgan with a generator whose layers are scaled and shifted by the latent; stylegan2 (Karras
            et al. 2020); or r3gan (Huang et al. 2024).
        conditional: Condition both networks on the class, so that samples of a chosen class can be generated.
        latent_dim: Dimensions of the noise that a picture is generated from.
        generator_width: Channels before the generator's last layer, twice as many at half the side, 512 at most
            (r3gan: a multiple of 8, 768 at most; or above that a multiple of 96, as many at every side); mlp, units of
            its smallest hidden layer.
        discriminator_width: The same for the discriminator, after its first layer.
        rotation: Augmentation of real and generated pictures for the discriminator: rotation by up to this many
            degrees.
        scaling: Augmentation: scaling up or down by up to this share.
        shift: Augmentation: shift by up to this share of the side.
        flip: Augmentation: every second picture is mirrored.
        color: Augmentation: change of brightness, saturation and contrast by up to this share, such as 0.5.
        cutout: Augmentation: a square with this share of the side is made grey.
        image_column: The dataset's column of pictures; null finds it.
        label_column: The dataset's column of classes; null finds it.
        channels: 1 for grey, 3 for colour, 4 for colour and transparency; null takes what the pictures are, with
            transparency composited on white.
        bits: Bits of a grey value, 8 or 16, in the data and in what is generated. 16 needs channels 1.
        classes: The names of the classes; empty takes them from the dataset.
    """

    resolution: int | str = 32
    fit: Literal["crop", "pad", "stretch"] = "crop"
    architecture: Literal["mlp", "dcgan", "styled", "stylegan2", "r3gan"] = "styled"
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
    bits: Literal[8, 16] = 8

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, _, width = str(self.resolution).partition("x")
        return int(height), int(width or height)

    def __post_init__(self) -> None:
        self.check_resolution()
        if self.channels not in (None, 1, 3, 4):
            raise UserError(
                f"channels is {self.channels}: expected 1 (grey), 3 (colour), 4 (with transparency) or null (as the "
                "pictures are)"
            )
        if self.bits == 16 and self.channels not in (None, 1):
            raise UserError(f"bits is 16, and channels {self.channels}: expected grey pictures, channels 1")
        for name in ("latent_dim", "generator_width", "discriminator_width"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: expected at least 1")
            groups = 8 if getattr(self, name) <= 768 else 96  # of grouped convolutions
            if self.architecture == "r3gan" and name.endswith("width") and getattr(self, name) % groups:
                raise UserError(
                    f"{name} is {getattr(self, name)}: expected a multiple of 8, and above 768 of 96, with "
                    "architecture r3gan"
                )
        for name, most in (("rotation", 180), ("scaling", 0.9), ("shift", 1), ("color", 1), ("cutout", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name)}: expected 0 to {most}")

    def check_resolution(self) -> None:
        """Raise UserError for a resolution that is none, or that the networks cannot make."""
        if not re.fullmatch(r"\d+(x\d+)?", str(self.resolution)):
            raise UserError(f"resolution is {self.resolution}: expected pixels, such as 32, or 64x96 (height x width)")
        if not all(SMALLEST <= side <= LARGEST for side in self.sides):
            raise UserError(f"resolution is {self.resolution}: expected sides of {SMALLEST} to {LARGEST} pixels")
        step = 1 << (min(self.sides) // BASE).bit_length() - 1
        if self.architecture != "mlp" and any(side % step for side in self.sides):
            near = [max(round(side / step), BASE) * step for side in self.sides]
            raise UserError(
                f"resolution is {self.resolution}: expected sides that can be halved until the shorter is 4 to 7, such "
                f"as 16, 32, 64, 128, 256, 48x80 or, nearest, {'x'.join(map(str, dict.fromkeys(near)))}"
            )
