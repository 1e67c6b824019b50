"""Ops of .onnx files on codes that rescale what they read: sums, products, pools, tables, and the quantizers."""

from __future__ import annotations

from typing import Any

from refq.graphs.records import Tensor
from refq.importers.onnx_making import Making, axis_of, codes, emit, plain, written_dtype
from refq.importers.onnx_products import activation_of
from refq.importers.onnx_records import MICROSOFT, OWN, OnnxNode, reject
from refq.importers.onnx_scales import reads
from refq.importers.onnx_windows import layout_of, pooling


def _written(making: Making, node: OnnxNode, place: int, x: Tensor) -> str:
    return written_dtype(making, node, node.input(place), x.dtype)


def binary(making: Making, node: OnnxNode) -> None:
    """QLinearAdd, QLinearMul, and the group of a Sub."""
    a, b = (codes(making, node, operand) for operand in reads(node))
    op = node.op.removeprefix("QLinear").lower()
    emit(making, node, op, [a, b], {"activation": activation_of(node)}, _written(making, node, 7, a))


def average_pool(making: Making, node: OnnxNode) -> None:
    """QLinearAveragePool."""
    (x,) = (codes(making, node, operand) for operand in reads(node))
    emit(making, node, "average_pool", [x], pooling(making, node, x.shape), _written(making, node, 4, x))


def global_average_pool(making: Making, node: OnnxNode) -> None:
    """QLinearGlobalAveragePool."""
    (x,) = (codes(making, node, operand) for operand in reads(node))
    if node.attributes.get("channels_last", 0):
        reject(making.model.file, node, "channels_last=1 is not supported; pass 0")
    found = {"layout": layout_of(making, node, len(x.shape))}
    emit(making, node, "global_average_pool", [x], found, _written(making, node, 4, x))


def concat(making: Making, node: OnnxNode) -> None:
    """QLinearConcat."""
    parts: list[Tensor | None] = [codes(making, node, operand) for operand in reads(node)]
    if not parts or parts[0] is None:
        reject(making.model.file, node, "has nothing to join")
    axis = axis_of(making, node, int(node.attributes.get("axis", 1)), len(parts[0].shape))
    emit(making, node, "concat", parts, {"axis": axis, "activation": "none"}, _written(making, node, 1, parts[0]))


def softmax(making: Making, node: OnnxNode) -> None:
    """QLinearSoftmax; below opset 13 all dimensions from the axis on are one row."""
    (x,) = (codes(making, node, operand) for operand in reads(node))
    opset, rank = int(node.attributes.get("opset", making.model.opset)), len(x.shape)
    axis = axis_of(making, node, int(node.attributes.get("axis", -1 if opset >= 13 else 1)), rank)
    if opset < 13 and any(n != 1 for n in x.shape[axis + 1 :]):
        reject(making.model.file, node, f"axis={axis} joins dimensions below opset 13; pass the last one")
    emit(making, node, "softmax", [x], {"beta": 1.0, "axis": axis}, _written(making, node, 4, x))


def table(making: Making, node: OnnxNode) -> None:
    """Ops of one input that are the same for every element."""
    (x,) = (codes(making, node, operand) for operand in reads(node))
    op, default = TABLES[node.op]
    found: dict[str, Any] = {} if default is None else {"alpha": float(node.attributes.get("alpha", default))}
    emit(making, node, op, [x], found, _written(making, node, 4, x))


TABLES: dict[str, tuple[str, float | None]] = {
    "QLinearLeakyRelu": ("leaky_relu", 0.01),
    "QLinearSigmoid": ("logistic", None),
    "QLinearTanh": ("tanh", None),
    "QLinearRelu": ("relu", None),
    "QLinearRelu6": ("relu6", None),
    "Requantize": ("requantize", None),
}


def quantize(making: Making, node: OnnxNode) -> None:
    """QuantizeLinear."""
    x = plain(making, node, node.input(0))
    default = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16"}
    dtype = written_dtype(making, node, node.input(2), default.get(int(node.attributes.get("output_dtype", 2)), ""))
    if dtype not in default.values() or x.dtype != "float32":
        reason = f"makes {dtype or 'other codes'} of {x.dtype}; pass float32 for {', '.join(default.values())}"
        reject(making.model.file, node, reason)
    emit(making, node, "quantize", [x], {}, dtype)


def dequantize(making: Making, node: OnnxNode) -> None:
    """DequantizeLinear."""
    (x,) = (codes(making, node, operand) for operand in reads(node))
    emit(making, node, "dequantize", [x], {}, "float32")


POINTWISE = {
    (MICROSOFT, "QLinearAdd"): binary,
    (MICROSOFT, "QLinearMul"): binary,
    (OWN, "QLinearSub"): binary,
    (MICROSOFT, "QLinearAveragePool"): average_pool,
    (MICROSOFT, "QLinearGlobalAveragePool"): global_average_pool,
    (MICROSOFT, "QLinearConcat"): concat,
    (MICROSOFT, "QLinearSoftmax"): softmax,
    (MICROSOFT, "QLinearLeakyRelu"): table,
    (MICROSOFT, "QLinearSigmoid"): table,
    (OWN, "QLinearTanh"): table,
    (OWN, "QLinearRelu"): table,
    (OWN, "QLinearRelu6"): table,
    (OWN, "Requantize"): table,
    ("", "QuantizeLinear"): quantize,
    ("", "DequantizeLinear"): dequantize,
    (MICROSOFT, "QuantizeLinear"): quantize,
    (MICROSOFT, "DequantizeLinear"): dequantize,
}
