"""A page that runs a model in the browser, on any host of static files; and the same as a Space of Hugging Face.

It has no framework and asks no other host for anything, unless onnxruntime-web comes from its public address. One
thread does the work: several would need headers that many hosts cannot send.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from multigan.errors import UserError
from multigan.export.check import draw
from multigan.exportable import Exportable
from multigan.generation.generator import TrainedGenerator
from multigan.generation.latents import principal_directions

PAGE = Path(__file__).with_name("page")
SCRIPT, PROGRAM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # of onnxruntime-web
ADDRESS = "https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/"
DIRECTIONS = 8
SAMPLES = 512  # from which directions are estimated
BATCH = 32
NUMBERS = "latent", "label", "temperature"  # inputs that the page has controls for, beside what comes by chance
CARD = "README.md"


def find_runtime(folder: Path | None) -> list[Path]:
    """The files of onnxruntime-web in a folder, npm's ``dist``, or one that has that; none without a folder.

    Raises:
        UserError: They are not there.
    """
    if folder is None:
        return []
    for place in (folder, folder / "dist", folder / "onnxruntime-web" / "dist"):
        if all((place / name).is_file() for name in (SCRIPT, PROGRAM)):
            return [place / SCRIPT, place / PROGRAM]
    raise UserError(
        f"no {SCRIPT} and {PROGRAM} in {folder}: expected the dist folder of npm's onnxruntime-web, which "
        "`npm install onnxruntime-web` puts into node_modules"
    )


def check_inputs(what: Exportable) -> None:
    """Raise UserError for a model that makes something of what a page would have to ask for."""
    asked = [one.name for one in what.inputs if one.name not in NUMBERS and one.values != "uniform"]
    if asked:
        raise UserError(
            f"a page shows models that generate from noise, and this one takes {', '.join(asked)}: use --format onnx"
        )


def write(
    folder: Path, generator: TrainedGenerator, what: Exportable, name: str, runtime: list[Path], space: bool
) -> dict[str, Any]:
    """Write all of a page but the model; returns what model.json says besides."""
    for file in (*PAGE.iterdir(), *runtime):
        shutil.copyfile(file, folder / file.name)
    if space:
        (folder / CARD).write_text(card(generator, name), encoding="utf-8")
    address = f"./{SCRIPT}" if runtime else ADDRESS + SCRIPT
    ways = directions(what) if what.inputs[0].name == "latent" else []
    return {"runtime": address, "directions": [[round(number, 4) for number in way] for way in ways]}


def directions(what: Exportable) -> list[list[float]]:
    """Directions of latents, of length 1, along which samples differ most."""
    inputs = draw(what, SAMPLES, 0)
    batches = zip(*(torch.split(one, BATCH) for one in inputs), strict=True)
    outputs = torch.cat([what.module(*batch).flatten(1) for batch in batches])
    vectors: list[list[float]] = principal_directions(inputs[0], outputs, DIRECTIONS).vectors.tolist()
    return vectors


def card(generator: TrainedGenerator, name: str) -> str:
    """The README.md of a Space, with the settings that Hugging Face reads in front."""
    import yaml

    title = str(generator.training.get("name", name))
    settings = {
        "title": title,
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "tags": ["gan", "multigan", generator.name],
    }
    if generator.training.get("license"):
        settings["license"] = generator.training["license"]
    front = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    return f"""---
{front}---

# {title}

A generator of modality `{generator.name}`, trained with multigan, that runs in the visitor's browser. Everything that
the page shows is generated. Weights: `{generator.digest}`.
"""
