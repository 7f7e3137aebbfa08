"""What `multigan generate --latent` does: samples of latents that were found, and of these moved to another class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

    from multigan.cli.generate import Asked, Made
    from multigan.generation.generator import TrainedGenerator
    from multigan.modality import Preview


def from_latents(asked: Asked, file: Path, toward: str | None) -> Made:
    """Samples of the latents in a file or, with ``toward``, n steps of each on its way to that class."""
    from multigan.cli.generate import Made
    from multigan.cli.writing import PREVIEWED, counted, save
    from multigan.errors import UserError
    from multigan.generation.latents import LatentFile

    generator, n = asked.generator, asked.n
    if generator.modality.takes_inputs:
        raise UserError("this model makes something of inputs, so it takes no --latent")
    given = LatentFile.read(file, generator.modality.config.latent_dim)
    latents, conditions = given.latents, starting_classes(generator, asked.labels or given.labels, len(given.latents))
    if toward is not None:
        latents, conditions = latents.repeat_interleave(n, 0), blends(generator, conditions, toward, n)
    whole = conditions is not None and not conditions.is_floating_point()  # no blends
    names = generator.class_names(len(latents), conditions) if whole else []
    options = {name: value for name, value in asked.options.items() if name not in ("seed", "interpolate")}
    batches = generator.batches(len(latents), label=conditions, latents=latents, **options)
    folder = asked.new_folder()
    click.echo(asked.said)
    if given.weights not in ("", generator.digest):
        click.echo(f"note: the latents in {file} were found for a model with other weights", err=True)
    columns = names if whole else [f"{place % n + 1} of {n}" for place in range(len(latents))] if n > 1 else []

    def preview(shown: Tensor) -> Preview:
        return generator.modality.preview(shown, folder / "preview", columns[:PREVIEWED])

    edit = {"latent": file.name, "seed": None} | ({"toward": toward, "of": n} if toward is not None else {})
    shown = save(asked, batches, len(latents), folder, names, preview, **edit)
    return Made(counted(len(latents), "sample"), folder, shown)


def starting_classes(generator: TrainedGenerator, labels: Sequence[str], n: int) -> Tensor | None:
    """The classes of ``n`` latents, one each: those of the labels, in turn.

    Raises:
        UserError: There are none, and the model needs them; or they are of no class.
    """
    from multigan.errors import UserError

    if not generator.classes and not labels:
        return None
    if not labels:
        raise UserError("the file of latents does not say of which class they are: give --label")
    conditions = generator.conditions(labels)
    assert conditions is not None  # else labels would have been refused
    return conditions[[place % len(conditions) for place in range(n)]]


def blends(generator: TrainedGenerator, conditions: Tensor | None, toward: str, n: int) -> Tensor:
    """``n`` conditions in a row for each of N, in equal steps from it to a class; that class alone for one.

    Returns:
        ``(N * n, classes)``, shares of each class as `multigan.networks.embedding.ClassEmbedding` takes them; for one
        step as `TrainedGenerator.conditions` returns them.

    Raises:
        UserError: There is no such class, or the network takes whole classes only.
    """
    import torch

    from multigan.errors import UserError
    from multigan.networks.embedding import ClassEmbedding, class_weights

    if conditions is None:
        raise UserError("--toward names a class, and this model has none: train one with --model.conditional true")
    target = generator.conditions([toward])
    assert target is not None
    if n == 1:
        return target.expand(len(conditions), *target.shape[1:])
    if not any(isinstance(module, ClassEmbedding) for module in generator.network.modules()):
        raise UserError("this network cannot be told of a blend of classes: leave out -n")
    start, end = (class_weights(one, len(generator.classes))[:, None] for one in (conditions, target))
    shares = torch.linspace(0, 1, n, dtype=start.dtype)[None, :, None]
    return start.lerp(end, shares).flatten(0, 1)
