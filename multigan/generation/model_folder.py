"""The folder of a trained model: where it is found, what stands in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from multigan import legacy
from multigan.errors import UserError
from multigan.generation.hub import fetch
from multigan.validation import nearest

if TYPE_CHECKING:
    from huggingface_hub import EvalResult
    from torch import nn

FORMAT = 1
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"
RUNS = Path("runs")
STARTERS = Path(__file__).parents[1] / "starters"


def find(model: str | Path, **hub: Any) -> Path:
    """The model folder of a run, a model or a hub id; from the hub it is fetched, with arguments of `hub.fetch`.

    A hub id may name a revision, as the paths of huggingface_hub do: ``owner/name@revision``.

    Raises:
        UserError: There is none, or a revision is named twice.
    """
    path = Path(model).expanduser()
    starter = STARTERS / path.name if path.parent == Path("starter") else path
    for folder in (path, path / "model", starter):
        if (folder / CONFIG).is_file():
            return folder
    if path.exists():
        raise UserError(f"no model in {path}: expected a {CONFIG} there or in {path / 'model'}")
    name = str(model)
    if path.parent == Path("starter"):
        starters = sorted(f"starter/{file.parent.name}" for file in STARTERS.glob(f"*/{CONFIG}"))
        others = f": there are {', '.join(starters)}"
        raise UserError(f"no starter model {name!r}{nearest(name, starters, others)}")
    near = nearest(name, map(str, path.parent.iterdir()), "") if path.parent.is_dir() else ""
    repository, at, revision = name.partition("@")
    if near or path.parent == RUNS or repository.count("/") != 1 or name.startswith((".", "/", "~")):
        expected = ": expected a run or model folder, a hub id (owner/name or owner/name@revision) or starter/MODALITY"
        raise UserError(f"no run or model {name!r}{near or expected}")
    if at:
        if hub.get("revision") not in (None, revision):
            raise UserError(f"{name} names another revision than {hub['revision']!r}: expected one of the two")
        if not revision:
            raise UserError(f"{name} names no revision: expected a branch, tag or commit after the @")
        hub["revision"] = revision
    return fetch(repository, [CONFIG, WEIGHTS, CARD], **hub)


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Raises:
        UserError: It is damaged, newer than this multigan, or not ours.
    """
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        if not (
            isinstance(values["format"], int)
            and isinstance(values["modality"], str)
            and isinstance(values["config"], dict)
        ):
            raise TypeError
        if not isinstance(values.setdefault("training", {}), dict):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CONFIG} is not a multigan model") from error
    if values["format"] > FORMAT:
        raise UserError(
            f"{folder} was saved by a newer multigan ({values.get('multigan', 'unknown')}): update multigan"
        )
    values["config"] = legacy.model_settings(values["modality"], values["config"])
    return values


def newest(modality: str) -> Path:
    """The newest run of a modality under ``runs/`` that has a model, else the starter model of that modality.

    Raises:
        UserError: There is neither.
    """
    models = sorted(RUNS.glob(f"*/model/{CONFIG}"), key=os.path.getmtime, reverse=True)
    for file in models:
        try:
            if read_config(file.parent)["modality"] == modality:
                return file.parent.parent
        except UserError:
            continue  # a damaged model, or one of a later multigan, is not what was asked for
    if (STARTERS / modality / CONFIG).is_file():
        return STARTERS / modality
    raise UserError(
        f"no run of modality {modality!r} under {RUNS}/, and it has no starter model: train one, or name a --model"
    )


def card(
    values: dict[str, Any], network: nn.Module, takes_inputs: bool = False, pipeline_tag: str | None = None
) -> str:
    """The model card: what it is, how it was made, how to use it, and how good it is beside real data."""
    from huggingface_hub import ModelCardData

    training = values["training"]
    dataset = str(training.get("dataset", ""))
    data = ModelCardData(
        library_name="multigan",
        pipeline_tag=pipeline_tag,
        license=training.get("license"),
        datasets=[dataset] if dataset.count("/") == 1 and not Path(dataset).exists() else None,
        tags=["gan", values["modality"]],
        model_name=training.get("name", "generator"),
        eval_results=measured(training, pipeline_tag) or None,
    )
    count = sum(weight.numel() for weight in network.parameters())
    asked = "--input FILE" if takes_inputs else "-n 16"
    lines = [
        "---",
        data.to_yaml(),
        "---",
        "",
        f"# {training.get('name', 'A generator')}",
        "",
        f"A generator of modality `{values['modality']}` with {count:,} weights, by multigan {values['multigan']}.",
        "",
        "```bash",
        f"multigan generate --modality {values['modality']} --model THIS_FOLDER {asked}",
        "```",
        "",
        *label_lines(values),
        "| | |",
        "|---|---|",
        *(f"| {key.replace('_', ' ')} | {value} |" for key, value in training.items()),
        "",
    ]
    return "\n".join(lines)


def measured(training: dict[str, Any], pipeline_tag: str | None) -> list[EvalResult]:
    """What the evaluation found, for the card's model-index: each metric of generated samples, and of real ones."""
    from huggingface_hub import EvalResult

    dataset = str(training.get("dataset", "unknown"))
    results = []
    for key, kind in (("generated", ""), ("real", "_of_real")):
        for part in str(training.get(key, "")).split(", "):
            name, _, value = part.rpartition(" ")
            if name and re.fullmatch(r"-?[0-9.,e+-]+", value):
                results.append(
                    EvalResult(
                        task_type=pipeline_tag or "other",
                        dataset_type=dataset,
                        dataset_name=dataset,
                        dataset_split=training.get("split"),
                        metric_type=name.replace(" ", "_") + kind,
                        metric_name=name + (", real data (baseline)" if kind else ""),
                        metric_value=float(value.replace(",", "")),
                    )
                )
    return results


def label_lines(values: dict[str, Any]) -> list[str]:
    """What a card says of the classes of a conditional model."""
    config = values["config"]
    if not (config.get("conditional") and config.get("classes")):
        return []
    classes, combinations = config["classes"], config.get("combinations")
    takes = f"takes one of {', '.join(classes[:20])}{', ...' * (len(classes) > 20)}"
    if combinations:
        takes += f", or several, as {combinations[0]}"
    return [f"Class-conditional: `--label` {takes}; without it, all in turn.", ""]


def load_weights(network: nn.Module, file: Path) -> None:
    """Load weights, every one of them or none.

    Raises:
        UserError: The file is missing, damaged, or of other weights.
    """
    from safetensors.torch import load_file  # here, because the settings of a model are read without torch

    try:
        weights = legacy.weights(load_file(file))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is missing or damaged: {' '.join(str(error).split())}") from error
    own = network.state_dict()
    for problem, names in (
        ("lacks", own.keys() - weights.keys()),
        ("has unknown", weights.keys() - own.keys()),
        (
            "has another shape of",
            {name for name in own.keys() & weights.keys() if own[name].shape != weights[name].shape},
        ),
    ):
        if names:
            raise UserError(f"{file} {problem} {', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''}")
    network.load_state_dict(weights)
