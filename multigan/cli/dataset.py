"""What `multigan generate --format` does: a dataset of samples, shared among processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from multigan.generation.generator import TrainedGenerator
    from multigan.generation.shards import Request

TIMEOUT = 7 * 24 * 3600  # seconds that processes wait for each other: one may have more to do, or be slower


def join(device: str) -> Any:
    """Meet the other processes, if there are any; the device of this one, its own GPU among several."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    from accelerate import PartialState

    from multigan.engine.launch import check_launch

    check_launch(TIMEOUT)
    return PartialState().device if device == "cuda" else device


def move(generator: TrainedGenerator, device: str) -> None:
    """Move a model to a device, one for each process.

    Raises:
        UserError: There is no such device.
    """
    from multigan.errors import UserError

    try:
        generator.network.to(join(device))
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"no device {device!r} here: {str(error).splitlines()[0]}") from error


def dataset_folder(generator: TrainedGenerator, out: Path | None, refused: list[str]) -> Path:
    """Where a dataset goes, if one can be written; ``refused`` are flags that were given and cannot be.

    Raises:
        UserError: There are such flags, the model makes something of inputs, or there is no folder.
    """
    from multigan.errors import UserError

    if refused:
        raise UserError(f"--format is for samples from noise: leave out {', '.join(refused)}")
    if generator.modality.takes_inputs:
        raise UserError("--format is for samples from noise, and this model makes something of inputs")
    if out is None:
        raise UserError("--format needs --out FOLDER, where it goes on if it is stopped")
    return out


def as_dataset(request: Request, form: str, out: Path) -> None:
    """Write a dataset in shards, with the other processes if there are any."""
    from accelerate import PartialState
    from tqdm import tqdm

    from multigan.cli.writing import counted, unwritable
    from multigan.engine.distributed import raise_on_all
    from multigan.errors import LostProcessError, UserError
    from multigan.generation.shards import place, prepare, write

    state = PartialState()
    shards, problem = list[range](), None
    try:
        if state.is_main_process:
            with unwritable(out):
                shards = prepare(request, out, form)
    except UserError as error:
        problem = error
    raise_on_all(problem)
    shards = shards or prepare(request, out, form)
    missing = [shard for shard in range(len(shards)) if not place(out, form, shard, shards).exists()]
    state.wait_for_everyone()  # all have looked before any writes
    mine = missing[state.process_index :: state.num_processes]
    quiet = None if state.is_main_process else True
    with tqdm(total=sum(len(shards[shard]) for shard in mine), unit=" samples", disable=quiet) as bar:
        for shard in mine:
            try:
                with unwritable(out):
                    write(request, out, form, shard, shards)
            except UserError as error:
                if state.num_processes == 1:
                    raise
                raise LostProcessError(f"{error} (in process {state.process_index})") from error
            bar.update(len(shards[shard]))
    state.wait_for_everyone()
    if state.is_main_process:
        click.echo(f"wrote:  {counted(request.count, 'sample')} in {counted(len(shards), 'shard')} into {out}")
