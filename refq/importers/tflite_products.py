"""TFLite operators that sum products: convolutions, fully connected layers, batch matmul."""

from __future__ import annotations

from typing import Any

from refq.graphs.records import Tensor
from refq.importers import tflite_calls as calls
from refq.importers.tflite_calls import Call, Converted, activation, converted, operand, optional, pair, rank_of, refuse
from refq.importers.tflite_options import BIAS_TYPES, PADDINGS

OPERANDS = {
    ("int8", "int8"): ("int32",),
    ("int8", "int4"): ("int32",),
    ("uint8", "uint8"): ("int32",),
    ("int16", "int8"): ("int64", "int32"),
    ("int16", "int4"): ("int64", "int32"),
}
"""Types of input and weights -> legal types of the bias."""

PACKED = (("DEPTHWISE_CONV_2D", "int16"), ("TRANSPOSE_CONV", "int8"), ("TRANSPOSE_CONV", "int16"))
"""Kernels of LiteRT by type of input that do not unpack int4 weights: the first misreads them, the others refuse."""


def _weights(call: Call, x: Tensor, w: Tensor, axis: int) -> None:
    """Types that go together, constant weights, scales along the channel dimension."""
    if x.dtype == "float32":
        hybrid = f" with {w.dtype} weights (dynamic range)" if w.dtype != "float32" else ""
        raise refuse(call, f"float {call.code}{hybrid}; pass the int8 model")
    if (x.dtype, w.dtype) not in OPERANDS:
        legal = ", ".join(f"{a} with {b}" for a, b in OPERANDS)
        raise refuse(call, f"{x.dtype} input with {w.dtype} weights; supported: {legal}")
    calls.codes_only(call, x, call.outputs[0])
    if w.data is None:
        raise refuse(call, f"weights ({w.name}) are computed; only constants are supported")
    if w.quantization is None:
        raise refuse(call, f"weights ({w.name}) have no scale")
    if w.quantization.axis not in (None, axis):
        raise refuse(call, f"weights have scales along dimension {w.quantization.axis}; only {axis} is supported")
    if w.dtype == "int4" and (call.code, x.dtype) in PACKED:
        raise refuse(call, f"{x.dtype} input with int4 weights, which LiteRT does not unpack here; store them as int8")
    symmetric = w.dtype == "uint8" or (call.code == "FULLY_CONNECTED" and w.quantization.axis is None)
    if not symmetric and w.quantization.zero_point.any():
        raise refuse(call, f"weights ({w.name}) of {w.dtype} have zero points; they must be 0")


def _bias(call: Call, place: int, x: Tensor, w: Tensor, channels: int) -> Tensor | None:
    """The bias, constant and of the type that goes with the operands; None where it is absent."""
    bias = optional(call, place)
    if bias is None:
        return None
    legal = OPERANDS[x.dtype, w.dtype]
    if bias.dtype not in legal:
        raise refuse(call, f"bias ({bias.name}) is {bias.dtype}; pass {' or '.join(legal)}")
    if x.dtype == "int16":
        _check_bias_type(call, bias)
    if bias.data is None or bias.shape not in ((channels,), (1, channels), (1, 1, 1, channels)):
        raise refuse(call, f"bias ({bias.name}) must be a constant of shape ({channels},), not {bias.shape}")
    if bias.quantization is not None and bias.quantization.zero_point.any():
        raise refuse(call, f"bias ({bias.name}) has zero points; they must be 0")
    return bias


def _declared(call: Call) -> str:
    """The type that the options give the bias of an int16 layer; "" where they say nothing."""
    number = call.options.get("QuantizedBiasType", 0)
    if number not in BIAS_TYPES:
        raise refuse(call, f"quantized_bias_type {number}; legal: 2 (int32), 4 (int64), 0 (not declared)")
    return BIAS_TYPES[number]


def _check_bias_type(call: Call, bias: Tensor) -> None:
    """LiteRT reads a bias beside int16 as int64 unless the options declare int32, which a depthwise layer cannot."""
    declared = _declared(call)
    if bias.dtype != (declared or "int64"):
        words = f"declares {declared}" if declared else "does not declare, so that LiteRT reads it as int64"
        raise refuse(call, f"bias ({bias.name}) is {bias.dtype}, which quantized_bias_type {words}; pass int64")


def _more(call: Call, x: Tensor, weights: int, bias: Tensor | None) -> dict[str, Any]:
    """What is worth telling only where it differs: the declared type of an absent bias, the axis of one scale."""
    declared = _declared(call) if x.dtype == "int16" and bias is None else ""
    w = operand(call, weights)
    axis = call.axes[weights] if w.quantization is not None and w.quantization.axis is None else 0
    return ({"bias_type": declared} if declared else {}) | ({"scale_axis": axis} if axis else {})


def conv(call: Call) -> Converted:
    """CONV_2D, grouped where the weights have fewer input channels than the input."""
    calls.arity(call, 2, 3)
    x, w = rank_of(call, operand(call, 0), 4), rank_of(call, operand(call, 1), 4)
    _weights(call, x, w, 0)
    if 0 in w.shape or x.shape[3] % w.shape[3] or w.shape[0] % max(x.shape[3] // w.shape[3], 1):
        raise refuse(call, f"weights {w.shape} do not fit the {x.shape[3]} channels of the input")
    bias = _bias(call, 2, x, w, w.shape[0])
    found = _window(call, x, w) | _more(call, x, 1, bias)
    return converted(call, "conv", (x, w, bias), **found, groups=x.shape[3] // w.shape[3])


def depthwise(call: Call) -> Converted:
    """DEPTHWISE_CONV_2D; the multiplier follows from the shapes, its option is redundant."""
    calls.arity(call, 2, 3)
    x, w = rank_of(call, operand(call, 0), 4), rank_of(call, operand(call, 1), 4)
    _weights(call, x, w, 3)
    if 0 in w.shape or w.shape[0] != 1 or not x.shape[3] or w.shape[3] % x.shape[3]:
        raise refuse(call, f"weights {w.shape} do not fit the {x.shape[3]} channels of the input")
    bias = _bias(call, 2, x, w, w.shape[3])
    multiplier = w.shape[3] // x.shape[3]
    found = _window(call, x, w) | _more(call, x, 1, bias)
    return converted(call, "depthwise_conv", (x, w, bias), **found, multiplier=multiplier)


def _window(call: Call, x: Tensor, w: Tensor) -> dict[str, Any]:
    """The attributes that convolutions share."""
    stride = pair(call, "stride", "StrideH", "StrideW")
    dilation = pair(call, "dilation", "DilationHFactor", "DilationWFactor")
    padding = calls.padding_of(call, x, (w.shape[1], w.shape[2]), stride, dilation)
    found: dict[str, Any] = {"layout": "NHWC", "stride": stride, "dilation": dilation, "padding": padding}
    return found | {"activation": activation(call)}


def transpose_conv(call: Call) -> Converted:
    """TRANSPOSE_CONV: (shape of the output, weights, input, bias).

    The padding is that of the convolution it transposes, which must lead back to the input's size.
    """
    calls.arity(call, 3, 4)
    w, x = rank_of(call, operand(call, 1), 4), rank_of(call, operand(call, 2), 4)
    _weights(call, x, w, 0)
    shape = calls.integers(call, 0, "output shape", (4,))
    if shape != call.outputs[0].shape or 0 in w.shape or w.shape[3] != x.shape[3]:
        reason = f"output shape {shape}, weights {w.shape}, input {x.shape}, declared output {call.outputs[0].shape}"
        raise refuse(call, f"{reason} do not fit together")
    stride = pair(call, "stride", "StrideH", "StrideW")
    padding = calls.padding_of(call, call.outputs[0], (w.shape[1], w.shape[2]), stride, (1, 1))
    cuts = tuple(_cut(call, axis, stride[axis], padding[axis][0], x, w) for axis in (0, 1))
    found: dict[str, Any] = {"layout": "NHWC", "stride": stride, "dilation": (1, 1), "padding": cuts, "groups": 1}
    bias = _bias(call, 3, x, w, w.shape[0])
    found |= {"scheme": PADDINGS[call.options["Padding"]].lower(), "activation": activation(call)}
    return converted(call, "transpose_conv", (x, w, bias), **found, output_size=shape[1:3], **_more(call, x, 1, bias))


def _cut(call: Call, axis: int, stride: int, before: int, x: Tensor, w: Tensor) -> tuple[int, int]:
    """How much is cut off the full result before and after, the latter negative where zeros are added."""
    size, kernel, out = x.shape[axis + 1], w.shape[axis + 1], call.outputs[0].shape[axis + 1]
    same = call.options["Padding"] == 0
    back = -(-out // stride) if same else (out - kernel) // stride + 1
    if back != size:
        raise refuse(call, f"output size {out} with stride {stride} and kernel {kernel} does not come from {size}")
    return before, (size - 1) * stride + kernel - before - out


def fully_connected(call: Call) -> Converted:
    """FULLY_CONNECTED in the default weights format."""
    calls.arity(call, 2, 3)
    x, w = operand(call, 0), rank_of(call, operand(call, 1), 2)
    _weights(call, x, w, 0)
    if call.options["WeightsFormat"] != 0:
        raise refuse(call, f"weights format {call.options['WeightsFormat']}; only the default, 0, is supported")
    bias = _bias(call, 2, x, w, w.shape[0])
    keep = bool(call.options["KeepNumDims"])
    found = {"activation": activation(call), "keep_dims": keep} | _more(call, x, 1, bias)
    return converted(call, "fully_connected", (x, w, bias), **found)


def batch_matmul(call: Call) -> Converted:
    """BATCH_MATMUL of codes."""
    calls.arity(call, 2, 2)
    a, b = operand(call, 0), operand(call, 1)
    calls.codes_only(call, a, b, call.outputs[0])
    flags = {"adj_x": bool(call.options["AdjX"]), "adj_y": bool(call.options["AdjY"])}
    return converted(call, "batch_matmul", (a, b), **flags)
