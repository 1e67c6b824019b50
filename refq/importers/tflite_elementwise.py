"""TFLite operators that work element by element, along one axis, or in windows without weights."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from refq.importers import tflite_calls as calls
from refq.importers.tflite_calls import Call, Converted, activation, converted, operand, pair, rank_of, refuse


def binary(op: str) -> Callable[[Call], Converted]:
    """ADD, SUB, MUL of codes with broadcasting."""

    def convert(call: Call) -> Converted:
        calls.arity(call, 2, 2)
        a, b = operand(call, 0), operand(call, 1)
        calls.codes_only(call, a, b, call.outputs[0])
        more = {} if op == "mul" else {"pot_scale_int16": bool(call.options["PotScaleInt16"])}
        return converted(call, op, (a, b), activation=activation(call), **more)

    return convert


def pool(op: str) -> Callable[[Call], Converted]:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""

    def convert(call: Call) -> Converted:
        calls.arity(call, 1, 1)
        x = rank_of(call, operand(call, 0), 4)
        calls.codes_only(call, x, call.outputs[0])
        kernel = pair(call, "filter", "FilterHeight", "FilterWidth")
        stride = pair(call, "stride", "StrideH", "StrideW")
        padding = calls.padding_of(call, x, kernel, stride, (1, 1))
        found = {"layout": "NHWC", "kernel": kernel, "stride": stride, "padding": padding, "dilation": (1, 1)}
        more = {"count_include_pad": False} if op == "average_pool" else {}
        return converted(call, op, (x,), **found, **more, activation=activation(call))

    return convert


def unary(op: str) -> Callable[[Call], Converted]:
    """One input, one output, nothing to choose."""

    def convert(call: Call) -> Converted:
        calls.arity(call, 1, 1)
        calls.codes_only(call, operand(call, 0), call.outputs[0])
        return converted(call, op, (operand(call, 0),))

    return convert


def leaky_relu(call: Call) -> Converted:
    """LEAKY_RELU with its slope for negative values."""
    calls.arity(call, 1, 1)
    calls.codes_only(call, operand(call, 0), call.outputs[0])
    alpha = float(call.options["Alpha"])
    if not isfinite(alpha):
        raise refuse(call, f"alpha={alpha} is not finite")
    return converted(call, "leaky_relu", (operand(call, 0),), alpha=alpha)


def softmax(call: Call) -> Converted:
    """SOFTMAX along the last dimension; an int8 input may have an int16 output."""
    calls.arity(call, 1, 1)
    x, y = operand(call, 0), call.outputs[0]
    calls.codes_only(call, x)
    calls.codes_only(call, y)
    beta = float(call.options["Beta"])
    if not (isfinite(beta) and beta > 0):
        raise refuse(call, f"beta={beta}; it is finite and > 0")
    if not x.shape:
        raise refuse(call, f"{x.name} is a scalar; pass rank 1 or more")
    return converted(call, "softmax", (x,), beta=beta, axis=-1)


def mean(call: Call) -> Converted:
    """MEAN over constant axes."""
    calls.arity(call, 2, 2)
    x = operand(call, 0)
    calls.codes_only(call, x, call.outputs[0])
    axes = {calls.axis_of(call, "axis", axis, len(x.shape)) for axis in calls.integers(call, 1, "axes")}
    return converted(call, "mean", (x,), axes=tuple(sorted(axes)), keep_dims=bool(call.options["KeepDims"]))


def argmax(call: Call) -> Converted:
    """ARG_MAX along a constant axis, the first of equals."""
    calls.arity(call, 2, 2)
    x, y = operand(call, 0), call.outputs[0]
    calls.codes_only(call, x)
    if y.dtype not in ("int32", "int64"):
        raise refuse(call, f"{y.name} is {y.dtype}; pass int32 or int64")
    axis = calls.axis_of(call, "axis", calls.one_integer(call, 1, "axis"), len(x.shape))
    return converted(call, "argmax", (x,), axis=axis, keep_dims=False)


def quantize(call: Call) -> Converted:
    """QUANTIZE of floats, or from codes to codes of another scale."""
    calls.arity(call, 1, 1)
    x, y = operand(call, 0), call.outputs[0]
    calls.codes_only(call, y)
    if x.dtype == "float32":
        return converted(call, "quantize", (x,))
    if x.dtype != "int32":
        calls.codes_only(call, x)
    elif x.quantization is None or x.quantization.axis is not None:
        raise refuse(call, f"{x.name} needs one scale and zero point")
    return converted(call, "requantize", (x,))


def dequantize(call: Call) -> Converted:
    """DEQUANTIZE to float32."""
    calls.arity(call, 1, 1)
    x, y = operand(call, 0), call.outputs[0]
    calls.codes_only(call, x)
    if y.dtype != "float32":
        raise refuse(call, f"{y.name} is {y.dtype}; pass float32")
    return converted(call, "dequantize", (x,))
