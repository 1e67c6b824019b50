"""Pairs of QuantizeLinear and DequantizeLinear carried over ops that only move elements, forward and backward.

ONNX Runtime does this at level basic, which lets the ops on both sides fuse at level extended. No value changes: a
code that is dequantized and quantized again under the same scale is the same code.
Source: onnxruntime/core/optimizer/qdq_transformer/qdq_propagation.cc.
"""

from __future__ import annotations

from dataclasses import replace

from refq.importers.onnx_records import OnnxNode
from refq.importers.onnx_working import (
    DQ,
    Q,
    Working,
    each,
    edges,
    fresh,
    only_reader,
    put,
    redirect,
    scalar_pair,
    written_by,
)

CARRYING = frozenset({"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice"})
"""Flatten is not among them."""


def _carries(node: OnnxNode | None) -> bool:
    return node is not None and node.op in CARRYING and not node.domain


def carry_forward(work: Working) -> None:
    """DQ, op, other becomes DQ, op, Q, DQ, other."""
    for node in each(work):
        if node.op == DQ and only_reader(work, node.outputs[0]) is not None and scalar_pair(work, node):
            waiting = [only_reader(work, node.outputs[0])]
            while waiting:
                mover = waiting.pop()
                if mover is not None and _carries(mover):
                    waiting.extend(_pair_after(work, work.nodes[mover.name], node))


def _pair_after(work: Working, mover: OnnxNode, source: OnnxNode) -> list[OnnxNode]:
    """Insert a pair behind an op for all its readers, if none of them is a Q; returns them."""
    tensor = mover.outputs[0]
    shown, readers = tensor in work.outputs, work.readers.get(tensor, {})
    places = [(n, i) for n in readers for i, t in enumerate(work.nodes[n].inputs) if t == tensor]
    quantized = any(work.nodes[n].op == Q for n in readers)
    if quantized or (shown and readers) or not (shown or places):
        return []
    before = fresh(work, f"{tensor}/carried")
    put(work, replace(mover, outputs=(before, *mover.outputs[1:])))
    _pair(work, before, [(tensor, None, 0)] if shown else [("", n, i) for n, i in places], source)
    return [work.nodes[n] for n, _ in places]


def _pair(work: Working, tensor: str, ends: list[tuple[str, str | None, int]], like: OnnxNode) -> None:
    """A Q of a tensor, and a DQ for each end: an output of the model, or an input of a node."""
    quantized = fresh(work, f"{tensor}/codes")
    put(work, OnnxNode(fresh(work, f"{tensor}/Q"), Q, like.domain, (tensor, *like.inputs[1:]), (quantized,), {}))
    for output, reader, place in ends:
        made = output or fresh(work, f"{tensor}/float")
        inputs = (quantized, *like.inputs[1:])
        put(work, OnnxNode(fresh(work, f"{tensor}/DQ"), DQ, like.domain, inputs, (made,), {}))
        if reader is not None:
            redirect(work, work.nodes[reader], place, made)


def carry_backward(work: Working) -> None:
    """other, op, Q becomes other, Q, DQ, op, Q."""
    for node in each(work):
        if node.op != Q or not scalar_pair(work, node):
            continue
        if edges(work, node.inputs[0]) != 1 or node.inputs[0] in work.outputs:
            continue
        mover = written_by(work, node.inputs[0])
        while mover is not None and _carries(mover) and _single_or_input(work, mover.inputs[0]):
            source = written_by(work, mover.inputs[0])
            if source is not None and source.op == DQ:
                break
            _pair(work, mover.inputs[0], [("", mover.name, 0)], node)
            mover = source


def _single_or_input(work: Working, tensor: str) -> bool:
    """What an op reads is read by it alone, or is an input of the model or a constant."""
    return written_by(work, tensor) is None or (edges(work, tensor) == 1 and tensor not in work.outputs)
