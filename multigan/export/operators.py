"""Operators of PyTorch that its exporter to ONNX does not know, written with those that ONNX has.

Generators that make noise of their latents (`multigan.networks.keyed_noise`) need them: the bits of a number, and the
inverse of the error function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import torch
from onnxscript import opset18

op: Any = opset18  # whose annotations are for scripts of its own

# Giles 2010, "Approximating the erfinv function", table 5: relative error below 4e-7. Highest power first.
MIDDLE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
TAILS = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)
EXPONENTS = 254  # of normal numbers in float32, as they are stored: 1 to 254
DIGITS = 23  # binary ones after the point


def erfinv(values: Any) -> Any:
    """The inverse of the error function, for float32."""
    one = op.Constant(value_float=1.0)
    w = op.Neg(op.Log(op.Mul(op.Sub(one, values), op.Add(one, values))))
    middle = polynomial(MIDDLE, op.Sub(w, op.Constant(value_float=2.5)))
    tails = polynomial(TAILS, op.Sub(op.Sqrt(w), op.Constant(value_float=3.0)))
    return op.Mul(op.Where(op.Less(w, op.Constant(value_float=5.0)), middle, tails), values)


def polynomial(coefficients: tuple[float, ...], at: Any) -> Any:
    """By Horner's rule."""
    total = op.Constant(value_float=coefficients[0])
    for coefficient in coefficients[1:]:
        total = op.Add(op.Mul(total, at), op.Constant(value_float=coefficient))
    return total


def view_dtype(values: Any, dtype: int) -> Any:
    """The bits of float32 as int32, the one case that there is here; exact.

    ONNX has no such operator that runtimes know. The exponent is the number of powers of two that are not larger, and
    the digits are what is left when the number is scaled to the integers from 2^23.

    Raises:
        ValueError: The types are others.
    """
    if values.dtype.name != "FLOAT" or dtype != 6:  # onnx.TensorProto.INT32
        raise ValueError(f"a view of {values.dtype} as type {dtype} cannot be exported: expected float32 as int32")
    size = op.Abs(values)
    powers = constant(numpy.ldexp(numpy.float32(1), numpy.arange(EXPONENTS) - 126))
    reached = op.GreaterOrEqual(op.Unsqueeze(size, op.Constant(value_ints=[-1])), powers)
    exponent = op.ReduceSum(op.Cast(reached, to=7), op.Constant(value_ints=[-1]), keepdims=0)
    # In two steps, as neither 2^149 nor its inverse is a float32. Numbers below the smallest normal one have its scale.
    scales = EXPONENTS - 104 - numpy.maximum(numpy.arange(EXPONENTS + 1), 1)
    first, second = scales // 2, scales - scales // 2
    for part in (first, second):
        size = op.Mul(size, op.Gather(constant(numpy.ldexp(numpy.float32(1), part)), exponent))
    # An integer of 24 bits, the highest of which is not stored, as it is 1 wherever the exponent is not 0.
    stored = op.Max(op.Sub(exponent, op.Constant(value_int=1)), op.Constant(value_int=0))
    bits = op.Add(op.Cast(size, to=7), op.Mul(stored, op.Constant(value_int=1 << DIGITS)))
    negative = op.Less(values, op.Constant(value_float=0.0))
    sign = op.Where(negative, op.Constant(value_int=-(1 << 31)), op.Constant(value_int=0))
    return op.Cast(op.Add(bits, sign), to=6)


def constant(values: numpy.ndarray) -> Any:
    """A constant of an array."""
    import onnx

    return op.Constant(value=onnx.numpy_helper.from_array(values.astype(numpy.float32)))


OPERATORS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.erfinv.default: erfinv,
    torch.ops.aten.view.dtype: view_dtype,
}
