"""Games of points in the plane, as GAN Lab shows them (Kahng et al. 2018, arXiv:1809.01587).

Real and generated points, what the discriminator says of every place, and where the generator takes the plane of
latents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multigan import config
from multigan.engine import checkpoint
from multigan.engine.stabilizers import apply_spectral_norm
from multigan.errors import UserError
from multigan.evaluation.held_out import open_pair
from multigan.generation.generator import TrainedGenerator, load
from multigan.training.checkpoints import load as load_checkpoint

POINTS = 500  # of each kind
FIELD = 48  # places along an axis at which the discriminator is asked
MESH = 17  # lines of latents along an axis
MARGIN = 0.3  # of the extent of the real points, around them


class Plane:
    """A run, and if its samples are points in the plane, what there is to see.

    A run keeps a few checkpoints; those that were there once, while a page watched, are remembered here.

    Args:
        folder: Of the run.
        modality: As in `multigan.load`.

    Attributes:
        in_plane: Whether samples are points, ``(2,)``; nothing else is there if not.

    Raises:
        UserError: There is no model yet.
    """

    def __init__(self, folder: Path, modality: str | None) -> None:
        self.folder = folder
        self.generator = load(folder, modality)
        self.modality = self.generator.modality
        self.training = config.read(folder, modality)
        self.known: dict[int, dict[str, Any]] = {}
        self.in_plane = not self.modality.takes_inputs and next(self.generator.batches(1)).shape[1:] == (2,)
        if not self.in_plane:
            return
        self.real = self.real_points()
        seen = self.real if len(self.real) else self.fake_points(self.generator)
        low, high = seen.min(0).values, seen.max(0).values
        margin = MARGIN * (high - low).max()
        self.low, self.high = low - margin, high + margin

    def real_points(self) -> Tensor:
        """Some of what it is trained on, ``(N, 2)``; none where that cannot be had any more."""
        training = self.training
        try:
            rows = open_pair(
                self.modality,
                training.dataset or "",
                training.subset,
                training.split,
                training.skip_corrupt,
                training.evaluate_held_out,
                POINTS,
                training.seed,
            ).train
            return rows.samples(self.modality, 0, len(rows), torch.device("cpu"))
        except UserError:
            return torch.zeros(0, 2)

    def steps(self) -> list[int]:
        """The steps that can be shown, after a look at what is new."""
        for path in checkpoint.complete(self.folder / "checkpoints"):
            step = int(path.name.removeprefix("step-"))
            if step not in self.known:
                try:
                    self.known[step] = self.show(path)
                except OSError:  # it was one of the older ones, and is gone by now
                    continue
        return sorted(self.known)

    def show(self, path: Path) -> dict[str, Any]:
        """What a checkpoint has learned."""
        tensors, _ = load_checkpoint(path)
        network = self.modality.generator()
        network.load_state_dict(tensors["average"])
        generator = TrainedGenerator(self.generator.name, self.modality, network.eval().requires_grad_(False))
        fake = self.fake_points(generator)
        return {"fake": rounded(fake), "field": self.field(tensors["discriminator"], fake), "mesh": mesh(generator)}

    def fake_points(self, generator: TrainedGenerator) -> Tensor:
        """Generated points ``(N, 2)``."""
        return torch.cat(list(generator.batches(POINTS)))

    def field(self, weights: dict[str, Tensor], fake: Tensor) -> list[list[float]]:
        """What the discriminator says on a grid, rows from the bottom: from -1, generated, to 1, real.

        0 is half-way between its means at real and at generated points. Empty for one that looks at another form of the
        points, or draws numbers.
        """
        network = self.modality.discriminator()
        if hasattr(network, "represent") or hasattr(network, "random_numbers"):
            return []
        if self.training.spectral_norm:
            apply_spectral_norm(network)
        network.load_state_dict(weights)
        network.eval().requires_grad_(False)
        axes = [torch.linspace(float(low), float(high), FIELD) for low, high in zip(self.low, self.high, strict=True)]
        grid = torch.stack(torch.meshgrid(axes[1], axes[0], indexing="ij")[::-1], -1).view(-1, 2)
        parts = [grid, fake, self.real if len(self.real) else fake]
        said, of_fake, of_real = torch.split_with_sizes(self.judged(network, torch.cat(parts)), list(map(len, parts)))
        centered = said - (of_fake.mean() + of_real.mean()) / 2
        found: list[list[float]] = rounded((centered / centered.abs().max().clamp_min(1e-9)).view(FIELD, FIELD))
        return found

    def judged(self, network: Any, samples: Tensor) -> Tensor:
        """One logit a point, of the first class of a class-conditional model."""
        condition = self.generator.conditions()
        if condition is not None:
            condition = condition[:1].expand(len(samples), *condition.shape[1:])
        found = network(samples, condition)
        logits: Tensor = found.logits if hasattr(found, "logits") else found
        return logits.flatten(1).mean(1) if logits.dim() > 1 else logits


def mesh(generator: TrainedGenerator) -> list[list[list[float]]]:
    """Where a generator takes lines of latents, each as points; empty where latents are not in a plane.

    Between two neighbouring lines are as many latents as between any others.
    """
    if generator.modality.config.latent_dim != 2:
        return []
    line = torch.special.ndtri((torch.arange(MESH, dtype=torch.float32) + 0.5) / MESH)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
    condition = generator.conditions()
    if condition is not None:
        condition = condition[:1].expand(MESH * MESH, *condition.shape[1:])
    points = generator.from_latents(grid.view(-1, 2), condition).view(MESH, MESH, 2)
    lines: list[list[list[float]]] = rounded(torch.cat([points, points.transpose(0, 1)]))
    return lines


def rounded(values: Tensor) -> Any:
    """Nested lists, to four digits."""
    return [rounded(row) for row in values] if values.dim() else round(float(values), 4)
