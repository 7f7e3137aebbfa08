"""`multigan playground`: a page in the browser to explore models and watch runs."""

from __future__ import annotations

import os
import sys

import click

PORT = 7860


@click.command()
@click.argument("models", nargs=-1, metavar="[RUN_OR_MODEL ...]")
@click.option("--modality", help="For models and runs of a modality that is not installed: package.module:Class.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--browser/--no-browser", default=True, help="Whether to open the browser. [default: if there is one]")
def playground(models: tuple[str, ...], modality: str | None, host: str, port: int, browser: bool) -> None:
    """Explore models and watch runs, in the browser.

    RUN_OR_MODEL are run folders, model folders, hub ids or starters. [default: starters and everything under runs/]

    \b
    multigan playground
    multigan playground runs/digits starter/audio
    """
    from multigan.errors import UserError

    try:
        from multigan.playground.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise UserError('the playground needs more: pip install "multigan[playground]"') from error
    from multigan.playground.library import Library

    serve(Library(models, modality), host, port, browser and has_display(), click.echo)


def has_display() -> bool:
    """Whether a browser with windows can open: without one, Python would look for one in the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
