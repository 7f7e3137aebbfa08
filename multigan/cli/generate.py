"""`multigan generate`: from a model to files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

PREVIEWED = 100  # samples in the picture of what was made


@click.command()
@click.option("--modality", help="What to generate: takes the newest run of it under runs/, else its starter model.")
@click.option("--model", help="A run folder, a model folder, a hub id (owner/name), or starter/image.")
@click.option("-n", "count", type=int, default=16, show_default=True, help="How many samples.")
@click.option("--label", "labels", multiple=True, help="A class, by name or number; give it again for several in turn.")
@click.option("--seed", type=int, default=0, show_default=True, help="Sample i depends on the seed and on i alone.")
@click.option(
    "--truncation", type=float, help="Stay within so many deviations of the middle: less variety, more typical."
)
@click.option("--interpolate", is_flag=True, help="A walk in n steps from the latent of sample 0 to that of sample 1.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder. [default: the next under generated/]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
def generate(
    modality: str | None,
    model: str | None,
    count: int,
    labels: tuple[str, ...],
    seed: int,
    truncation: float | None,
    interpolate: bool,
    out: Path | None,
    device: str,
) -> None:
    """Generate with a trained model: a file a sample, a picture of the first, and metadata.csv with their classes.

    \b
    multigan generate --modality image -n 16
    multigan generate --model runs/digits --label 3 --label 7 -n 100 --out threes_and_sevens
    """
    import torch

    from multigan import registry
    from multigan.errors import UserError
    from multigan.model_folder import newest
    from multigan.pretrained import load

    if model is None:
        if modality is None:
            raise UserError(
                "give --modality (the newest run of it, or its starter model) or --model (a run, a model or a hub id)"
            )
        registry.load(modality)  # a name that is not installed is the first thing to say
        model = str(newest(modality))
    generator = load(model, modality)
    try:
        generator.network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device {device!r} here: {str(error).splitlines()[0]}") from error
    batches = generator.batches(count, seed, labels or None, truncation, interpolate)
    folder = new_folder(out, modality or generator.name)
    # A walk stays in one class, the first unless told otherwise.
    names = generator.class_names(count, labels or (generator.classes[:1] if interpolate else ()) or None)
    click.echo(f"model:  {model}")
    first: list[Tensor] = []
    try:
        files = generator.modality.save(watched(batches, count, first), folder)
        if len(files) == count:
            write_metadata(files, names, folder)
        shown = torch.cat(first)[:PREVIEWED]
        previews = generator.modality.preview(shown, folder / "preview", names[:PREVIEWED])
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}") from error
    for fault in generator.modality.faults(shown):
        click.echo(f"warning: {fault}", err=True)
    click.echo(f"wrote:  {count} samples and {', '.join(file.name for file in previews)} into {folder}")


def write_metadata(files: list[Path], labels: list[str], folder: Path) -> None:
    """Say of what class each file is, in the form that makes the folder a dataset to train on."""
    with (folder / "metadata.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["file_name", "label"] if labels else ["file_name"])
        for number, file in enumerate(files):
            writer.writerow([file.name, *labels[number : number + 1]])


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


def new_folder(out: Path | None, name: str) -> Path:
    """The folder asked for, or the next free one under ``generated/``.

    Raises:
        UserError: It holds something already, or cannot be made.
    """
    from multigan.errors import UserError

    number = 1
    while out is None:
        folder = Path("generated") / f"{name.rpartition(':')[2]}-{number:03d}"
        out, number = (None if folder.exists() else folder), number + 1
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} holds something already: name a new folder with --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror or error}") from error
    return out
