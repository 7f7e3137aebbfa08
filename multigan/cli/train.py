"""`multigan train`: from flags to a run."""

from __future__ import annotations

import typing
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from multigan import registry
    from multigan.config import configure
    from multigan.errors import UserError

    if modality in (None, "-h", "--help"):
        click.echo("usage: multigan train MODALITY [FLAGS]\n")
        click.echo(f"MODALITY is one of {', '.join(registry.names())}, or package.module:Class.")
        click.echo("multigan train MODALITY --help lists the flags.")
        return
    if modality.startswith("-"):
        raise UserError(f"give the modality before the flags: multigan train MODALITY {modality} ...")
    recipe = configure(modality, model=model_asked_for(list(flags), modality))
    train_with_flags(list(flags), recipe, f"multigan train {modality}", f"Train a GAN of modality {modality}.")


def model_asked_for(flags: list[str], modality: str) -> Any:
    """The settings of the model in files and flags, as defaults may depend on them: on its task.

    None where they cannot be used, which is said later.
    """
    import argparse

    import yaml

    from multigan import registry
    from multigan.config import load_file, typed_fields
    from multigan.errors import UserError

    plugin = registry.load(modality)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", action="append", default=[])
    for name in typing.get_type_hints(plugin.Config):
        parser.add_argument(f"--model.{name}")
    try:
        values = vars(parser.parse_known_args(flags)[0])
        model: dict[str, Any] = {}
        for file in values.pop("config"):
            model |= load_file(Path(file)).get("model") or {}
        given = {name: value for name, value in values.items() if value is not None}
        model |= {name.removeprefix("model."): yaml.safe_load(value) for name, value in given.items()}
        return plugin.Config(**typed_fields(model, plugin, "model."))
    except (UserError, TypeError, ValueError, argparse.ArgumentError, yaml.YAMLError):
        return None


def train_with_flags(arguments: list[str], recipe: TrainingConfig, program: str, description: str) -> None:
    """Train as a recipe says, under a file and flags."""
    from multigan.cli.flags import parse

    config = parse(arguments, recipe, program, description)
    # Of a weight of one channel, whose two layouts are the same; no user can do anything about it.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    from multigan.training.run import train

    train(config)
