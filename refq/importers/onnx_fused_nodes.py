"""What a fused group becomes: the op on codes, with scales and zero points where ONNX and ONNX Runtime have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refq.importers.onnx_groups import Group
from refq.importers.onnx_records import MICROSOFT, OWN, OnnxNode, reject
from refq.importers.onnx_scales import attributes_of
from refq.importers.onnx_working import DQ, Working, code_dtype, drop, fresh, put

DOMAINS = {"Conv": "", "MatMul": "", "ConvTranspose": OWN, "Sub": OWN}
"""Of the forms on codes that are not ONNX Runtime's own."""
FIXED = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}
"""The dimension of the weights along which the op's channels run."""


def zero_of(work: Working, node: OnnxNode) -> str:
    """The zero point of a Q or DQ; a constant 0 of the right type where it is left out."""
    if node.input(2):
        return node.input(2)
    dtype = code_dtype(work, node.inputs[0]) if node.op == DQ else "uint8"
    name = f"{node.name}/zero_point"
    work.constants[name] = np.zeros((), dtype or "uint8")
    return name


def triple(work: Working, node: OnnxNode) -> tuple[str, str, str]:
    """Codes, scale and zero point that a DQ reads."""
    return node.inputs[0], node.inputs[1], zero_of(work, node)


def pair(work: Working, group: Group) -> tuple[str, str]:
    """Scale and zero point that the Q of a group writes under."""
    return group.quantizers[0].inputs[1], zero_of(work, group.quantizers[0])


def check_channels(work: Working, group: Group) -> None:
    """Weights with a scale a channel have it along the op's own channels, and only weights have."""
    node = group.node
    axis = (0 if node.attributes.get("transB", 0) else 1) if node.op == "Gemm" else FIXED.get(node.op)
    for place, source in enumerate(group.dequantizers):
        scale = work.constants.get(source.inputs[1])
        if scale is None or scale.size == 1 or place == 2:
            continue
        rank = work.constants[source.inputs[0]].ndim if source.inputs[0] in work.constants else 0
        given = int(source.attributes.get("axis", 1))
        if place != 1 or axis is None or not rank or given % rank != axis % rank:
            reason = f"{source.inputs[0]} has {scale.size} scales along axis {given}; {node.op} takes "
            reject(work.model.file, node, reason + ("one scale" if axis is None else f"axis {axis} of the weights"))


def become(work: Working, group: Group, op: str, domain: str, inputs: tuple[str, ...], **changed: Any) -> None:
    """Exchange a group for one node; outputs: of its Q nodes, in the order of the op's outputs."""
    node = group.node
    for old in (*group.dequantizers, *group.quantizers, *(() if group.clip is None else (group.clip,))):
        drop(work, old.name)
    made = {q.inputs[0]: q.outputs[0] for q in group.quantizers}
    last = node.outputs if group.clip is None else group.clip.outputs
    outputs = tuple(made.get(name, name) for name in last)
    put(work, OnnxNode(node.name, op, domain, inputs, outputs, attributes_of(node, **changed)))


def moved(work: Working, group: Group) -> None:
    """An op that moves codes: itself, on codes."""
    first = group.dequantizers[0].inputs[0]
    become(work, group, group.node.op, "", (first, *group.node.inputs[1:]))


def unary(work: Working, group: Group) -> None:
    """An op of one input."""
    opset = {"opset": work.model.opset} if group.node.op == "Softmax" else {}
    inputs = (*triple(work, group.dequantizers[0]), *pair(work, group))
    become(work, group, f"QLinear{group.node.op}", MICROSOFT, inputs, **opset)


def binary(work: Working, group: Group) -> None:
    """Add and Mul; a MatMul or Conv has its bias behind."""
    domain = DOMAINS.get(group.node.op, MICROSOFT)
    bias = tuple(d.inputs[0] for d in group.dequantizers[2:])
    sides = (t for d in group.dequantizers[:2] for t in triple(work, d))
    become(work, group, f"QLinear{group.node.op}", domain, (*sides, *pair(work, group), *bias))


def joined(work: Working, group: Group) -> None:
    """Concat."""
    parts = (t for d in group.dequantizers for t in triple(work, d))
    become(work, group, "QLinearConcat", MICROSOFT, (*pair(work, group), *parts))


def matmul(work: Working, group: Group) -> None:
    """MatMul; without a Q the exact sums, dequantized by the float32 product of the two scales."""
    if group.quantizers:
        binary(work, group)
        return
    a, b = (triple(work, d) for d in group.dequantizers)
    scale = work.constants[a[1]].ravel()[0] * work.constants[b[1]]
    sums, name = fresh(work, f"{group.node.name}/sums"), fresh(work, f"{group.node.name}/scale")
    work.constants[name] = np.asarray(scale, np.float32)
    out = group.node.outputs
    if out[0] in work.model.dims:
        work.model = replace(work.model, dims={**work.model.dims, sums: work.model.dims[out[0]]})
    become(work, replace(group, node=replace(group.node, outputs=(sums,))), "MatMulInteger", "",
           (a[0], b[0], a[2], b[2]))  # fmt: skip
    put(work, OnnxNode(fresh(work, f"{group.node.name}/to_float"), DQ, "", (sums, name), out, {"axis": -1}))


def gemm(work: Working, group: Group) -> None:
    """Gemm."""
    if not group.quantizers:
        reject(work.model.file, group.node, "ONNX Runtime fuses this Gemm to a QGemm with a float result, which graphs "
               "do not have; add a QuantizeLinear behind it, or pass fusion='none'")  # fmt: skip
    bias = tuple(d.inputs[0] for d in group.dequantizers[2:]) or ("",)
    sides = (t for d in group.dequantizers[:2] for t in triple(work, d))
    become(work, group, "QGemm", MICROSOFT, (*sides, *bias, *pair(work, group)), beta=None)


FORMS: Mapping[str, Callable[[Working, Group], None]] = {
    **dict.fromkeys(("Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "MaxPool", "Split"), moved),
    "ArgMax": moved,
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax"), unary),
    **dict.fromkeys(("Add", "Mul", "Conv"), binary),
    "Concat": joined,
    "MatMul": matmul,
    "Gemm": gemm,
}
