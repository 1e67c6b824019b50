"""Every group that has an op on codes, whatever a runtime makes of it: what integer hardware would compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from refq.importers.onnx_basic import drop_identities, unique_dequantizers
from refq.importers.onnx_biases import join_biases
from refq.importers.onnx_fused_nodes import FORMS, become, binary, check_channels, pair, triple
from refq.importers.onnx_groups import FITS, Group, clip_ends, drop_void_clips, group_of, types, void, whole
from refq.importers.onnx_propagation import carry_backward, carry_forward
from refq.importers.onnx_records import OWN, OnnxNode
from refq.importers.onnx_working import (
    DQ,
    Q,
    Working,
    code_dtype,
    drop,
    each,
    is_scalar,
    only_reader,
    put,
    written_by,
)

CODES = ("uint8", "int8", "int16")
ENDING = ("Conv", "Gemm", "Add", "Mul", "Sub")
"""Ops that end in an activation of their own."""


def fuse_integer(work: Working) -> None:
    """Groups around ops, Q behind DQ, activations into the op before them."""
    unique_dequantizers(work)
    for step in (drop_identities, join_biases, carry_forward, carry_backward, unique_dequantizers, drop_void_clips):
        step(work)
    for node in each(work):
        if node.name in work.nodes and node.op in KINDS and not node.domain:
            _fuse(work, work.nodes[node.name])
    for node in each(work):
        if node.op == Q:
            _requantize(work, node)


def _fuse(work: Working, node: OnnxNode) -> None:
    group = _ended(work, node) or group_of(work, node)
    fits, form = KINDS[node.op]
    if group is not None and group.dequantizers and _one_scale(work, group) and fits(work, group):
        check_channels(work, group)
        form(work, group)


def _one_scale(work: Working, group: Group) -> bool:
    """Channels have scales in weights (and biases) only."""
    first = 1 if group.node.op in WEIGHTED else len(group.dequantizers)
    return all(is_scalar(work, n.inputs[1]) for n in (*group.dequantizers[:first], *group.quantizers))


def _ended(work: Working, node: OnnxNode) -> Group | None:
    """A group whose op ends in a Relu or Clip that does something."""
    clip = only_reader(work, node.outputs[0])
    after = None if clip is None or clip.op not in ("Relu", "Clip") else only_reader(work, clip.outputs[0])
    if clip is None or after is None or after.op != Q or node.op not in ENDING or void(work, clip, after):
        return None
    activation = activation_of(work, clip)
    if not activation:
        return None
    sources = tuple(w for w in (written_by(work, n) for n in node.inputs if n) if w is not None and w.op == DQ)
    ended = replace(node, attributes={**node.attributes, "activation": activation})
    return Group(ended, sources, (after,), clip)


def activation_of(work: Working, clip: OnnxNode) -> str:
    """The name of a Relu or Clip among activations, "" where it has none."""
    if clip.op == "Relu":
        return "relu"
    largest = float(np.finfo(np.float32).max)
    return {(0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1", (0.0, largest): "relu"}.get(clip_ends(work, clip), "")  # type: ignore[arg-type]


def _one_type(work: Working, group: Group) -> bool:
    found = {t for side in types(work, group) for t in side}
    return whole(work, group, 1 if group.node.op in ONE else None) and len(found) == 1 and found <= set(CODES)


def _product(work: Working, group: Group) -> bool:
    before, after = types(work, group)
    if len(before) < 2 or not whole(work, group) or (group.node.op == "Gemm" and not _layer(work, group)):
        return False
    legal = before[0] in CODES and before[1] in CODES[:2] and before[2:3] in ([], ["int32"])
    return legal and after[0] in CODES and not (before[0] == "int16" and after[0] != "int16")


def _layer(work: Working, group: Group) -> bool:
    """A Gemm that is a fully connected layer."""
    plain = all(group.node.attributes.get(name, value) == value for name, value in GEMM.items())
    return plain and group.dequantizers[1].inputs[0] in work.constants


def _curve(work: Working, group: Group) -> None:
    """Relu, Clip(0, 6), Tanh and Sub: ops that ONNX Runtime has no form on codes for."""
    clip = activation_of(work, group.node) if group.node.op in ("Relu", "Clip") else ""
    op = {"relu": "QLinearRelu", "relu6": "QLinearRelu6"}.get(clip, f"QLinear{group.node.op}")
    become(work, group, op, OWN, (*triple(work, group.dequantizers[0]), *pair(work, group)))


def _clips(work: Working, group: Group) -> bool:
    return activation_of(work, group.node) in ("relu", "relu6") and _one_type(work, replace(group, clip=None))


def _requantize(work: Working, node: OnnxNode) -> None:
    """Q right behind DQ."""
    source = written_by(work, node.inputs[0])
    if source is None or source.op != DQ or source.inputs[0] in work.constants:
        return
    types_ = code_dtype(work, source.inputs[0]), work.constants.get(node.input(2), np.zeros(0, np.uint8)).dtype.name
    group = Group(node, (source,), (node,), None)
    if set(types_) <= set(CODES) and only_reader(work, source.outputs[0]) is not None and _one_scale(work, group):
        inputs = (*triple(work, source), *pair(work, group))
        drop(work, source.name)
        put(work, OnnxNode(node.name, "Requantize", OWN, inputs, node.outputs, {}))


GEMM = {"alpha": 1.0, "beta": 1.0, "transA": 0}
"""What attributes of Gemm must be."""
WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
ONE = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax", "Relu", "Clip", "Tanh")
KINDS: dict[str, tuple[Callable[[Working, Group], bool], Callable[[Working, Group], None]]] = {
    **{op: (FITS[op], FORMS[op]) for op in FORMS},
    **{op: (_one_type, FORMS[op]) for op in (*ONE[:5], "Add", "Mul", "Concat")},
    **{op: (_product, FORMS[op]) for op in ("Conv", "MatMul", "Gemm")},
    "ConvTranspose": (_product, binary),
    "Sub": (_one_type, binary),
    "Relu": (_clips, _curve),
    "Clip": (_clips, _curve),
    "Tanh": (_one_type, _curve),
}
