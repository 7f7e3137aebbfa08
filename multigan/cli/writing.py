"""What commands that write samples have in common: where these go, how far they are, and what can go wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from multigan.cli.generate import Asked
    from multigan.modality import Preview

PREVIEWED = 100  # samples in the picture of what was made
GENERATED = Path("generated")  # where folders are made, unless another is named


def new_folder(out: Path | None, name: str) -> Path:
    """The folder asked for, or the next free one under ``generated/``.

    Raises:
        UserError: It is not empty, or cannot be created.
    """
    from multigan.errors import UserError

    number = 1
    while out is None:
        folder = GENERATED / f"{name.rpartition(':')[2]}-{number:03d}"
        out, number = (None if folder.exists() else folder), number + 1
    with unwritable(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} is not empty: choose a new folder with --out")
        out.mkdir(parents=True, exist_ok=True)
    return out


def check_outside(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write into a folder of inputs: what is written would be an input the next time.

    Raises:
        UserError: It is one, or inside one.
    """
    from multigan.errors import UserError

    for path in map(Path.expanduser, inputs):
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise UserError(
                f"{out} is inside the input {path}, so what is written would be an input the next time: choose a "
                "folder elsewhere with --out"
            )


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Say in one line that a folder cannot be written."""
    from multigan.errors import UserError

    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}") from error


def watched(batches: Iterator[Tensor], count: int, first: list[Tensor]) -> Iterator[Tensor]:
    """The batches under a progress bar; the first of them are kept in ``first``."""
    from tqdm import tqdm

    kept = 0
    with tqdm(total=count, desc="generating", unit=" samples", disable=None) as bar:
        for batch in batches:
            if kept < PREVIEWED:
                first.append(batch)
                kept += len(batch)
            yield batch
            bar.update(len(batch))


def counted(count: int, thing: str) -> str:
    """``1 sample``, ``2 samples``."""
    return f"{count} {thing}{'s' * (count != 1)}"


def save(
    asked: Asked,
    batches: Iterator[Tensor],
    count: int,
    folder: Path,
    names: list[str],
    preview: Callable[[Tensor], Preview],
    **more: Any,
) -> Preview:
    """Write samples, and a preview of the first; state in each file what made it.

    Args:
        asked: What was asked for.
        batches: The samples, in batches.
        count: How many.
        folder: Where to.
        names: The class of each; none for a model without classes.
        preview: Writes that of the first samples ``(b, *S)``.
        more: What the files say besides.
    """
    import torch

    from multigan.generation.shards import write_metadata

    first: list[Tensor] = []
    modality = asked.generator.modality
    with unwritable(folder):
        files = modality.save(watched(batches, count, first), folder, names)
        if files[0].suffix in modality.file_endings:  # a file a sample
            write_metadata(files, names, bool(names and asked.generator.combinations), folder)
        shown = preview(torch.cat(first)[:PREVIEWED])
        for number, file in enumerate(files if len(files) == count else []):
            asked.mark(file, number, label=names[number] if names else None, **more)
        for file in shown.files:
            asked.mark(file, **more)
    return shown
