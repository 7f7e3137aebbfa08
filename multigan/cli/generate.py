"""`multigan generate`: from a model to files."""

from __future__ import annotations

import os
import sys
import typing
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from torch import Tensor

    from multigan.generation.generator import TrainedGenerator
    from multigan.modality import Preview

SAMPLES = 16  # unless there are inputs, or another number is asked for
NAMED = 3  # inputs that the last line names, of those that cannot be used


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--modality", help="What to generate: takes the newest run of it under runs/, else its starter model.")
@click.option("--model", help="A run folder, a model folder, a hub id (owner/name[@revision]), or starter/image.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="For a model that makes something of inputs: a file, or a folder of them; repeatable. [default: held-out "
    "examples of the dataset that it was trained on]",
)
@click.option(
    "--latent",
    type=click.Path(path_type=Path),
    help="Make the samples of the latents in this file, which `multigan invert` wrote (latents.npz).",
)
@click.option("--toward", help="With --latent: change the class to this one, with -n in so many steps.")
@click.option("-n", "count", type=int, help="How many samples. [default: 16; with --input or --latent, 1 for each]")
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
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "webdataset", "imagefolder"]),
    help="Write a dataset in shards into --out: accelerate launch -m multigan generate ... shares them among "
    "processes, and the same command goes on after a stop.",
)
@click.option(
    "--provenance/--no-provenance",
    default=True,
    help="State in the metadata of PNG, JPEG and WAV files that they were generated, and by what. [default: on]",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[MORE]")
def generate(
    modality: str | None,
    model: str | None,
    inputs: tuple[Path, ...],
    latent: Path | None,
    toward: str | None,
    count: int | None,
    labels: tuple[str, ...],
    seed: int,
    truncation: float | None,
    interpolate: bool,
    out: Path | None,
    form: str | None,
    provenance: bool,
    device: str,
    more: tuple[str, ...],
) -> None:
    """Generate with a trained model: files of samples, a preview of the first, and their classes.

    MORE are options of the modality. Image to image has --mask FILE (white where a hole is to be filled) and
    --direction BA (unpaired: of B into A). Text has --temperature (under 1 likelier sentences, over 1 more daring ones)
    and --prefix (words that every sentence begins with). Audio, of architecture istft, has --seconds (up to 60) and
    --loop true (a sound that can be repeated without a seam).

    \b
    multigan generate --modality image -n 16
    multigan generate --model runs/digits --label 3 --label 7 -n 100 --out threes_and_sevens
    multigan generate --modality text --temperature 0.7 --prefix "the old"
    multigan generate --model runs/sharpen --input photo.png --input old_photos
    multigan generate --model runs/digits --latent generated/inverted-001/latents.npz --toward 8 -n 9
    multigan generate --model runs/digits -n 1000000 --format parquet --out many_digits
    """
    from multigan.cli.dataset import as_dataset, dataset_folder, move
    from multigan.cli.flags import further
    from multigan.cli.writing import GENERATED, check_outside, new_folder
    from multigan.errors import UserError
    from multigan.generation.generator import load
    from multigan.generation.provenance import record_of
    from multigan.generation.shards import Request

    model = model or newest_of(modality)
    if form is None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("several processes generate a dataset between them: give --format and --out, or launch one")
    generator = load(model, modality)
    move(generator, device)
    kinds = typing.get_type_hints(type(generator.modality).Options)
    options = further(more, generator.name, kinds, click.get_current_context().command)
    if options and generator.modality.takes_inputs and not inputs:
        flags = ", ".join(f"--{name}" for name in options)
        raise UserError(f"{flags}: expected with --input, as held-out rows have what they need")
    check_outside(out or GENERATED, inputs)
    check_latent(latent, {"--input": inputs, "--interpolate": interpolate, "--seed": seed}, toward, count)
    if form is not None:
        refused = {"--input": bool(inputs), "--latent": latent is not None, "--interpolate": interpolate}
        folder = dataset_folder(generator, out, [flag for flag, given in refused.items() if given])
        chosen = {"seed": seed, "truncation": truncation, **options}
        amount = SAMPLES if count is None else count
        request = Request(generator, amount, labels or None, chosen, record_of(generator, model), provenance)
        as_dataset(request, form, folder)
        return
    make = from_inputs if inputs else from_rows if generator.modality.takes_inputs else from_noise
    if latent is not None:
        from multigan.cli.latents import from_latents

        make = partial(from_latents, file=latent, toward=toward)
    asked = Asked(
        generator,
        inputs,
        (1 if inputs or latent else SAMPLES) if count is None else count,
        labels,
        {"seed": seed, "truncation": truncation, "interpolate": interpolate, **options},
        lambda: new_folder(out, modality or generator.name),
        f"model:  {model}",
        record_of(generator, model) if provenance else None,
    )
    tell(make(asked))


def newest_of(modality: str | None) -> str:
    """The newest run of a modality under runs/, or its starter model.

    Raises:
        UserError: No such modality, or none given.
    """
    from multigan import registry
    from multigan.errors import UserError
    from multigan.generation.model_folder import newest

    if modality is None:
        raise UserError(
            "give --modality (the newest run of it, or its starter model) or --model (a run, a model or a hub id)"
        )
    registry.load(modality)  # a name that is not installed is the first thing to say
    return str(newest(modality))


class Asked(NamedTuple):
    """What is to be generated.

    Attributes:
        generator: The model.
        inputs: Files and folders.
        n: Samples; of each input, where these are given.
        labels: Classes.
        options: Of `TrainedGenerator.batches`, and of the modality.
        new_folder: Makes the folder to write into; called once nothing can be refused any more.
        said: What is said then.
        record: What files say of what made them; None where they say nothing.
    """

    generator: TrainedGenerator
    inputs: tuple[Path, ...]
    n: int
    labels: tuple[str, ...]
    options: dict[str, Any]
    new_folder: Callable[[], Path]
    said: str
    record: dict[str, Any] | None = None

    def mark(self, file: Path, number: int | None = None, **more: Any) -> None:
        """State in a file what made it: sample ``number``, or several in a preview."""
        from multigan.generation.provenance import mark, public

        if self.record is not None:
            chosen = {"sample": number, **self.options, **more}
            given = {name: public(value) for name, value in chosen.items() if value is not None and value is not False}
            mark(file, self.record | given)


class Made(NamedTuple):
    """What was generated.

    Attributes:
        words: Of what, and how many.
        folder: Where it is.
        preview: Of the first.
        left_out: Inputs that cannot be used, which was said of each.
    """

    words: str
    folder: Path
    preview: Preview
    left_out: Sequence[Path] = ()


def tell(made: Made) -> None:
    """Say what was generated.

    Raises:
        UserError: Inputs were left out.
    """
    from multigan.cli.writing import counted
    from multigan.errors import UserError

    for artifact in made.preview.artifacts:
        click.echo(f"warning: {artifact}", err=True)
    for file in made.preview.files:
        if file.suffix == ".txt":
            click.echo(f"\n{file.read_text(encoding='utf-8')}")
    click.echo(f"wrote:  {made.words} and {', '.join(file.name for file in made.preview.files)} into {made.folder}")
    if made.left_out:
        some = ", ".join(map(str, made.left_out[:NAMED])) + ", ..." * (len(made.left_out) > NAMED)
        raise UserError(f"left out {counted(len(made.left_out), 'input')} that cannot be used: {some}")


def from_noise(asked: Asked) -> Made:
    """Samples of a model that takes no inputs."""
    from multigan.cli.writing import PREVIEWED, counted, save

    generator, count, labels, options = asked.generator, asked.n, asked.labels, asked.options
    batches = generator.batches(count, label=labels or None, **options)
    folder = asked.new_folder()
    # A walk stays in one class, the first unless told otherwise.
    default = generator.class_names(1) if options["interpolate"] else ()
    names = generator.class_names(count, labels or default or None)
    click.echo(asked.said)
    walk = {"of": count} if options["interpolate"] else {}

    def preview(shown: Tensor) -> Preview:
        return generator.modality.preview(shown, folder / "preview", names[:PREVIEWED])

    return Made(counted(count, "sample"), folder, save(asked, batches, count, folder, names, preview, **walk))


def from_rows(asked: Asked) -> Made:
    """What a model makes of held-out rows of the dataset that it was trained on."""
    from multigan.cli.inputs import HeldOut
    from multigan.cli.writing import counted, save
    from multigan.errors import UserError

    generator = asked.generator
    if asked.options["interpolate"]:
        raise UserError("an interpolation goes from one output to another of the same input: give --input")
    # What is wrong with the options is said first: to open the dataset can take long.
    generator.batches(asked.n, label=asked.labels or None, conditions_of=lambda numbers: None, **asked.options)
    rows = HeldOut(generator, asked.n, asked.options["seed"])
    batches = generator.batches(len(rows), conditions_of=rows.conditions_of, **asked.options)
    folder = asked.new_folder()
    fewer = f", which has {counted(len(rows), 'example')} in all" if len(rows) < asked.n else ""
    click.echo(f"{asked.said}\ninputs: {rows.name}{fewer}")
    count = len(rows)

    def preview(shown: Tensor) -> Preview:
        return rows.preview(shown, folder / "preview")

    shown = save(asked, batches, count, folder, [], preview, inputs="held-out rows")
    return Made(counted(count, "sample"), folder, shown)


def from_inputs(asked: Asked) -> Made:
    """What a model makes of each input; those that cannot be used are named and left out.

    Raises:
        UserError: None can be used.
    """
    from tqdm import tqdm

    from multigan.cli.inputs import Shown, begun, find_inputs, output_names, save_outputs
    from multigan.cli.writing import counted, unwritable
    from multigan.errors import UserError

    generator, modality, n = asked.generator, asked.generator.modality, asked.n
    if asked.labels and modality.takes_inputs:
        raise UserError("a model that takes inputs takes no label")
    generator.from_inputs([], n, **asked.options)  # what is wrong with the options is said first
    files = find_inputs(asked.inputs, modality.input_endings or modality.file_endings, tqdm.write)
    names = output_names(files, n)
    folder: Path | None = None  # until an input can be used
    shown, left_out, problems = Shown(), list[Path](), list[str]()
    with tqdm(files, desc="generating", unit=" inputs", disable=None) as bar:
        for place, file in enumerate(bar):
            try:
                outputs = begun(generator.from_inputs([file], n, **asked.options))
            except UserError as error:
                left_out.append(file)
                problems.append(str(error))
                continue
            if folder is None:
                folder = asked.new_folder()
                tqdm.write(asked.said)
            while problems:
                tqdm.write(f"left out: {problems.pop(0)}", sys.stderr)
            with unwritable(folder):
                mark = partial(asked.mark, input=file.name, of=n if asked.options["interpolate"] else None)
                save_outputs(modality, outputs, names[place * n : (place + 1) * n], folder, shown, mark)
    if folder is None:
        reason = problems[0]
        raise UserError(reason if len(files) == 1 else f"none of the {len(files)} inputs can be used: {reason}")
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    with unwritable(folder):
        preview = shown.write(modality, folder / "preview")
        for file in preview.files:
            asked.mark(file)
    used = len(files) - len(left_out)
    return Made(f"{counted(used * n, 'sample')} of {counted(used, 'input')}", folder, preview, left_out)


def check_latent(latent: Path | None, others: dict[str, Any], toward: str | None, count: int | None) -> None:
    """Refuse flags that do nothing beside --latent, or without it.

    Raises:
        UserError: Which.
    """
    from multigan.errors import UserError

    if latent is None:
        if toward is not None:
            raise UserError("--toward changes the class of latents: give --latent")
        return
    if problems := [flag for flag, given in others.items() if given]:
        raise UserError(f"--latent makes the samples of latents that are in a file: leave out {', '.join(problems)}")
    if count is not None and toward is None:
        raise UserError("with --latent, -n is the number of steps toward another class: give --toward, or leave it out")
    if count is not None and count < 1:
        raise UserError(f"n is {count}: expected at least 1")
