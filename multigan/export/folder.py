"""What `multigan export` does: trace, write, compare with torch, and only then leave the folder there."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from multigan.errors import UserError
from multigan.export import onnx_file, program, site
from multigan.export.check import Checked, check
from multigan.exportable import Exportable, TensorInfo
from multigan.files import write_text, written_whole
from multigan.generation.generator import TrainedGenerator
from multigan.version import __version__

Format = Literal["onnx", "torch", "web", "space"]
FORMAT = 1  # of model.json
MODEL = {"onnx": "model.onnx", "torch": "model.pt2", "web": "model.onnx", "space": "model.onnx"}
MANIFEST = "model.json"
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


class Exported(NamedTuple):
    """What was written.

    Attributes:
        files: All of them.
        checked: How the model compares with torch.
        size: Bytes of the model.
    """

    files: list[Path]
    checked: Checked
    size: int


def export(
    generator: TrainedGenerator,
    name: str,
    folder: Path,
    form: Format = "onnx",
    half: bool = False,
    runtime: Path | None = None,
) -> Exported:
    """Export a generator, set up as `Modality.apply_options` left it, into a new folder.

    Args:
        generator: The model, on the CPU.
        name: What files call it: paths are private.
        folder: Does not exist, or is empty.
        form: What for.
        half: Store the weights of an ONNX file as float16.
        runtime: Of a page: a folder of onnxruntime-web that is copied beside it; None takes its public address.

    Raises:
        UserError: It cannot be exported, or does not make what torch makes; nothing is left in the folder.
    """
    if form != "torch":
        onnx_file.check_installed()
    elif half:
        raise UserError("float16 is for onnx, web and space: torch itself can make a .pt2 of half precision")
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: choose a new folder")
    page = form in ("web", "space")
    copied = site.find_runtime(runtime) if page else []
    try:
        what = generator.modality.exportable(generator.network)
    except UserError as error:
        raise UserError(f"{name} cannot be exported: {error}") from error
    if page:
        site.check_inputs(what)
    with written_whole(folder, "the exported model") as aside, torch.no_grad(), quiet():
        file = aside / MODEL[form]
        found = program.traced(what)
        if form == "torch":
            program.write(found, file)
            run = program.runner(file)
        else:
            onnx_file.write(found, what, file, half)
            run = onnx_file.runner(file)
        checked = check(what, run)
        if not (checked.same or (half and checked.finite)):
            raise UserError(f"the exported model does not make what torch makes: {in_words(checked)}")
        about = manifest(generator, name, what, checked, half)
        if page:
            about |= site.write(aside, generator, what, name, copied, space=form == "space")
        write_text(aside / MANIFEST, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        generator.modality.save_extras(aside)
        names, size = sorted(path.name for path in aside.iterdir()), file.stat().st_size
    return Exported([folder / one for one in names], checked, size)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters say of themselves."""
    before = {name: logging.getLogger(name).level for name in ("onnxscript", "torch._export", "torch.onnx")}
    try:
        for name in before:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def in_words(checked: Checked) -> str:
    """How a model compares with torch, in a line."""
    over = f"{checked.samples} samples"
    if checked.different:
        return f"{checked.different:.2%} of the numbers are others, over {over}"
    if not checked.difference:
        return f"identical, over {over}"
    limit = f" (rounding alone sets torch {checked.rounding:.1e} off)" if checked.rounding else ""
    return f"largest difference {checked.difference:.1e} of full scale{limit}, over {over}"


def manifest(generator: TrainedGenerator, name: str, what: Exportable, checked: Checked, half: bool) -> dict[str, Any]:
    """What stands in model.json."""
    return {
        "format": FORMAT,
        "multigan": __version__,
        "modality": generator.name,
        "name": generator.training.get("name", name),
        "model": name,
        "weights": generator.digest,
        "weights_type": "float16" if half else "float32",
        "source": SOURCE,
        "kind": what.kind,
        "inputs": [described(one) for one in what.inputs],
        "outputs": [described(what.output)],
        "latent_dim": next((one.shape[0] for one in what.inputs if one.name == "latent"), 0),
        "classes": list(generator.classes),
        **what.about,
        "largest_difference": checked.difference or checked.different,
    }


def described(one: TensorInfo) -> dict[str, Any]:
    """An input or an output, as model.json has it."""
    found: dict[str, Any] = {"name": one.name, "type": one.type, "shape": ["batch", *one.shape], "values": one.values}
    if one.low is not None and one.high is not None:
        found["range"] = [one.low, one.high]
    if one.default is not None:
        found["default"] = one.default
    return found | ({"meaning": one.meaning} if one.meaning else {})
