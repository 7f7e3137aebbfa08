"""`multigan train`: from flags to a run."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from multigan.config import TrainingConfig


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    options_metavar="[FLAGS]",
)
@click.argument("modality", required=False)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def train(modality: str | None, flags: tuple[str, ...]) -> None:
    """Train a modality: multigan train MODALITY [FLAGS].

    multigan train MODALITY --help lists the flags.
    """
    from dataclasses import replace

    from multigan import registry
    from multigan.cli.flags import parse
    from multigan.config import configure
    from multigan.errors import UserError

    if modality in (None, "-h", "--help"):
        click.echo("usage: multigan train MODALITY [FLAGS]\n")
        click.echo(f"MODALITY is one of {', '.join(registry.names())}, or package.module:Class.")
        click.echo("multigan train MODALITY --help lists the flags.")
        return
    if modality.startswith("-"):
        raise UserError(f"give the modality before the flags: multigan train MODALITY {modality} ...")
    recipe, program = configure(modality), f"multigan train {modality}"
    description = f"Train a GAN of modality {modality}."
    asked = [flag for flag in flags if not flag.startswith(("--print_config", "--help", "-h"))]
    if any(flag.startswith(("--model.", "--config")) for flag in asked):  # defaults may depend on the model: its task
        model = parse(asked, recipe, program, description).model
        recipe = replace(configure(modality, model=model), model=recipe.model)
    train_with_flags(list(flags), recipe, program, description)


def train_with_flags(arguments: list[str], recipe: TrainingConfig, program: str, description: str) -> None:
    """Train as a recipe says, under a file and flags."""
    from multigan.cli.flags import parse

    config = parse(arguments, recipe, program, description)
    # Of a weight of one channel, whose two layouts are the same; no user can do anything about it.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    from multigan.training.run import train

    train(config)
