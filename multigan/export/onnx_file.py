"""ONNX files: written by torch's exporter, and run by onnxruntime.

The exporter is the one that is based on `torch.export` (``dynamo=True``). The older one, based on TorchScript, is no
longer developed, and knows neither loops nor the operators of `multigan.export.operators`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multigan.errors import UserError, first_line
from multigan.exportable import Exportable

OPSET = 18  # the least that has all operators: so that older runtimes read the file too
LIBRARIES = "onnx", "onnxruntime", "onnxscript"


def check_installed() -> None:
    """Raise UserError where a library is missing."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'{", ".join(missing)} is not installed: pip install "multigan[export]"')


def write(program: torch.export.ExportedProgram, what: Exportable, file: Path, half: bool) -> None:
    """Write a traced program as an ONNX file, with the names of its inputs, its output and their axes.

    Raises:
        UserError: It has an operator that ONNX does not, or is larger than the 2 GB that such a file can have.
    """
    import onnx_ir
    import onnx_ir.passes.common

    from multigan.export.operators import OPERATORS

    try:
        converted: Any = torch.onnx.export(
            program,
            input_names=[one.name for one in what.inputs],
            output_names=[what.output.name],
            custom_translation_table=OPERATORS,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = error.__cause__ or error
        raise UserError(f"ONNX cannot express the generator: {first_line(cause)}") from error
    model = converted.model
    for value, info in zip((*model.graph.inputs, *model.graph.outputs), (*what.inputs, what.output), strict=True):
        for place, axis in enumerate(("batch", *info.shape)):
            if isinstance(axis, str):
                value.shape[place] = axis
    if half:
        store_as_half(model, what.module)
    onnx_ir.passes.common.ClearMetadataAndDocStringPass()(model)  # which can be larger than the weights
    try:
        converted.save(file)
    except ValueError as error:  # of protobuf
        raise UserError(f"cannot write an ONNX file: {first_line(error)}") from error


def store_as_half(model: Any, module: nn.Module) -> None:
    """Store matrices and kernels as float16, half the size; they are used as float32, as everything else.

    Args:
        model: The exporter's. It has names of its own for weights that it has turned.
        module: Whose buffers that are not saved, such as windows, stay as they are.
    """
    import numpy
    import onnx_ir as ir

    fixed = {name for name, _ in module.named_buffers()} - module.state_dict().keys()
    found = [(graph, one) for graph in model.graphs() for one in graph.initializers.items()]  # those of loops too
    for graph, (name, value) in found:
        if name in fixed or value.dtype != ir.DataType.FLOAT or len(value.shape) < 2:
            continue
        stored = ir.Value(name=f"{name}_half", type=ir.TensorType(ir.DataType.FLOAT16), shape=value.shape)
        stored.const_value = ir.tensor(value.const_value.numpy().astype(numpy.float16), name=stored.name)
        used = ir.Value(name=f"{name}_used", type=value.type, shape=value.shape)
        node = ir.node("Cast", [stored], attributes={"to": ir.DataType.FLOAT}, outputs=[used])
        value.replace_all_uses_with(used)
        del graph.initializers[name]
        graph.initializers[stored.name] = stored
        graph.insert_before(graph[0], node)


def runner(file: Path) -> Callable[..., Tensor]:
    """A function that runs a file on tensors, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run
