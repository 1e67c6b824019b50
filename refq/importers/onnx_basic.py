"""What ONNX Runtime does to a QDQ graph at level basic and what changes results or decides which groups fuse later.

Source: onnxruntime/core/optimizer, ensure_unique_dq_for_node_unit and double_qdq_pairs_remover; confirmed in the files
that the installed release saves of its optimised graphs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refq.importers.onnx_records import OnnxNode
from refq.importers.onnx_working import (
    DQ,
    Q,
    Working,
    drop,
    each,
    edges,
    fresh,
    only_reader,
    put,
    redirect,
    same_pair,
    written_by,
)


def drop_identities(work: Working) -> None:
    """Identity and Dropout vanish where what they write is no output of the model."""
    for node in each(work):
        if node.op not in ("Identity", "Dropout") or node.domain or node.outputs[0] in work.outputs:
            continue
        if any(edges(work, name) or name in work.outputs for name in node.outputs[1:] if name):
            continue
        drop(work, node.name)
        _instead(work, node.outputs[0], node.inputs[0])


def _instead(work: Working, old: str, new: str) -> None:
    """Everything that reads one tensor reads another."""
    for name in list(work.readers.get(old, {})):
        node = work.nodes[name]
        put(work, replace(node, inputs=tuple(new if t == old else t for t in node.inputs)))


def unique_dequantizers(work: Working) -> None:
    """Every DequantizeLinear feeds one input of one node; where it fed several, each has a copy."""
    for node in each(work):
        if node.op != DQ:
            continue
        shown = node.outputs[0] in work.outputs
        places = [
            (name, place) for name in list(work.readers.get(node.outputs[0], {}))
            for place, tensor in enumerate(work.nodes[name].inputs) if tensor == node.outputs[0]
        ]  # fmt: skip
        for name, place in places[0 if shown else 1 :]:
            made = fresh(work, f"{node.outputs[0]}/for/{name}")
            put(work, replace(node, name=fresh(work, f"{node.name}/for/{name}"), outputs=(made,)))
            redirect(work, work.nodes[name], place, made)


def merge_dequantizers(work: Working) -> None:
    """The reverse: copies of a DequantizeLinear become one again."""
    first: dict[tuple[object, ...], OnnxNode] = {}
    for node in each(work):
        if node.op != DQ:
            continue
        kept = first.setdefault((node.inputs, *sorted(node.attributes.items())), node)
        if kept is not node and node.outputs[0] not in work.outputs:
            drop(work, node.name)
            _instead(work, node.outputs[0], kept.outputs[0])


def drop_double_pairs(work: Working) -> None:
    """Q, DQ, Q, DQ in a row becomes one pair, whose range is what both ranges have in common.

    Where the pairs differ this is another function: scale (high - low) / (qmax - qmin) in float32, and a zero point
    rounded half away.
    """
    for node in each(work):
        chain = _double(work, node)
        if chain is None:
            continue
        first, middle, second, last = chain
        drop(work, middle.name)
        drop(work, second.name)
        ends = (first.inputs[1:], last.inputs[1:])
        if not same_pair(work, middle, second):
            ends = (_common(work, middle, second),) * 2
        put(work, replace(first, inputs=(first.inputs[0], *ends[0])))
        put(work, replace(last, inputs=(first.outputs[0], *ends[1])))


def _double(work: Working, node: OnnxNode) -> tuple[OnnxNode, OnnxNode, OnnxNode, OnnxNode] | None:
    middle = work.nodes.get(node.name)
    if middle is None or middle.op != DQ:
        return None
    first, second = written_by(work, middle.inputs[0]), only_reader(work, middle.outputs[0])
    if first is None or first.op != Q or second is None or second.op != Q:
        return None
    last = only_reader(work, second.outputs[0])
    if last is None or last.op != DQ or only_reader(work, first.outputs[0]) is not middle:
        return None
    if not same_pair(work, first, middle) or not same_pair(work, second, last):
        return None
    zeros = [work.constants[n.inputs[2]].dtype for n in (middle, second)]
    return (first, middle, second, last) if zeros[0] == zeros[1] and zeros[0].itemsize == 1 else None


def _common(work: Working, one: OnnxNode, other: OnnxNode) -> tuple[str, str]:
    """Scale and zero point of the range that two pairs have in common."""
    pairs = [(work.constants[n.inputs[1]].ravel()[0], work.constants[n.inputs[2]].ravel()[0]) for n in (one, other)]
    dtype = pairs[0][1].dtype
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    bottom = max(np.float32(low - int(z)) * s for s, z in pairs)
    top = min(np.float32(high - int(z)) * s for s, z in pairs)
    scale = (top - bottom) / np.float32(high - low)
    exact = np.float32(low) - bottom / scale
    zero = int(np.copysign(np.floor(np.abs(np.float64(exact)) + 0.5), exact))
    names = fresh(work, f"{one.name}/common_scale"), fresh(work, f"{one.name}/common_zero")
    work.constants[names[0]], work.constants[names[1]] = np.array(scale, np.float32), np.array(zero, dtype)
    return names
