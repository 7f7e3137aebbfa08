"""Curves of three kinds: bumps, steps and waves, each with a place and a height of its own."""

from dataclasses import dataclass

import datasets
import numpy
import torch
from matplotlib.figure import Figure
from torch import nn

from multigan import Modality
from multigan.classes import labelled, with_classes
from multigan.modality import ClassConditionalConfig, Preview
from multigan.networks.embedding import ClassEmbedding
from multigan.networks.heads import ProjectionHead

POINTS = 64
KINDS = ("bump", "step", "wave")


@dataclass(frozen=True)
class CurvesConfig(ClassConditionalConfig):
    """The networks.

    Args:
        conditional: Whether both networks are given the kind of curve.
        latent_dim: Size of the latent vector.
        width: Units of each hidden layer.
    """

    conditional: bool = True
    latent_dim: int = 16
    width: int = 256


def curves() -> datasets.Dataset:
    """6,000 curves of 64 points, and the kind of each."""
    random = numpy.random.default_rng(0)
    kinds = numpy.arange(6000) % len(KINDS)
    places, heights = random.uniform(0.3, 0.7, (6000, 1)), random.uniform(0.5, 1, (6000, 1))
    offsets = numpy.linspace(0, 1, POINTS) - places
    shapes = [numpy.exp(-((offsets / 0.1) ** 2)), numpy.tanh(offsets / 0.05), numpy.sin(4 * numpy.pi * offsets)]
    values = heights * numpy.stack(shapes)[kinds, numpy.arange(6000)]
    features = datasets.Features(
        {"curve": datasets.List(datasets.Value("float32")), "kind": datasets.ClassLabel(names=list(KINDS))}
    )
    return datasets.Dataset.from_dict({"curve": values.astype("float32"), "kind": kinds}, features=features)


class Generator(nn.Module):
    """Latents (B, latent_dim), condition -> curves (B, POINTS)."""

    def __init__(self, latent_dim, width, classes):
        super().__init__()
        self.kind = ClassEmbedding(classes, latent_dim) if classes else None
        self.layers = nn.Sequential(
            nn.Linear(2 * latent_dim if classes else latent_dim, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, POINTS),
        )

    def forward(self, latent, condition):
        if self.kind is not None:
            latent = torch.cat([latent, self.kind(condition)], 1)
        return self.layers(latent)


class Discriminator(nn.Module):
    """Curves (B, POINTS), condition -> logits (B,)."""

    def __init__(self, width, classes):
        super().__init__()
        self.features = features(width)
        self.head = ProjectionHead(width, classes)

    def forward(self, samples, condition):
        return self.head(self.features(samples), condition)


def features(width):
    """A network from curves (B, POINTS) to features (B, width)."""
    return nn.Sequential(nn.Linear(POINTS, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2))


class Curves(Modality):
    """A sample is a curve: (POINTS,)."""

    Config = CurvesConfig
    builtin_datasets = {"curves": curves}
    training_defaults = {"steps": 2000, "generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}

    def fit(self, dataset):
        self.config = with_classes(self.config, dataset)
        return [f"curves of {POINTS} points; kinds: {', '.join(self.config.classes) or 'none'}"]

    def encode(self, row):
        curve = numpy.asarray(row["curve"], "float32")
        if curve.shape != (POINTS,):
            raise ValueError(f"a curve of shape {curve.shape}: expected {POINTS} values")
        return labelled({"real": curve}, row, self.config)

    def generator(self):
        return Generator(self.config.latent_dim, self.config.width, len(self.classes))

    def discriminator(self):
        return Discriminator(self.config.width, len(self.classes))

    def save(self, batches, folder, labels=()):
        number = 0
        with (folder / "curves.csv").open("w") as file:
            for batch in batches:
                for curve in batch.tolist():
                    kind = f"{labels[number]}," if labels else ""
                    file.write(kind + ",".join(f"{value:.5f}" for value in curve) + "\n")
                    number += 1
        return [folder / "curves.csv"]

    def preview(self, samples, path, labels=()):
        figure = Figure(figsize=(8, 8), layout="constrained")
        for place, axes in enumerate(figure.subplots(4, 4, sharex=True, sharey=True).flat):
            if place < len(samples):
                axes.plot(samples[place])
                axes.set_title(labels[place] if labels else "")
        file = path.with_name(f"{path.name}.png")
        figure.savefig(file)
        return Preview([file])

    def classifier(self):
        return features(width=64)
