"""`multigan compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from multigan.evaluation.report import Evaluation


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default="generated/comparison.png", show_default=True, help="A PNG."
)
def compare(runs: tuple[Path, ...], out: Path) -> None:
    """Compare evaluated runs: a table of their metrics, what differs in their settings, and a picture.

    RUNS are folders that multigan evaluate has written into (runs, or those named with its --out), or evaluation.json
    in one; others among them are named and left out.

    \b
    multigan compare runs/*
    """
    from multigan.errors import UserError
    from multigan.evaluation import plots
    from multigan.evaluation.report import EVALUATION, REFERENCE_MODEL, TRIVIAL, number, read, words

    out = out if out.suffix else out.with_suffix(".png")
    runs = tuple(run.parent if run.name == EVALUATION else run for run in runs)
    for folder in runs:
        if not folder.exists():
            raise UserError(f"{folder}: no such folder")
    found = {str(run): read(run) for run in runs if (run / EVALUATION).is_file()}
    left_out = [str(run) for run in runs if str(run) not in found]
    if not found:
        raise UserError(
            "no evaluated runs among those named: multigan evaluate RUN, for each of them, comes first; if that was "
            "done with --out FOLDER, name that folder"
        )
    for run in left_out:
        click.echo(f"not evaluated: {run} (multigan evaluate {run}, or name the folder of its --out)", err=True)
    beside = {**columns_of(found, TRIVIAL), **columns_of(found, REFERENCE_MODEL), **columns_of(found, "real")}
    columns = {**{run: evaluation.generated for run, evaluation in found.items()}, **beside}
    if different := differences(found):
        click.echo("measured in different ways, so these are not comparable:")
        click.echo(f"{aligned(different)}\n")
    names = list(dict.fromkeys(name for values in columns.values() for name in values))
    cells = [["", *columns]]
    if any(evaluation.steps for evaluation in found.values()):
        cells.append(["steps", *(str(one.steps or "") for one in found.values()), *[""] * len(beside)])
    for name in names:
        values = [column.get(name) for column in columns.values()]
        cells.append([words(name), *("" if value is None else number(value) for value in values)])
    click.echo(aligned(cells))
    if settings := different_settings(list(found)):
        click.echo("\nwhat differs in their settings:")
        click.echo(aligned(settings))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        plots.comparison(found, out)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}") from error
    click.echo(f"\nwrote: {out}")


def columns_of(found: dict[str, Evaluation], name: str) -> dict[str, dict[str, float]]:
    """What runs stand beside: one column where it is the same for all that have it, and one a run where it is not."""
    columns = {f"{name}, {run}": one.columns[name] for run, one in found.items() if name in one.columns}
    values = list(columns.values())
    return {name: values[0]} if values and all(one == values[0] for one in values) else columns


def aligned(rows: list[list[str]]) -> str:
    """Rows as columns of text."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def differences(found: dict[str, Evaluation]) -> list[list[str]]:
    """Rows of what differs in how runs were measured."""
    protocols = [evaluation.protocol for evaluation in found.values()]
    rows = rows_of_differences(protocols)
    return [["", *found], *rows] if rows else []


def different_settings(runs: list[str]) -> list[list[str]]:
    """A table of the settings that the runs share and that differ; a folder of a model alone has none."""
    from multigan.config import CONFIG_FILE, flatten, load_file

    settings = {run: flatten(load_file(file)) for run in runs if (file := Path(run) / CONFIG_FILE).is_file()}
    shared = set.intersection(*(set(values) for values in settings.values())) if settings else set()
    rows = rows_of_differences([{key: one[key] for key in one if key in shared} for one in settings.values()])
    return [["", *settings], *rows] if rows else []


def rows_of_differences(all_values: list[dict[str, Any]]) -> list[list[str]]:
    """A row for each name that has not the same value everywhere."""
    names = dict.fromkeys(name for values in all_values for name in values)
    rows = [[name, *(str(values.get(name, "")) for values in all_values)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]
