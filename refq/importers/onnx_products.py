"""Convolutions and matrix products of codes in .onnx files."""

from __future__ import annotations

from typing import Any

import numpy as np

from refq.graphs.records import Quantization, Tensor
from refq.importers.onnx_making import Making, codes, emit, known, plain, written_dtype
from refq.importers.onnx_records import MICROSOFT, OWN, OnnxNode, reject
from refq.importers.onnx_scales import reads
from refq.importers.onnx_windows import layout_of, numbers, window


def conv_attributes(making: Making, node: OnnxNode, x: Tensor, w: Tensor) -> dict[str, Any]:
    """Layout, window and groups of a convolution of x by filters w."""
    layout = layout_of(making, node, len(x.shape))
    if len(w.shape) != len(x.shape):
        reject(making.model.file, node, f"weights {w.name} have {len(w.shape)} dimensions, the input {len(x.shape)}")
    kernel = w.shape[2:]
    if tuple(node.attributes.get("kernel_shape") or kernel) != kernel:
        reject(making.model.file, node, f"kernel_shape={node.attributes['kernel_shape']} is not that of {w.name}")
    found = {"layout": layout, **window(making, node, x.shape[2:], kernel)}
    return {**found, "groups": int(node.attributes.get("group", 1)), "activation": activation_of(node)}


def activation_of(node: OnnxNode) -> str:
    """The activation that a fused group ends in."""
    return str(node.attributes.get("activation", "none"))


def bias_of(making: Making, node: OnnxNode, place: int, channels: int) -> Tensor | None:
    """An int32 bias, one a channel."""
    data = known(making, node, place, "the bias")
    if data is None:
        return None
    if data.dtype != np.int32 or data.size not in (1, channels) or data.size != max(data.shape, default=1):
        reason = f"the bias is {data.dtype} of shape {data.shape}; pass int32, one for each of {channels} channels"
        reject(making.model.file, node, reason)
    row = np.broadcast_to(data.ravel(), channels).copy()
    name = node.input(place) if data.shape == (channels,) else f"{node.input(place)}/row/{node.name}"
    making.tensors[name] = Tensor(name, row.shape, "int32", None, row)
    return making.tensors[name]


def qlinear_conv(making: Making, node: OnnxNode) -> None:
    """QLinearConv."""
    x, w = (codes(making, node, operand) for operand in reads(node))
    bias = bias_of(making, node, 8, w.shape[0])
    dtype = written_dtype(making, node, node.input(7), x.dtype)
    emit(making, node, "conv", [x, w, bias], conv_attributes(making, node, x, w), dtype)


def transposed_attributes(making: Making, node: OnnxNode, x: Tensor, w: Tensor) -> dict[str, Any]:
    """Window, size and groups of a ConvTranspose: what the file names pads is cut off the full result."""
    layout = layout_of(making, node, len(x.shape))
    automatic = node.attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes
    if len(x.shape) != 4 or len(w.shape) != 4 or automatic:
        reject(making.model.file, node, "ConvTranspose takes 4 dimensions, explicit pads and no output_shape")
    sides = window(making, node, x.shape[2:], w.shape[2:])
    extra, groups = numbers(making, node, "output_padding", (0, 0), 0), int(node.attributes.get("group", 1))
    ends = zip(x.shape[2:], w.shape[2:], sides["stride"], sides["dilation"], sides["padding"], extra, strict=True)
    size = tuple(s * (n - 1) + d * (k - 1) + 1 + e - sum(p) for n, k, s, d, p, e in ends)
    return {**sides, "layout": layout, "output_size": size, "groups": groups, "activation": activation_of(node)}


def qlinear_conv_transpose(making: Making, node: OnnxNode) -> None:
    """The group of a ConvTranspose."""
    x, w = (codes(making, node, operand) for operand in reads(node))
    found = transposed_attributes(making, node, x, w)
    bias = bias_of(making, node, 8, w.shape[1] * found["groups"])
    emit(making, node, "transpose_conv", [x, w, bias], found, written_dtype(making, node, node.input(7), x.dtype))


def conv_transpose(making: Making, node: OnnxNode) -> None:
    """A ConvTranspose of floats: its shape, for the groups around it; graphs have no such op."""
    x, w = (plain(making, node, name) for name in node.inputs[:2])
    found = transposed_attributes(making, node, x, w)
    shape = (x.shape[0], w.shape[1] * found["groups"], *found["output_size"])
    emit(making, node, "float_transpose_conv", [x, w], found, "float32", (shape,))


def qlinear_matmul(making: Making, node: OnnxNode) -> None:
    """QLinearMatMul."""
    a, b = (codes(making, node, operand) for operand in reads(node))
    emit(making, node, "matmul", [a, b], {}, written_dtype(making, node, node.input(7), a.dtype))


def qgemm(making: Making, node: OnnxNode) -> None:
    """QGemm with an output of codes: a fully connected layer."""
    a, b = (codes(making, node, operand) for operand in reads(node))
    data, attributes = b.data, node.attributes
    if data is None or data.ndim != 2 or attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0:
        reject(making.model.file, node, "QGemm takes constant weights of 2 dimensions, transA=0 and alpha=1")
    if not node.input(7):
        reject(making.model.file, node, "a QGemm with a float result is not supported; quantize the result of the Gemm")
    weights = b if attributes.get("transB", 0) else turned(making, node, b)
    bias = bias_of(making, node, 6, weights.shape[0])
    found = {"activation": activation_of(node), "keep_dims": False}
    emit(
        making, node, "fully_connected", [a, weights, bias], found, written_dtype(making, node, node.input(8), a.dtype)
    )


def turned(making: Making, node: OnnxNode, weights: Tensor) -> Tensor:
    """Weights of inputs by outputs as outputs by inputs."""
    assert weights.data is not None
    q, name = weights.quantization, f"{weights.name}/turned"
    meaning = None if q is None else Quantization(q.scale, q.zero_point, None if q.axis is None else 1 - q.axis)
    data = np.ascontiguousarray(weights.data.T)
    making.tensors[name] = Tensor(name, data.shape, weights.dtype, meaning, data)
    return making.tensors[name]


def conv_integer(making: Making, node: OnnxNode) -> None:
    """ConvInteger."""
    x, w = (codes(making, node, operand) for operand in reads(node))
    found = {k: v for k, v in conv_attributes(making, node, x, w).items() if k != "activation"}
    emit(making, node, "conv_integer", [x, w], found, "int32")


def matmul_integer(making: Making, node: OnnxNode) -> None:
    """MatMulInteger."""
    a, b = (codes(making, node, operand) for operand in reads(node))
    emit(making, node, "matmul_integer", [a, b], {}, "int32")


PRODUCTS = {
    ("", "QLinearConv"): qlinear_conv,
    (OWN, "QLinearConvTranspose"): qlinear_conv_transpose,
    ("", "ConvTranspose"): conv_transpose,
    ("", "QLinearMatMul"): qlinear_matmul,
    (MICROSOFT, "QGemm"): qgemm,
    ("", "ConvInteger"): conv_integer,
    ("", "MatMulInteger"): matmul_integer,
}
