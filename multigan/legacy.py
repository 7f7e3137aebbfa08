"""Names that multigan 0.1 wrote into its files. They are read until 0.3, and never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

SETTINGS = {"warmup_steps": "pretraining_steps", "warmup_learning_rate": "pretraining_learning_rate"}
METRICS = {
    "warmup_loss": "pretraining_loss",
    "accuracy_trained_on_generated": "classification_accuracy_score",
    "close_to_training": "memorization",
    "kernel_distance_deviation": "kernel_distance_std",
}
EVALUATION = {"floor": "baseline", "floor_of_classes": "baseline_of_classes"}
# Parts of the names of weights.
WEIGHTS = {
    "judgement": "head",
    "classes": "class_embedding",
    "enter": "input_projection",
    "think": "feed_forward",
    "places": "positions",
}


def renamed(values: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """The same values under today's names."""
    return {names.get(key, key): value for key, value in values.items()}


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run, as in ``config.yaml``, under today's names."""
    values = renamed(values, SETTINGS)
    modality, model = str(values.get("modality")), values.get("model")
    if isinstance(model, Mapping):
        values["model"] = model_settings(modality, model)
    if isinstance(values.get("best_metric"), str):
        values["best_metric"] = METRICS.get(values["best_metric"], values["best_metric"])
    return values


def model_settings(modality: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model, as in ``config.json``, under today's names."""
    model = dict(model)
    if modality == "image" and model.get("architecture") == "gan":
        model["architecture"] = "mlp"
    if modality == "text" and "longer" in model:
        overlong = model.pop("longer")
        model["overlong"] = {"cut": "truncate"}.get(overlong, overlong)
    return model


def metrics(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of ``metrics.jsonl``."""
    line = renamed(line, METRICS)
    if isinstance(line.get("evaluation"), Mapping):
        line["evaluation"] = renamed(line["evaluation"], METRICS)
    return line


def evaluation(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``evaluation.json``."""
    values = renamed(values, EVALUATION)
    for key in ("generated", "baseline"):
        if isinstance(values.get(key), Mapping):
            values[key] = renamed(values[key], METRICS)
    return values


def weights(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Weights, or anything else, by the names of a network's parameters."""
    return {".".join(WEIGHTS.get(part, part) for part in name.split(".")): value for name, value in tensors.items()}


def state(values: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a run in a checkpoint."""
    values = renamed(values, {"returns": "rollbacks"})
    meters = values.get("meter")
    if isinstance(meters, list):
        values["meter"] = [
            {" ".join(METRICS.get(name, name) for name in key.split()): sums for key, sums in meter.items()}
            for meter in meters
        ]
    return values
