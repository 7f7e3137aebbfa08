"""`multigan invert`: the latents of pictures and sounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from multigan.generation.generator import TrainedGenerator
    from multigan.inversion.inputs import Samples
    from multigan.inversion.inverter import Inversion
    from multigan.inversion.reference import RealDistances

PREVIEWED = 32  # inputs and their reconstructions that are shown
LISTED = 20  # inputs whose distances are printed


@click.command()
@click.argument("model")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A picture or a sound, or a folder of them; repeatable.",
)
@click.option("--label", "labels", multiple=True, help="The class of the inputs. [default: the nearest that is found]")
@click.option("--modality", help="For a model of a modality that is not installed: package.module:Class.")
@click.option(
    "--reference",
    "count",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Samples of the training data, and of held-out data, whose distances are measured too; kept in the cache.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the encoder.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder. [default: the next under generated/]")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
def invert(
    model: str,
    inputs: tuple[Path, ...],
    labels: tuple[str, ...],
    modality: str | None,
    count: int,
    seed: int,
    out: Path | None,
    device: str,
) -> None:
    """Find the latents from which a model makes something like these pictures or sounds.

    Writes latents.npz, the reconstructions, a preview of each input beside its reconstruction, and inversion.json with
    the distances: 0 is the same, 1 an unrelated sample of the model. What is farther than held-out data is unlike
    anything that the model was trained on. The first call for a model trains an encoder, which is kept in the cache.

    \b
    multigan invert starter/image --input three.png
    multigan generate --model starter/image --latent generated/inverted-001/latents.npz --toward 8 -n 9
    """
    from multigan.cli.dataset import move
    from multigan.cli.inputs import find_inputs
    from multigan.cli.writing import check_outside, counted, new_folder, unwritable
    from multigan.generation.generator import load
    from multigan.generation.provenance import record_of
    from multigan.inversion.inputs import read_samples
    from multigan.inversion.inverter import Inverter, check_invertible

    generator = load(model, modality)
    check_invertible(generator)
    generator.conditions(labels or None)  # an unknown class is said before anything is computed
    move(generator, device)
    check_outside(out or Path(), inputs if out else ())
    samples = read_samples(generator.modality, find_inputs(inputs, generator.modality.file_endings, click.echo))
    folder = new_folder(out, "inverted")
    shape = " x ".join(map(str, samples.samples.shape[1:]))
    click.echo(f"model:  {model}\ninputs: {counted(len(samples.files), 'sample')}, each as training takes it: {shape}")
    inverter = Inverter(generator, seed, None, click.echo)
    found = inverter.invert(samples.samples, labels or None)
    real = None if not count else compared(inverter, count)
    with unwritable(folder):
        previews = write(generator, samples, found, real, record_of(generator, model), folder)
    report(samples, found, real)
    click.echo(f"\nwrote:  latents.npz, inversion.json, {', '.join(previews)} and the reconstructions into {folder}")


def compared(inverter: Any, count: int) -> RealDistances | None:
    """Distances of real data; None, which is said, if it cannot be had."""
    from multigan.errors import UserError
    from multigan.inversion.reference import real_distances

    try:
        return real_distances(inverter, count, click.echo)
    except UserError as error:
        click.echo(f"note: no distances of real data to compare with: {error}", err=True)
        return None


def write(
    generator: TrainedGenerator,
    samples: Samples,
    found: Inversion,
    real: RealDistances | None,
    record: dict[str, Any],
    folder: Path,
) -> list[str]:
    """Write all that was found; returns the names of the previews."""
    import torch

    from multigan.cli.inputs import Shown, output_names, save_outputs
    from multigan.files import write_text
    from multigan.generation.latents import LatentFile
    from multigan.generation.provenance import mark

    modality = generator.modality
    LatentFile(found.latents, found.labels, generator.digest).write(folder / "latents.npz")
    names = output_names(samples.files, 1)
    outputs = ((None, one[None]) for one in found.reconstructions)
    save_outputs(
        modality, outputs, names, folder, Shown(), lambda file, number: mark(file, record | {"latent": number})
    )
    pairs = torch.stack([samples.samples, found.reconstructions], 1)[:PREVIEWED].flatten(0, 1)
    preview = modality.preview(pairs, folder / "preview", ["input", "reconstruction"] * (len(pairs) // 2))
    for file in preview.files:
        mark(file, record)
    write_text(folder / "inversion.json", json.dumps(figures(samples, found, real), indent=2) + "\n")
    return [file.name for file in preview.files]


def figures(samples: Samples, found: Inversion, real: RealDistances | None) -> dict[str, Any]:
    """What inversion.json holds."""
    from multigan.inversion.reference import summary

    rows = [
        {
            "file": file.name,
            **({"label": found.labels[place]} if found.labels else {}),
            "distance": found.distances[place].item(),
            "values": found.values[place].item(),
            "features": found.features[place].item(),
            **({} if real is None else {"held_out_below": real.share_below(found.distances[place].item())}),
        }
        for place, file in enumerate(samples.files)
    ]
    if real is None:
        return {"inputs": rows}
    held_out = {"name": real.held_out_name, "apart": real.apart, "count": len(real.held_out), **summary(real.held_out)}
    training = {"count": len(real.training), **summary(real.training)}
    return {"inputs": rows, "training": training, "held_out": held_out}


def report(samples: Samples, found: Inversion, real: RealDistances | None) -> None:
    """Print distances, those of real data last."""
    from multigan.inversion.reference import summary

    for place, file in enumerate(samples.files[:LISTED]):
        distance = found.distances[place].item()
        label = f", label {found.labels[place]}" if found.labels else ""
        beyond = "" if real is None else f", more than {real.share_below(distance):.0%} of real data"
        click.echo(f"{file.name}: distance {distance:.3f}{beyond}{label}")
    if len(samples.files) > LISTED:
        click.echo(f"... and {len(samples.files) - LISTED} more in inversion.json")
    if real is not None:
        other = f"held out, {real.held_out_name}" if real.apart else "more of it, as nothing is held out"
        for name, values in (("training data", real.training), (other, real.held_out)):
            low, middle, high = summary(values).values()
            click.echo(f"{name}: median {middle:.3f}, 90 % are {low:.3f} to {high:.3f}, of {len(values)}")
