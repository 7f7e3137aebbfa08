"""`multigan info`: what a run or a model is."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

LONGEST = 200  # characters of a setting: a tokenizer has hundreds of thousands


@click.command()
@click.argument("model")
def info(model: str) -> None:
    """Show what a run or a model is: its data, settings, progress and last metrics; or what made a picture or a sound.

    MODEL is a run folder, also of a run in progress, a model folder, a hub id (owner/name[@revision]), or a file
    that was generated.
    """
    from multigan.config import CONFIG_FILE
    from multigan.generation.model_folder import CONFIG, WEIGHTS, find, read_config
    from multigan.generation.provenance import read
    from multigan.training.run_folder import read_metrics

    path = Path(model).expanduser()
    if path.is_file():
        for key, value in read(path).items():
            click.echo(f"{key:16} {value}")
        return
    metrics = read_metrics(path)
    if (path / CONFIG_FILE).is_file():
        show_run(path, metrics)
    if not (path / CONFIG_FILE).is_file() or (path / "model" / CONFIG).is_file():
        folder = find(model)
        values = read_config(folder)
        size = (folder / WEIGHTS).stat().st_size / 1e6 if (folder / WEIGHTS).is_file() else 0
        rows = {"modality": values["modality"], "model": f"{folder} ({size:.1f} MB)"}
        if size:
            rows["weights"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]
        rows |= values["training"]
        if "steps" in rows:
            rows["steps"] = f"{rows['steps']}, pretraining included"
        rows["made with"] = f"multigan {values['multigan']}"
        for key, value in rows.items():
            click.echo(f"{key.replace('_', ' '):16} {show(value)}")
        click.echo(f"{'configuration':16} {listed(values['config'])}")
    lines = [line for line in metrics if "note" not in line and "evaluation" not in line]
    if lines:
        click.echo(f"{'last metrics':16} {', '.join(f'{key} {show(value)}' for key, value in lines[-1].items())}")


def show_run(folder: Path, metrics: list[dict[str, Any]]) -> None:
    """The settings of a run that are not the defaults, and how far it is."""
    from multigan.config import CONFIG_FILE, TrainingConfig, load_file
    from multigan.training.progress import duration
    from multigan.validation import to_plain

    settings = load_file(folder / CONFIG_FILE)
    total = settings.get("pretraining_steps", 0) + settings.get("steps", 0)
    steps = [line for line in metrics if "seconds" in line]
    done = steps[-1]["step"] if steps else 0
    state = f"step {done:,} of {total:,}"
    if steps and done < total:
        state += f", about {duration(steps[-1]['seconds'] / done * (total - done))} left where it is running"
    click.echo(f"{'run':16} {folder}")
    click.echo(f"{'progress':16} {state if done < total else f'complete, {state}'}")
    model = settings.pop("model", None)
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
    changed = {key: value for key, value in settings.items() if to_plain(defaults.get(key)) != value}
    click.echo(f"{'settings':16} {listed(changed)}")
    if isinstance(model, Mapping) and not (folder / "model").is_dir():
        click.echo(f"{'configuration':16} {listed(model)}")


def listed(settings: Mapping[str, Any]) -> str:
    """Settings that are on, in one line."""
    shown = {key: show(value) for key, value in settings.items() if value not in (None, [], 0, False, "")}
    return ", ".join(
        f"{key} {value if len(value) <= LONGEST else f'({len(value):,} characters)'}" for key, value in shown.items()
    )


def show(value: object) -> str:
    """A value for people: a list as its entries, a number as short as possible."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"({', '.join(map(str, value[:10]))}{', ...' if len(value) > 10 else ''})"
    return str(value)
