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
    same_pair,
    written_by,
)

NEAR = 1e-20
"""Scales that are closer are one to the remover of pairs."""


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
        kept = 0 if node.outputs[0] in work.outputs else 1
        for name in list(work.readers.get(node.outputs[0], {})):
            reader = work.nodes[name]
            inputs = list(reader.inputs)
            for place in [i for i, tensor in enumerate(inputs) if tensor == node.outputs[0]][kept:]:
                inputs[place] = _copied(work, node, f"for/{name}/{place}")
            kept = 0
            if inputs != [*reader.inputs]:
                put(work, replace(reader, inputs=tuple(inputs)))


def _copied(work: Working, node: OnnxNode, place: str) -> str:
    """What a copy of a DequantizeLinear writes."""
    made = fresh(work, f"{node.outputs[0]}/{place}")
    put(work, replace(node, name=fresh(work, f"{node.name}/{place}"), outputs=(made,)))
    return made


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


def drop_equal_pairs(work: Working) -> None:
    """Of two equal pairs in a row the second goes, whoever else reads the first; no value changes."""
    drop_double_pairs(work, equal=True)


def drop_double_pairs(work: Working, equal: bool = False) -> None:
    """Q, DQ, Q, DQ in a row becomes one pair. equal: only equal ones, else all of which nothing else is read.

    Where the pairs differ this is another function: the range that both have in common, scale
    (high - low) / (qmax - qmin) in float32, and a zero point rounded half away; nothing else may read what is between.
    """
    for node in each(work):
        if node.op != DQ:
            continue
        for second in [work.nodes[name] for name in list(work.readers.get(node.outputs[0], {}))]:
            last = _dequantizers_of(work, second)
            if last and _narrow(work, node, second) and (not equal or _as_good_as_equal(work, node, second)):
                _merge(work, node, second, last, equal)


def _narrow(work: Working, one: OnnxNode, other: OnnxNode) -> bool:
    """Whether two nodes have constant scales and zero points of one type of 8 bits, one value each, all given."""
    if not all(same_pair(work, node, node) for node in (one, other)):
        return False
    zeros = [work.constants[n.inputs[2]].dtype for n in (one, other)]
    return zeros[0] == zeros[1] and zeros[0].itemsize == 1


def _dequantizers_of(work: Working, second: OnnxNode) -> list[OnnxNode]:
    """The nodes that read a Q, if all of them are its DQ and the model does not show its codes."""
    if second.op != Q or second.outputs[0] in work.outputs:
        return []
    found = [work.nodes[name] for name in work.readers.get(second.outputs[0], {})]
    return found if all(node.op == DQ and same_pair(work, second, node) for node in found) else []


def _merge(work: Working, middle: OnnxNode, second: OnnxNode, last: list[OnnxNode], equal: bool) -> None:
    """first, middle, second, last becomes first, last; where the pairs are equal, first may be anything."""
    ends: tuple[str, ...] = ()
    if not equal:
        first = written_by(work, middle.inputs[0])
        if first is None or first.op != Q or not _narrow(work, first, middle) or not same_pair(work, first, middle):
            return
        if only_reader(work, first.outputs[0]) is not middle or only_reader(work, middle.outputs[0]) is not second:
            return
        if not _as_good_as_equal(work, middle, second):
            ends = _common(work, middle, second)
            put(work, replace(first, inputs=(first.inputs[0], *ends)))
    for node in last:
        put(work, replace(node, inputs=(middle.inputs[0], *(ends or node.inputs[1:]))))
    drop(work, second.name)
    if not edges(work, middle.outputs[0]) and middle.outputs[0] not in work.outputs:
        drop(work, middle.name)


def _as_good_as_equal(work: Working, one: OnnxNode, other: OnnxNode) -> bool:
    """Equal zero points, and scales that differ by less than 1e-20."""
    scales, zeros = ([work.constants[n.inputs[i]].ravel()[0] for n in (one, other)] for i in (1, 2))
    return bool(zeros[0] == zeros[1] and abs(scales[0] - scales[1]) < NEAR)


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
