"""Groups DequantizeLinear, op, QuantizeLinear that ONNX Runtime fuses into one op on codes at level extended.

Source: onnxruntime/core/optimizer/qdq_transformer, selectors_actions/{qdq_selectors,qdq_actions}, relu_quantizelinear,
clip_quantizelinear and qdq_s8_to_u8, for the CPU of x86-64; confirmed in the graphs that the installed release saves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from refq.importers.onnx_records import OnnxNode
from refq.importers.onnx_working import (
    DQ,
    Q,
    Working,
    code_dtype,
    drop,
    each,
    edges,
    fresh,
    is_scalar,
    only_reader,
    put,
    redirect,
    same_pair,
    scalar_pair,
    written_by,
)

BYTES = ("uint8", "int8")


@dataclass(frozen=True, eq=False)
class Group:
    """An op with the DQ nodes of its inputs, the Q nodes of its outputs, and a Relu or Clip that the Q makes void."""

    node: OnnxNode
    dequantizers: tuple[OnnxNode, ...]
    quantizers: tuple[OnnxNode, ...]
    clip: OnnxNode | None


def group_of(work: Working, node: OnnxNode) -> Group | None:
    """The nodes around an op; None where a clip follows that does something."""
    writers = [written_by(work, name) for name in node.inputs if name]
    sources = tuple(w for w in writers if w is not None and w.op == DQ)
    clip = only_reader(work, node.outputs[0]) if len(node.outputs) == 1 else None
    if clip is None or clip.op not in ("Relu", "Clip") or only_reader(work, clip.outputs[0]) is None:
        clip = None
    ends = [r for name in (clip or node).outputs for r in work.readers.get(name, {})]
    quantizers = tuple(work.nodes[r] for r in ends if work.nodes[r].op == Q)
    if clip is not None and (len(quantizers) != 1 or not void(work, clip, quantizers[0])):
        return None
    return Group(node, sources, quantizers, clip)


def whole(work: Working, group: Group, inputs: int | None = None) -> bool:
    """Every input comes from a DQ of its own (or so many of them), every output goes to one Q and nowhere else."""
    node = group.node
    needed = sum(1 for name in node.inputs if name) if inputs is None else inputs
    alone = all(only_reader(work, d.outputs[0]) is not None for d in group.dequantizers)
    if len(group.dequantizers) != needed or not alone:
        return False
    outputs = [name for name in node.outputs if name]
    hidden = not any(name in work.outputs for name in outputs)
    return hidden and len(outputs) == len(group.quantizers) == sum(edges(work, name) for name in outputs)


def void(work: Working, clip: OnnxNode, quantizer: OnnxNode) -> bool:
    """Whether the range of a Q does all that a Relu or Clip before it does."""
    zero = work.constants.get(quantizer.input(2), np.zeros((), np.uint8))
    scale = work.constants.get(quantizer.input(1))
    if scale is None or scale.ndim or zero.ndim or zero.dtype.kind not in "iu":
        return False
    ends = np.iinfo(zero.dtype)
    if clip.op == "Relu":
        return int(zero) == ends.min
    low, high = clip_ends(work, clip)
    if low is None or high is None:
        return False
    steps = [int(np.rint(np.clip(np.float32(v) / scale, -(2.0**30), 2.0**30))) + int(zero) for v in (low, high)]
    return steps[0] <= ends.min and steps[1] >= ends.max


def clip_ends(work: Working, clip: OnnxNode) -> tuple[float | None, float | None]:
    """The constant bounds of a Clip, None where they are computed; those of float32 where there are none."""
    found: list[float | None] = []
    for place, name, none in ((1, "min", np.finfo(np.float32).min), (2, "max", np.finfo(np.float32).max)):
        data = work.constants.get(clip.input(place))
        given = clip.attributes.get(name, none) if not clip.input(place) else None
        found.append(float(data.ravel()[0]) if data is not None and data.size == 1 else given)
    return found[0], found[1]


def drop_void_clips(work: Working) -> None:
    """Relu and Clip vanish before a Q of the same range."""
    for node in each(work):
        after = only_reader(work, node.outputs[0]) if node.op in ("Relu", "Clip") else None
        if after is None or after.op != Q or len(after.inputs) != 3 or after.inputs[2] not in work.constants:
            continue
        if work.constants[after.inputs[2]].dtype.name in BYTES and _void_here(work, node, after):
            drop(work, node.name)
            redirect(work, after, 0, node.inputs[0])


def _void_here(work: Working, clip: OnnxNode, after: OnnxNode) -> bool:
    zero, scale = work.constants[after.inputs[2]], work.constants.get(after.inputs[1])
    ends = np.iinfo(zero.dtype)
    if clip.op == "Relu":
        return zero.size == 1 and int(zero.ravel()[0]) == ends.min
    low, high = clip_ends(work, clip)
    if scale is None or scale.ndim or zero.ndim or low is None or high is None:
        return False
    lower, upper = (np.float32(scale) * np.float32(end - int(zero)) for end in (ends.min, ends.max))
    small = np.finfo(np.float32).eps
    return not (small < np.float32(low) - lower or small < upper - np.float32(high))


def as_unsigned(work: Working) -> None:
    """Pairs of int8 that nothing else reads become pairs of uint8: codes and zero point 128 higher."""
    for node in each(work):
        after = only_reader(work, node.outputs[0]) if node.op == Q else None
        if after is None or after.op != DQ or len(node.inputs) != 3 or len(after.inputs) != 3:
            continue
        zeros = [work.constants.get(n.inputs[2]) for n in (node, after)]
        if any(z is None or z.dtype != np.int8 or z.size != 1 for z in zeros) or zeros[0] != zeros[1]:
            continue
        assert zeros[0] is not None
        zero, codes = fresh(work, f"{node.inputs[2]}/uint8/{node.name}"), fresh(work, f"{node.outputs[0]}/uint8")
        work.constants[zero] = (zeros[0].astype(np.int16) + 128).astype(np.uint8)
        put(work, replace(node, inputs=(*node.inputs[:2], zero), outputs=(codes,)))
        put(work, replace(after, inputs=(codes, after.inputs[1], zero)))


Fits = Callable[[Working, Group], bool]


def types(work: Working, group: Group) -> tuple[list[str], list[str]]:
    """The types of codes read and written."""
    written = [work.constants.get(q.input(2), np.zeros((), np.uint8)).dtype.name for q in group.quantizers]
    return [code_dtype(work, d.inputs[0]) for d in group.dequantizers], written


def _bytes_alike(count: int | None) -> Fits:
    def fits(work: Working, group: Group) -> bool:
        found = {t for side in types(work, group) for t in side}
        return whole(work, group, count) and len(found) == 1 and found <= set(BYTES)

    return fits


def _moves(wide: bool) -> Fits:
    def fits(work: Working, group: Group) -> bool:
        if group.clip is not None or not whole(work, group, 1):
            return False
        before, after = types(work, group)
        legal = (*BYTES, "int16", "uint16") if wide else BYTES
        pairs = all(same_pair(work, group.dequantizers[0], q) for q in group.quantizers)
        return pairs and {*before, *after} == {before[0]} <= set(legal)

    return fits


def _only_dequantized(work: Working, group: Group) -> bool:
    return (
        len(group.dequantizers) == 1
        and group.clip is None
        and types(work, group)[0][0] in BYTES
        and scalar_pair(work, group.dequantizers[0])
        and is_scalar(work, group.dequantizers[0].input(2))
    )


def _products(signed: bool, unquantized: bool) -> Fits:
    """signed: int8 is taken, with int8 weights. unquantized: without a Q too."""

    def fits(work: Working, group: Group) -> bool:
        before, after = types(work, group)
        if len(before) < 2 or not {*before[:2]} <= set(BYTES) or before[2:3] not in ([], ["int32"]):
            return False
        if before[0] == "int8" and (not signed or before[1] != "int8"):
            return False
        if not after:
            return unquantized and not group.quantizers
        return whole(work, group) and after == before[:1]

    return fits


def _gemm(work: Working, group: Group) -> bool:
    plain = float(group.node.attributes.get("beta", 1.0)) == 1.0 or len(group.dequantizers) < 3
    inputs = sum(1 for name in group.node.inputs if name)
    return plain and len(group.dequantizers) == inputs and _products(True, True)(work, group)


FITS: dict[str, Fits] = {
    **dict.fromkeys(("Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"), _moves(True)),
    "MaxPool": _moves(False),
    "Split": _moves(True),
    "ArgMax": _only_dequantized,
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax"), _bytes_alike(1)),
    **dict.fromkeys(("Add", "Mul", "Concat"), _bytes_alike(None)),
    "Conv": _products(False, False),
    "MatMul": _products(False, True),
    "Gemm": _gemm,
}
"""Float ops of groups, and whether a group is one that ONNX Runtime fuses."""
