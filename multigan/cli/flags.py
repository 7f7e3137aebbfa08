"""From flags and files to a configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import click

from multigan import legacy, registry
from multigan.config import CONFIG_FILE, TrainingConfig, all_hints, flatten, load_file, merge, plain, read
from multigan.errors import UserError
from multigan.modality import Modality
from multigan.training.run_folder import diff_for_resume
from multigan.validation import describe, nearest, to_plain


def parse(arguments: list[str], recipe: TrainingConfig, program: str, description: str) -> TrainingConfig:
    """A configuration from flags and a file over a recipe's.

    ``--resume RUN`` puts the configuration of that run in the recipe's place.

    Raises:
        UserError: Anything in the file or the flags that cannot be used, in one line.
        SystemExit: After ``--help`` or ``--print_config``.
    """
    import argparse

    from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    files.add_argument("--config", action="append", default=[])
    files.add_argument("--resume")
    found, flags = files.parse_known_args(arguments)
    if found.resume is not None:
        if not Path(found.resume).is_dir():
            raise UserError(f"--resume takes a run folder, and there is no folder {found.resume}")
        if not (Path(found.resume) / CONFIG_FILE).is_file():
            raise UserError(f"--resume takes a run folder: {found.resume} has no {CONFIG_FILE} in it")
        found.config.insert(0, str(Path(found.resume) / CONFIG_FILE))
    for file in found.config:
        recipe = merge(recipe, load_file(Path(file)))

    class Help(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """A recipe's story keeps its lines."""

    plugin = registry.load(recipe.modality)
    parser = ArgumentParser(
        prog=program,
        usage=f"{program} [FLAGS]",
        description=description,
        formatter_class=Help,
        allow_abbrev=False,
        exit_on_error=False,
    )
    # Read above, where its values become defaults; here for --help, and for --print_config.
    parser.add_argument("--config", action="config", help="A YAML file of settings; flags override it.")
    parser.add_class_arguments(TrainingConfig, skip={"model"})
    parser.add_class_arguments(plugin.Config, "model")
    parser.set_defaults(flatten(dataclasses.asdict(recipe)))
    try:
        values = parser.parse_args([today(flag) for flag in flags]).as_dict()
    except ArgumentError as error:
        raise UserError(explain(str(error), plugin)) from error
    del values["config"]
    if found.resume is not None:
        # What a run cannot be resumed with is said before what is wrong with it for another reason.
        before = plain(read(Path(found.resume), recipe.modality))
        diff_for_resume(before, {**before, **to_plain(values)})
    now = dataclasses.asdict(recipe.model)
    values["model"] = {name: value for name, value in values["model"].items() if value != now[name]}  # what flags say
    return merge(recipe, {**values, "resume": found.resume})


def today(flag: str) -> str:
    """A flag, or the value of one, under today's name: those of multigan 0.1 are taken with a note."""
    name, equals, value = flag.partition("=")
    known = legacy.SETTINGS.get(name.removeprefix("--"))
    if known is None or not name.startswith("--"):
        return flag
    print(f"note: {name} is --{known} now", file=sys.stderr)
    return f"--{known}{equals}{value}"


def explain(message: str, plugin: type[Modality]) -> str:
    """The parser's error about a flag as one line in the words of the user."""
    hints = all_hints(plugin)
    bare = re.search(r"argument --(\S+): expected one argument", message)
    if bare and bare[1] in hints:
        return f"{bare[1]} has no value: expected {describe(hints[bare[1]])}"
    unknown = re.search(r"unrecognized arguments: -*([^\s=]+)", message)
    if unknown:
        others = modalities_with(unknown[1])
        elsewhere = f"; multigan train {' or '.join(others)} has it"
        return f"unknown setting {unknown[1]}{elsewhere if others else nearest(unknown[1], hints)}"
    wrong = re.search(
        r'Parser key "([^"]+)":.*[Gg]iven value: (.*)|Parser key "([^"]+)":.*Got value: (.*)', message, re.S
    )
    name, given = (wrong[1] or wrong[3], wrong[2] or wrong[4]) if wrong else ("", "")
    if name in hints:
        given = given.strip("'")
        return f"{name} is {given!r}: expected {describe(hints[name])}"
    return " ".join(message.split())


def modalities_with(setting: str) -> list[str]:
    """The installed modalities that have a setting."""
    found = []
    for name in registry.names():
        with contextlib.suppress(UserError):  # one that cannot be imported
            if setting in all_hints(registry.load(name)):
                found.append(name)
    return found


def further(more: tuple[str, ...], modality: str, known: dict[str, Any], command: click.Command) -> dict[str, Any]:
    """The modality's own flags with their values: ``--name value`` or ``--name=value``.

    Raises:
        UserError: An unknown flag, or one without a value.
    """
    import yaml

    options: dict[str, Any] = {}
    words = list(more)
    while words:
        flag, equals, value = words.pop(0).partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("-"):
            inputs = any("--input" in option.opts for option in command.params)
            hint = ": give --input for each file, or for a folder of them" if inputs and Path(flag).exists() else ""
            raise UserError(f"{command.name} takes no {flag!r} without an option before it{hint}")
        if name not in known or not flag.startswith("--"):
            flags = [f"--{name}" for name in known] + [flag for option in command.params for flag in option.opts]
            raise UserError(f"{command.name} takes no {flag} with modality {modality!r}{nearest(flag, flags)}")
        if not equals and (not words or words[0].startswith("--")):
            raise UserError(f"{flag} has no value: expected {describe(known[name])}")
        given = value if equals else words.pop(0)
        options[name] = given if known[name] is str else yaml.safe_load(given)
    return options
