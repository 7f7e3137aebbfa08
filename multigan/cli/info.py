"""`multigan info`: what a run or a model is."""

from __future__ import annotations

from pathlib import Path

import click

LONGEST = 200  # letters of a value: a tokenizer has hundreds of thousands


@click.command()
@click.argument("model")
def info(model: str) -> None:
    """Say what a run or a model is, what it was trained on, for how long, with what result.

    MODEL is a run folder, a model folder or a hub id.
    """
    from multigan.generation.model_folder import WEIGHTS, find, read_config
    from multigan.training.run_folder import read_metrics

    folder = find(model)
    values = read_config(folder)
    size = (folder / WEIGHTS).stat().st_size / 1e6 if (folder / WEIGHTS).is_file() else 0
    rows = {"modality": values["modality"], "model": f"{folder} ({size:.1f} MB)", **values["training"]}
    rows["made with"] = f"multigan {values['multigan']}"
    for key, value in rows.items():
        click.echo(f"{key.replace('_', ' '):16} {value}")
    settings = {key: value for key, value in values["config"].items() if value not in (None, [], 0, False)}
    click.echo(f"{'configuration':16} {', '.join(f'{key} {show(value)}' for key, value in settings.items())}")
    metrics = read_metrics(Path(model))
    lines = [line for line in metrics if "note" not in line and "evaluation" not in line]
    if lines:
        click.echo(f"{'last metrics':16} {', '.join(f'{key} {show(value)}' for key, value in lines[-1].items())}")


def show(value: object) -> str:
    """A value for people: a list as its entries, a number as short as it may be."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"({', '.join(map(str, value[:10]))}{', ...' if len(value) > 10 else ''})"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
