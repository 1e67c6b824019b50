"""Constants worked out before anything else: moved and quantized constants, and weights turned behind their scales."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.records import Quantization
from refq.importers.onnx_records import OnnxModel, OnnxNode
from refq.importers.onnx_scales import Operand, attributes_of, quantization_of
from refq.importers.onnx_working import DQ, Q, Working, drop, each, finished, fresh, keep, put, working, written_by


def folded(model: OnnxModel) -> OnnxModel:
    """A model in which Transpose, Reshape, Identity and QuantizeLinear of constants are constants.

    Transpose of a dequantized constant becomes the DequantizeLinear of a transposed one. Exact: no value changes.
    """
    work = working(model)
    for node in each(work):
        if node.op == "Transpose" and _behind_scale(work, node):
            node = work.nodes[node.name]
        made = _value(work, node) if node.domain == "" and node.inputs and len(node.outputs) == 1 else None
        if made is not None:
            keep(work, node, node.outputs[0], made)
            drop(work, node.name)
    return finished(work)


def _value(work: Working, node: OnnxNode) -> NDArray[Any] | None:
    """What a node makes of constants; None where it reads others, or is no node that is worked out."""
    data = [work.constants.get(name) for name in node.inputs if name]
    first = data[0] if data else None
    if first is None or any(d is None for d in data) or set(node.inputs) & work.model.packed:
        return None
    if node.op == "Identity":
        return first
    if node.op == "Transpose":
        perm = tuple(node.attributes.get("perm") or reversed(range(first.ndim)))
        return np.ascontiguousarray(first.transpose(perm)) if sorted(perm) == list(range(first.ndim)) else None
    if node.op == "Reshape" and len(data) == 2:
        return _reshaped(first, data[1])
    return _quantized(work, node, first) if node.op == Q and first.dtype == np.float32 else None


def _reshaped(data: NDArray[Any], shape: Any) -> NDArray[Any] | None:
    sizes = [int(v) for v in np.ravel(shape)]
    sizes = [data.shape[i] if v == 0 and i < data.ndim else v for i, v in enumerate(sizes)]
    known = prod(v for v in sizes if v >= 0)
    if sizes.count(-1) > 1 or min(sizes, default=0) < -1 or not known or data.size % known:
        return None
    return data.reshape(sizes) if -1 in sizes or known == data.size else None


def along(values: NDArray[Any], axis: int | None, rank: int) -> NDArray[Any]:
    """One value a channel, shaped to meet a tensor of this rank."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)]) if axis is not None else values[0]


def _quantization(work: Working, node: OnnxNode, data: NDArray[Any]) -> Quantization | None:
    model = replace(work.model, constants=work.constants)
    operand = Operand(node.inputs[0], node.input(1), node.input(2), int(node.attributes.get("axis", 1)))
    found = quantization_of(model, node, operand, data.ndim)
    return found if found.axis is None or data.shape[found.axis] == found.scale.size else None


def _quantized(work: Working, node: OnnxNode, data: NDArray[Any]) -> NDArray[Any] | None:
    """QuantizeLinear of float32: the quotient rounded to even, the zero point after, saturated."""
    found = _quantization(work, node, data)
    zero = work.constants.get(node.input(2))
    dtype = np.dtype(np.uint8) if zero is None else zero.dtype
    if found is None or int(node.attributes.get("output_dtype", 0)):
        return None
    ends = np.iinfo(dtype)
    zeros = along(found.zero_point, found.axis, data.ndim)
    steps = np.rint(data / along(found.scale, found.axis, data.ndim))
    codes: NDArray[Any] = np.clip(np.nan_to_num(steps, nan=0.0).clip(-(2**31), 2**31) + zeros, ends.min, ends.max)
    return codes.astype(dtype)


def dequantized(work: Working, node: OnnxNode) -> NDArray[Any] | None:
    """What a DequantizeLinear of a constant gives: float32(code - zero_point) * scale, in float32."""
    data = work.constants[node.inputs[0]]
    found = _quantization(work, node, data)
    if found is None:
        return None
    zeros, scale = (along(v, found.axis, data.ndim) for v in (found.zero_point, found.scale))
    return np.asarray((data.astype(np.int64) - zeros).astype(np.float32) * scale, np.float32)


def _behind_scale(work: Working, node: OnnxNode) -> bool:
    """Turn DQ -> Transpose of a constant into Transpose -> DQ."""
    source = written_by(work, node.inputs[0])
    data = None if source is None or source.op != DQ else work.constants.get(source.inputs[0])
    perm = tuple(node.attributes.get("perm") or (() if data is None else reversed(range(data.ndim))))
    if source is None or data is None or sorted(perm) != list(range(data.ndim)):
        return False
    found = _quantization(work, source, data)
    if found is None or source.inputs[0] in work.model.packed:
        return False
    name = fresh(work, f"{source.inputs[0]}/{node.name}")
    axis = None if found.axis is None else perm.index(found.axis)
    keep(work, node, name, np.ascontiguousarray(data.transpose(perm)))
    attributes = attributes_of(source, axis=axis)
    put(work, OnnxNode(node.name, DQ, source.domain, (name, *source.inputs[1:]), node.outputs, attributes))
    return True
