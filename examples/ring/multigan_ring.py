"""Points in the plane, from a ring of eight Gaussians: the smallest modality there is."""

from dataclasses import dataclass

import datasets
import numpy
from matplotlib.figure import Figure
from torch import nn

from multigan.modality import Modality, Preview


@dataclass(frozen=True)
class RingConfig:
    """The networks.

    Args:
        latent_dim: Size of the latent.
        width: Units of each hidden layer.
    """

    latent_dim: int = 8
    width: int = 128


def ring() -> datasets.Dataset:
    """8,000 points around eight places on the unit circle, 0.05 off in either direction."""
    random = numpy.random.default_rng(0)
    angles = numpy.arange(8000) % 8 * numpy.pi / 4
    points = numpy.stack([numpy.cos(angles), numpy.sin(angles)], 1) + 0.05 * random.standard_normal((8000, 2))
    return datasets.Dataset.from_dict({"x": points[:, 0], "y": points[:, 1]})


class Network(nn.Sequential):
    """The generator and the discriminator: they differ in their ends only."""

    def __init__(self, inputs, width, outputs):
        hidden = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        super().__init__(*hidden, nn.Linear(width, outputs), nn.Flatten(0) if outputs == 1 else nn.Identity())

    def forward(self, samples, condition):
        return super().forward(samples)


class Ring(Modality):
    """A sample is a point: ``(2,)``."""

    Config = RingConfig
    builtin_datasets = {"ring": ring}
    training_defaults = {"steps": 3000, "batch_size": 256, "r1": 0.02, "r2": 0.02, "betas": (0.0, 0.99)}
    training_defaults |= {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3}

    def encode(self, row):
        return {"real": numpy.array([row["x"], row["y"]], "float32")}

    def generator(self):
        return Network(self.config.latent_dim, self.config.width, 2)

    def discriminator(self):
        return Network(2, self.config.width, 1)

    def save(self, batches, folder, labels=()):
        with (folder / "points.csv").open("w") as file:
            file.write("x,y\n")
            for batch in batches:
                numpy.savetxt(file, batch, "%.6f", ",")
        return [folder / "points.csv"]

    def preview(self, samples, path, labels=()):
        figure = Figure(figsize=(4, 4))
        axes = figure.add_subplot(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
        axes.scatter(*samples.T, s=8)
        figure.savefig(f"{path}.png")
        return Preview([path.with_name(path.name + ".png")])
