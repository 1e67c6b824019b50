"""Which tensors an op of an .onnx file reads and writes as codes, and under which scales: the operands of its nodes.

In ONNX a scale belongs to the op that uses it, not to the tensor: a tensor may be written under one scale and read
under another, and it is the codes that are handed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.records import Quantization
from refq.importers.limits import MOST_CHANNELS
from refq.importers.onnx_records import OnnxModel, OnnxNode, reject

PASSING = frozenset({
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Split", "Slice", "Pad", "MaxPool", "Concat", "Identity",
    "Relu", "Clip", "Dropout",
})  # fmt: skip
"""Ops that hand on codes: what they write means what they read."""


@dataclass(frozen=True)
class Operand:
    """A tensor of codes: the inputs that hold its scale and zero point, and the dimension that channels run along.

    scale: "" where only the zero point counts.
    """

    tensor: str
    scale: str
    zero_point: str
    axis: int = 0


def _three(node: OnnxNode, place: int, axis: int = 0) -> Operand:
    return Operand(node.input(place), node.input(place + 1), node.input(place + 2), axis)


def _written(node: OnnxNode, place: int, axis: int = 0) -> Operand:
    return Operand(node.outputs[0], node.input(place), node.input(place + 1), axis)


def _gemm_axis(node: OnnxNode) -> int:
    return 0 if node.attributes.get("transB", 0) else 1


def reads(node: OnnxNode) -> tuple[Operand, ...]:
    """The operands that a node reads as codes."""
    op, axis = node.op, int(node.attributes.get("axis", 1))
    if op in ("QLinearConv", "QLinearConvTranspose"):
        return _three(node, 0), _three(node, 3, 0 if op == "QLinearConv" else 1)
    if op == "QLinearMatMul":
        return _three(node, 0, -2), _three(node, 3, -1)
    if op == "QGemm":
        return _three(node, 0), _three(node, 3, _gemm_axis(node))
    if op in ("QLinearAdd", "QLinearMul", "QLinearSub"):
        return _three(node, 0), _three(node, 3)
    if op == "QLinearConcat":
        return tuple(_three(node, place) for place in range(2, len(node.inputs), 3))
    if op == "DequantizeLinear":
        return (_three(node, 0, axis),)
    if op in ("ConvInteger", "MatMulInteger"):
        ends = (0, 0) if op == "ConvInteger" else (-2, -1)
        return tuple(Operand(node.input(i), "", node.input(2 + i), ends[i]) for i in (0, 1))
    return (_three(node, 0),) if op.startswith("QLinear") or op == "Requantize" else ()


def writes(node: OnnxNode) -> tuple[Operand, ...]:
    """The operands that a node writes as codes under a scale of its own."""
    places = {"QLinearConcat": 0, "QuantizeLinear": 1, "QGemm": 7}
    pairs = ("QLinearConv", "QLinearConvTranspose", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearSub")
    if node.op in places:
        return (_written(node, places[node.op], int(node.attributes.get("axis", 1))),)
    if node.op in pairs:
        return (_written(node, 6),)
    return (_written(node, 3),) if node.op.startswith("QLinear") or node.op == "Requantize" else ()


def quantization_of(model: OnnxModel, node: OnnxNode, operand: Operand, rank: int | None) -> Quantization:
    """Scale and zero point of an operand, which must be constants; rank: of the tensor, None where it is not known."""
    if node.attributes.get("block_size", 0):
        reject(model.file, node, "block_size is not supported; quantize per tensor or per axis")
    scale = _scale(model, node, operand)
    zeros = _zeros(model, node, operand)
    size = max(scale.size, zeros.size)
    if scale.size not in (1, size) or zeros.size not in (1, size):
        reject(model.file, node, f"{operand.tensor} has {scale.size} scales and {zeros.size} zero points")
    axis = None if size == 1 else _axis(model, node, operand, rank)
    return Quantization(np.broadcast_to(scale.ravel(), size).copy(), np.broadcast_to(zeros.ravel(), size).copy(), axis)


def _scale(model: OnnxModel, node: OnnxNode, operand: Operand) -> NDArray[Any]:
    if not operand.scale:
        return np.ones(1, np.float32)
    scale = stored(model, node, operand.scale, f"the scale of {operand.tensor}")
    if scale.dtype != np.float32:
        reject(model.file, node, f"the scale of {operand.tensor} is {scale.dtype}; pass float32")
    if not (np.isfinite(scale) & (scale > 0)).all():
        reject(model.file, node, f"a scale of {operand.tensor} is not finite and above 0")
    return scale


def _zeros(model: OnnxModel, node: OnnxNode, operand: Operand) -> NDArray[Any]:
    if not operand.zero_point:
        return np.zeros(1, np.int64)
    zeros = stored(model, node, operand.zero_point, f"the zero point of {operand.tensor}")
    if zeros.dtype.kind not in "iu":
        reject(model.file, node, f"the zero point of {operand.tensor} is {zeros.dtype}; pass integers")
    return zeros.astype(np.int64)


def stored(model: OnnxModel, node: OnnxNode, name: str, what: str) -> NDArray[Any]:
    """A constant that a node must have: one value or a row of them."""
    if name not in model.constants:
        reject(model.file, node, f"{what} ({name or 'absent'}) must be a constant of the file")
    found = model.constants[name]
    if (found.ndim > 1 and found.size > 1) or not 0 < found.size <= MOST_CHANNELS:
        reject(model.file, node, f"{what} has shape {found.shape}; pass one value or one a channel")
    return found


def _axis(model: OnnxModel, node: OnnxNode, operand: Operand, rank: int | None) -> int:
    if rank is None:
        reject(model.file, node, f"{operand.tensor} has channels, its shape is not known")
    if not -rank <= operand.axis < rank:
        reject(model.file, node, f"axis {operand.axis} of {operand.tensor} is outside {-rank}..{rank - 1}")
    return operand.axis % rank


def same(one: Quantization | None, other: Quantization | None) -> bool:
    """Whether two quantizations give every code the same value."""
    if one is None or other is None:
        return one is other
    return (
        one.axis == other.axis
        and np.array_equal(one.scale, other.scale)
        and np.array_equal(one.zero_point, other.zero_point)
    )


def meanings(model: OnnxModel) -> dict[str, Quantization]:
    """What each tensor of codes means: to the node that writes it, else to the first node that reads it."""
    found: dict[str, Quantization] = {}
    for node in model.nodes:
        for operand in writes(node):
            found[operand.tensor] = quantization_of(model, node, operand, _rank(model, operand.tensor))
    _forward(model, found)
    for node in reversed(model.nodes):
        _meant_by_reader(model, node, found)
    _forward(model, found)
    return found


def check_scales(model: OnnxModel) -> None:
    """Every scale and zero point is a constant, finite, above 0 and along a dimension that is there."""
    for node in model.nodes:
        for operand in (*reads(node), *writes(node)):
            quantization_of(model, node, operand, _rank(model, operand.tensor))


def _meant_by_reader(model: OnnxModel, node: OnnxNode, found: dict[str, Quantization]) -> None:
    for operand in reads(node):
        if operand.tensor not in found:
            found[operand.tensor] = quantization_of(model, node, operand, _rank(model, operand.tensor))
    passed = found.get(node.outputs[0]) if node.op in PASSING and node.outputs else None
    if passed is not None and passed.axis is None:
        found.setdefault(node.inputs[0], passed)


def _rank(model: OnnxModel, tensor: str) -> int | None:
    if tensor in model.constants:
        return model.constants[tensor].ndim
    return len(model.dims[tensor]) if tensor in model.dims else None


def _forward(model: OnnxModel, found: dict[str, Quantization]) -> None:
    for node in model.nodes:
        for name in node.outputs if node.op in PASSING else ():
            passed = found.get(node.inputs[0]) if node.inputs else None
            if passed is not None and passed.axis is None:
                found.setdefault(name, passed)


def attributes_of(node: OnnxNode, **changed: Any) -> Mapping[str, Any]:
    """Those of a node with some of them changed; None takes one out."""
    return {k: v for k, v in {**node.attributes, **changed}.items() if v is not None}
