"""Blurred grey pictures become sharp: a modality whose networks are told a picture."""

from dataclasses import dataclass

import numpy
import torch
from torch import nn
from torch.nn import functional

from multigan.modality import Modality, Preview, Tiling
from multigan.pictures import decoding, output
from multigan.pictures.digits import digits

SIDE = 16  # pixels that training pictures are scaled to


@dataclass(frozen=True)
class SharpenConfig:
    """The networks.

    Args:
        latent_dim: Size of the latent; with 0 each input has one output.
        width: Channels of each hidden layer.
        l1: Weight of the mean distance to the true picture, beside the adversarial objective.
    """

    latent_dim: int = 0
    width: int = 16
    l1: float = 5.0


def convolutions(inputs, width, outputs):
    """Three convolutions, which take pictures of any size."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 5, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 5, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, outputs, 5, padding=2),
    )


class Generator(nn.Module):
    """Latents (B, latent_dim), blurred (B, 1, H, W) -> sharp (B, 1, H, W): what is added to the blurred picture."""

    def __init__(self, latent_dim, width):
        super().__init__()
        self.layers = convolutions(1 + latent_dim, width, 1)

    def forward(self, latent, blurred):
        noise = latent[:, :, None, None].expand(-1, -1, *blurred.shape[2:])
        return blurred + self.layers(torch.cat([blurred, noise], 1))


class Discriminator(nn.Module):
    """Pictures (B, 1, H, W), blurred ones -> a logit for each place (B, 1, H, W)."""

    def __init__(self, width):
        super().__init__()
        self.layers = convolutions(2, width, 1)

    def forward(self, samples, blurred):
        return self.layers(torch.cat([samples, blurred], 1))


def blur(pictures, strength):
    """Pictures (B, 1, H, W), each with as much of a 5 x 5 mean as its strength (B, 1) says."""
    flat = functional.avg_pool2d(functional.pad(pictures, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return torch.lerp(pictures, flat, strength[:, :, None, None])


class Sharpen(Modality):
    """A sample is a grey picture (1, H, W) in [-1, 1], and the condition the same, blurred."""

    Config = SharpenConfig
    builtin_datasets = {"digits": digits}
    file_endings = (".png", ".jpg", ".jpeg")
    training_defaults = {
        "steps": 1000,
        "batch_size": 32,
        "generator_learning_rate": 1e-3,
        "discriminator_learning_rate": 1e-3,
    }
    takes_inputs = True
    pair_numbers = 1  # how much a picture is blurred
    tiling = Tiling(side=256, overlap=32)

    def encode(self, row):
        picture = row["file"] if "file" in row else row["image"]
        return {"real": decoding.pixels(picture, (SIDE, SIDE), channels=1)}

    def to_sample(self, real):
        return super().to_sample(real) / 127.5 - 1

    def to_pair(self, encoded, beside, numbers):
        sharp = self.to_sample(encoded)
        return sharp, blur(sharp, 0.5 + 0.5 * numbers)

    def read_input(self, row, options):
        with decoding.open_picture(row["file"] if "file" in row else row["input"]) as picture:
            return {"picture": numpy.array(picture.convert("L"))[None]}

    def to_condition(self, inputs):
        return self.to_sample(inputs["picture"])

    def trivial_output(self, condition):
        return condition

    def generator(self):
        return Generator(self.config.latent_dim, self.config.width)

    def discriminator(self):
        return Discriminator(self.config.width)

    def generator_loss(self, output):
        return {"l1": self.config.l1 * (output.fake - output.real).abs().mean()}

    def save(self, batches, folder, labels=()):
        return output.save(batches, folder)

    def preview(self, samples, path, labels=()):
        return Preview(output.grid(samples, path))

    def preview_pairs(self, condition, generated, real, path):
        shown = [condition, generated] if real is None else [condition, generated, real]
        return Preview(output.grid(torch.stack(shown, 1).flatten(0, 1), path, columns=len(shown)))

    def to_outputs(self, samples):
        return output.pictures(samples)
