"""`multigan generate`: from a model to files."""

from __future__ import annotations

import csv
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import Tensor

PREVIEWED = 100  # samples in the picture of what was made


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--modality", help="What to generate: takes the newest run of it under runs/, else its starter model.")
@click.option("--model", help="A run folder, a model folder, a hub id (owner/name), or starter/image.")
@click.option("-n", "count", type=int, default=16, show_default=True, help="How many samples.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="A class by name or number, or NAME+NAME for a sample of several; repeat it for labels that take turns.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Sample i depends on the seed and on i alone.")
@click.option(
    "--truncation",
    type=float,
    help="Draw the noise within this many standard deviations, or, with styled and stylegan2, keep this share of the "
    "distance to the mean style: less variety, more typical samples.",
)
@click.option("--interpolate", is_flag=True, help="Interpolate in n steps from sample 0 to sample 1.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder. [default: the next under generated/]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[MORE]")
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
    more: tuple[str, ...],
) -> None:
    """Generate with a trained model: files of samples, a preview of the first, and their classes.

    MORE are options of the modality. Text has --temperature (under 1 likelier sentences, over 1 more daring ones) and
    --prefix (words that every sentence begins with).

    \b
    multigan generate --modality image -n 16
    multigan generate --model runs/digits --label 3 --label 7 -n 100 --out threes_and_sevens
    multigan generate --modality text --temperature 0.7 --prefix "the old"
    """
    import torch

    from multigan import registry
    from multigan.errors import UserError
    from multigan.generation.generator import load
    from multigan.generation.model_folder import newest

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
    options = further(more, generator.name, typing.get_type_hints(type(generator.modality).Options))
    batches = generator.batches(count, seed, labels or None, truncation, interpolate, **options)
    folder = new_folder(out, modality or generator.name)
    # A walk stays in one class, the first unless told otherwise.
    names = generator.class_names(count, labels or (generator.class_names(1) if interpolate else ()) or None)
    click.echo(f"model:  {model}")
    first: list[Tensor] = []
    try:
        files = generator.modality.save(watched(batches, count, first), folder, names)
        if files[0].suffix in generator.modality.file_endings:  # a file a sample
            write_metadata(files, names, bool(generator.combinations), folder)
        shown = torch.cat(first)[:PREVIEWED]
        previews, artifacts = generator.modality.preview(shown, folder / "preview", names[:PREVIEWED])
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}") from error
    for artifact in artifacts:
        click.echo(f"warning: {artifact}", err=True)
    for file in previews:
        if file.suffix == ".txt":
            click.echo(f"\n{file.read_text(encoding='utf-8')}")
    click.echo(f"wrote:  {count} samples and {', '.join(file.name for file in previews)} into {folder}")


def further(more: tuple[str, ...], modality: str, known: dict[str, Any]) -> dict[str, Any]:
    """The modality's own flags with their values: ``--name value`` or ``--name=value``.

    Raises:
        UserError: An unknown flag, or one without a value.
    """
    import yaml

    from multigan.errors import UserError
    from multigan.validation import nearest

    options: dict[str, Any] = {}
    words = list(more)
    while words:
        flag, equals, value = words.pop(0).partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if name not in known or not flag.startswith("--"):
            flags = [f"--{name}" for name in known] + [flag for option in generate.params for flag in option.opts]
            raise UserError(f"generate takes no {flag} with modality {modality!r}{nearest(flag, flags)}")
        if not equals and not words:
            raise UserError(f"{flag} has no value")
        given = value if equals else words.pop(0)
        options[name] = given if known[name] is str else yaml.safe_load(given)
    return options


def write_metadata(files: list[Path], labels: list[str], several: bool, folder: Path) -> None:
    """Write the class of each file, or its ``several`` classes, which makes the folder a dataset to train on."""
    from multigan.modality import JOINED

    if several:
        rows = [
            {"file_name": file.name, "label": [name for name in label.split(JOINED) if name]}
            for file, label in zip(files, labels, strict=True)
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")
        return
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
        UserError: It is not empty, or cannot be created.
    """
    from multigan.errors import UserError

    number = 1
    while out is None:
        folder = Path("generated") / f"{name.rpartition(':')[2]}-{number:03d}"
        out, number = (None if folder.exists() else folder), number + 1
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UserError(f"{out} is not empty: choose a new folder with --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror or error}") from error
    return out
