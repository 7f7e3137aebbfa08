"""The command line: `multigan`, and what a recipe runs.

Commands are loaded when they are asked for, so that `multigan --help` does not wait for torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from multigan.errors import LostProcessError, UserError
from multigan.version import __version__

if TYPE_CHECKING:
    from multigan.config import TrainingConfig

COMMANDS = {
    "compare": "Put evaluated runs side by side.",
    "export": "Export a model: ONNX, torch.export, or a page.",
    "evaluate": "Measure how good a run or a model is.",
    "generate": "Generate with a trained model, or with the starter model.",
    "info": "Say what a run or a model is.",
    "invert": "Find the latents of pictures and sounds.",
    "modalities": "List the modalities installed.",
    "playground": "Explore models and watch runs, in the browser.",
    "push": "Push a model to the Hugging Face Hub.",
    "train": "Train a modality.",
}


class LazyGroup(click.Group):
    """Commands that each live in a module of this package, imported when they are run."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"multigan.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from multigan.validation import nearest

            raise UserError(f"no command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="multigan")
def group() -> None:
    """Train GANs that generate images, audio and text, or pictures from pictures, and generate from them.

    \b
    multigan generate --modality image -n 16                  from the starter model
    multigan train image --dataset FOLDER_OF_PICTURES         into a new folder under runs/
    multigan generate --modality image -n 16                  now from what you trained
    accelerate launch -m multigan train image ...             on several processes
    """


def main() -> None:
    """The command `multigan`."""
    guarded(run_group)


def run_group() -> None:
    """The commands; click would end an interrupt in a word of its own, so its errors are shown here."""
    try:
        group(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        raise UserError(error.format_message().rstrip(".")) from error
    except click.Abort as error:
        raise KeyboardInterrupt(error.__cause__ or "") from error


def recipe(config: TrainingConfig, description: str | None) -> None:
    """What a recipe script runs: its configuration, under a file and flags.

    Args:
        config: The recipe.
        description: The text of ``--help``: the recipe's docstring.
    """
    from multigan.cli.train import train_with_flags

    guarded(lambda: train_with_flags(sys.argv[1:], config, os.path.basename(sys.argv[0]), description or ""))


def guarded(command: Callable[[], Any]) -> None:
    """Run a command; what a user can mend is one line, and exit code 2."""
    try:
        command()
    except UserError as error:
        # Every process stops for the same reason; one of them says it, unless it is the one that has gone.
        if os.environ.get("LOCAL_RANK", "0") == "0" or isinstance(error, LostProcessError):
            print(f"multigan: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as error:
        print(f"\nmultigan: interrupted{f'; {error}' if str(error) else ''}", file=sys.stderr)
        sys.exit(130)
