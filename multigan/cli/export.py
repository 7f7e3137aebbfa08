"""`multigan export`: a model for programs that do not have multigan."""

from __future__ import annotations

import typing
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("model")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "torch", "web", "space"]),
    default="onnx",
    show_default=True,
    help="model.onnx; model.pt2, which torch runs without multigan; a page that runs the model in the browser; or "
    "that page as a Space of Hugging Face.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="How an ONNX file stores weights: float16 halves it, and samples differ a little.",
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    help="Of a page: the dist folder of npm's onnxruntime-web, to copy. [default: the page takes it from a public "
    "address]",
)
@click.option("--modality", help="For a model of a modality that is not installed: package.module:Class.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[MORE]")
def export(
    model: str, form: str, out: Path, dtype: str, runtime: Path | None, modality: str | None, more: tuple[str, ...]
) -> None:
    """Export a model: ONNX, torch.export, or a page that runs it in the browser.

    Beside the model, model.json says what its inputs and outputs are. What was written is run and held against torch
    before anything is reported: batches of several sizes, to 1e-5 of full scale or, where rounding alone sets torch
    further off, to four times that; tokens exactly.

    MODEL is a run folder, a model folder, a hub id or a starter. MORE are options of the modality, as of
    `multigan generate`, which the exported model then has for good: --prefix of text, --direction of image to image.

    \b
    multigan export starter/image --out digits_onnx
    multigan export runs/digits --format web --runtime node_modules/onnxruntime-web/dist --out site
    python -m http.server --directory site
    """
    from multigan.cli.flags import further
    from multigan.errors import UserError
    from multigan.export import folder
    from multigan.generation.generator import load
    from multigan.generation.provenance import record_of
    from multigan.validation import typed_values

    if runtime is not None and form not in ("web", "space"):
        raise UserError("--runtime is for --format web and space")
    generator = load(model, modality)
    kinds = typing.get_type_hints(type(generator.modality).Options)
    options = type(generator.modality).Options(**typed_values(further(more, generator.name, kinds, export), kinds))
    generator.modality.apply_options(generator.network, options)
    name = record_of(generator, model)["model"]
    exported = folder.export(generator, name, out, typing.cast(folder.Format, form), dtype == "float16", runtime)
    checked = exported.checked
    click.echo(f"wrote:   {', '.join(file.name for file in exported.files)} into {out}")
    click.echo(f"size:    {exported.size / 1e6:.1f} MB, the model")
    click.echo(f"checked: {folder.in_words(checked)}")
    times = (
        f"{1000 * checked.seconds:.1f} ms a sample, one at a time; torch takes {1000 * checked.torch_seconds:.1f} ms"
    )
    click.echo(f"speed:   {times}")
    if form in ("web", "space"):
        click.echo(f"see it:  python -m http.server --directory {out}, then open http://localhost:8000")
