"""`multigan info`: what a run or a model is."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("model")
def info(model: str) -> None:
    """Say what a run or a model is, what it was trained on, for how long, with what result.

    MODEL is a run folder, a model folder or a hub id.
    """
    from multigan.pretrained import WEIGHTS, find, read_config

    folder = find(model)
    values = read_config(folder)
    size = (folder / WEIGHTS).stat().st_size / 1e6 if (folder / WEIGHTS).is_file() else 0
    rows = {"modality": values["modality"], "model": f"{folder} ({size:.1f} MB)", **values["training"]}
    rows["made with"] = f"multigan {values['multigan']}"
    for key, value in rows.items():
        click.echo(f"{key.replace('_', ' '):16} {value}")
    settings = {key: value for key, value in values["config"].items() if value not in (None, [], 0, False)}
    click.echo(f"{'configuration':16} {', '.join(f'{key} {show(value)}' for key, value in settings.items())}")
    metrics = Path(model) / "metrics.jsonl"
    lines = metrics.read_text().splitlines() if metrics.is_file() else []
    if lines:
        last = json.loads(lines[-1])
        click.echo(f"{'last metrics':16} {', '.join(f'{key} {value:.4g}' for key, value in last.items())}")


def show(value: object) -> str:
    """A value for people: a list as its entries."""
    if isinstance(value, list):
        return f"({', '.join(map(str, value[:10]))}{', ...' if len(value) > 10 else ''})"
    return str(value)
