"""Folders that are written whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from multigan.errors import UserError

ASIDE = ".writing-"


@contextmanager
def written_whole(folder: Path, what: str) -> Iterator[Path]:
    """A new folder to write into, which then takes the place of ``folder``: synced to the disk and renamed.

    Args:
        folder: Where it is to be; one that is there is replaced.
        what: What it holds, for the error: "the model", say.

    Raises:
        UserError: The disk is full or cannot be written; ``folder`` is as it was.
    """
    aside = folder.with_name(f"{ASIDE}{folder.name}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in (*aside.iterdir(), aside):
            sync(path)
        before = folder.with_name(f"{ASIDE}{folder.name}.before")
        if folder.exists():
            folder.rename(before)
        aside.rename(folder)
        sync(folder.parent)
        shutil.rmtree(before, ignore_errors=True)
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write {what} into {folder}: {reason}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def clean(folder: Path) -> None:
    """Remove what an interrupted write left behind in a folder."""
    for litter in folder.glob(f"{ASIDE}*"):
        shutil.rmtree(litter)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
