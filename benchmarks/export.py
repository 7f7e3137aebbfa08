"""What exported models are like: `uv run benchmarks/export.py [NAME ...]` prints the table of docs/export.md.

Starters, and a small instance of each architecture with the weights that training starts with. Times are of one sample
at a time, in turns with torch, on as many threads as OMP_NUM_THREADS says. A difference is the largest of any number,
where full scale is 1, over 8 samples in batches of 1, 2 and 5, and in brackets that of torch in float32 from float64
where it matters; of tokens, the share of others.
"""

import sys
import tempfile
from pathlib import Path

import torch

from multigan import load, registry
from multigan.errors import UserError
from multigan.export import check, folder
from multigan.generation.generator import TrainedGenerator
from multigan.modalities.text import tokenization

PICTURES = {"resolution": 32, "channels": 3}
CLASSES = {"conditional": True, "classes": ("one", "two")}
SOUNDS = {"sampling_rate": 8000, "length": 4096, "channels": 1}
TASK = {"resolution": 64, "channels": 3, "input_channels": 3}
SENTENCES = {"length": 16, "vocabulary": tokenization.train(iter(["a cat sat", "the dog ran"]), "word", 100, 1)}
MODELS = {
    "image mlp": ("image", {"architecture": "mlp", **PICTURES}),
    "image dcgan": ("image", {"architecture": "dcgan", **PICTURES}),
    "image dcgan, classes": ("image", {"architecture": "dcgan", **PICTURES, **CLASSES}),
    "image styled": ("image", {"architecture": "styled", **PICTURES}),
    "image stylegan2": ("image", {"architecture": "stylegan2", "generator_width": 32, **PICTURES}),
    "image r3gan": ("image", {"architecture": "r3gan", **PICTURES}),
    "audio istft": ("audio", {"architecture": "istft", **SOUNDS}),
    "audio specgan": ("audio", {"architecture": "specgan", **SOUNDS}),
    "audio wavegan": ("audio", {"architecture": "wavegan", **SOUNDS}),
    "text lstm, classes": ("text", {"architecture": "lstm", **SENTENCES, **CLASSES}),
    "text relational": ("text", {"architecture": "relational", **SENTENCES}),
    "text transformer": ("text", {"architecture": "transformer", **SENTENCES}),
    "colorize": ("image-to-image", {"task": "colorize", **TASK}),
    "enlarge": ("image-to-image", {"task": "enlarge", **TASK}),
    "inpaint": ("image-to-image", {"task": "inpaint", "latent_dim": 8, **TASK}),
    "paired": ("image-to-image", {"task": "paired", **TASK}),
    "labels": ("image-to-image", {"task": "labels", "latent_dim": 8, **TASK, "classes": ("0", "1", "2")}),
    "unpaired": ("image-to-image", {"task": "unpaired", **TASK}),
    "style": ("image-to-image", {"task": "style", **TASK}),
    "vocoder": ("vocoder", {"sampling_rate": 16000}),
}
FORMATS = {"onnx": ("onnx", False), "onnx, float16": ("onnx", True), "torch": ("torch", False)}


def untrained(name: str) -> TrainedGenerator:
    """A generator with the weights that training starts with."""
    modality, settings = MODELS[name]
    plugin = registry.load(modality)
    instance = plugin(plugin.Config(**settings))
    torch.manual_seed(0)
    network = instance.generator().eval().requires_grad_(False)
    instance.apply_options(network, plugin.Options())
    return TrainedGenerator(modality, instance, network)


def difference(checked: check.Checked) -> str:
    """How far a model is from torch; beside it how far rounding sets torch off, where that matters."""
    if checked.different:
        return f"{checked.different:.1%} others"
    rounding = f" ({checked.rounding:.0e})" if checked.rounding > check.TOLERANCE / check.ROUNDINGS else ""
    return f"{checked.difference:.0e}{rounding}" if checked.difference else "0"


def main(chosen: list[str]) -> None:
    starters = [f"starter/{name}" for name in ("image", "audio", "text")]
    print(f"Of three numbers, each is for one format: {', '.join(FORMATS)}.\n")
    print("| model | MB | largest difference | ms a sample | torch, ms |", "|---" * 5 + "|", sep="\n")
    for name in chosen or [*starters, *MODELS]:
        generator = load(name) if name in starters else untrained(name)
        cells: list[list[str]] = []
        for kind, half in FORMATS.values():
            with tempfile.TemporaryDirectory() as room:
                try:
                    size, checked = measured(generator, name, Path(room) / "model", kind, half)
                except UserError as error:
                    cells.append([str(error), "", "", ""])
                    continue
            times = (f"{1000 * one:.2f}" for one in (checked.seconds, checked.torch_seconds))
            cells.append([f"{size / 1e6:.2f}", difference(checked), *times])
        *columns, torch_times = zip(*cells, strict=True)
        shown = [" / ".join(column) for column in columns]
        shown.append(min(filter(None, torch_times), key=float, default=""))
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


def measured(generator: TrainedGenerator, name: str, out: Path, kind: str, half: bool) -> tuple[int, check.Checked]:
    """Export a model: the bytes of the file, and how it compares."""
    exported = folder.export(generator, name, out, kind, half)
    return exported.size, exported.checked


if __name__ == "__main__":
    main(sys.argv[1:])
