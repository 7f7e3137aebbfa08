"""Programs of `torch.export`: what ONNX files are made from, and files of their own that torch runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multigan.errors import UserError, first_line
from multigan.export.check import TRACED, draw
from multigan.exportable import Exportable


def traced(what: Exportable) -> torch.export.ExportedProgram:
    """The program of a module, for batches of any size.

    Raises:
        UserError: It cannot be traced, or not without fixing the size of the batch.
    """
    free = [
        {0: torch.export.Dim.DYNAMIC, **dict.fromkeys(named(one.shape), torch.export.Dim.DYNAMIC)}
        for one in what.inputs
    ]
    kinds = [one.kind for one in inspect.signature(what.module.forward).parameters.values()]
    shapes = (tuple(free),) if inspect.Parameter.VAR_POSITIONAL in kinds else tuple(free)
    example = tuple(draw(what, TRACED, 0))
    try:
        program = torch.export.export(what.module, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # of a third party's network anything may be wrong
        fixed = "specialized" in str(error) or "Constraints violated" in str(error)
        hint = "; it fixes the size of the batch: len(tensor) does, tensor.shape[0] does not" if fixed else ""
        raise UserError(f"torch.export cannot trace the generator: {first_line(error)}{hint}") from error
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # which has paths of this machine
    return program


def named(shape: tuple[int | str, ...]) -> list[int]:
    """Which axes may have any size, counted with the batch in front."""
    return [place for place, axis in enumerate(shape, 1) if isinstance(axis, str)]


def write(program: torch.export.ExportedProgram, file: Path) -> None:
    """Write a program as a .pt2 file.

    Raises:
        UserError: It has what such files cannot hold.
    """
    try:
        torch.export.save(program, file)
    except OSError:
        raise
    except Exception as error:
        raise UserError(f"torch.export cannot save the generator: {first_line(error)}") from error


def runner(file: Path) -> Callable[..., Tensor]:
    """A function that runs a .pt2 file on tensors."""
    module: Any = torch.export.load(file).module()
    return module  # type: ignore[no-any-return]
