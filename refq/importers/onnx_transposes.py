"""Two Transpose in a row become one at level basic of ONNX Runtime, or none, also through what treats elements alike.

No value changes by this, yet pairs of Q and DQ that were apart come to stand in a row, and are merged. Measured on the
graphs that the installed release saves; it takes more ways to move a Transpose than this one.
"""

from __future__ import annotations

from dataclasses import replace

from refq.importers.onnx_records import OnnxNode
from refq.importers.onnx_scales import attributes_of
from refq.importers.onnx_working import DQ, Q, Working, drop, each, fresh, only_reader, put, redirect, scalar_pair

ALIKE = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh")
"""Ops that a Transpose is carried through."""


def join_transposes(work: Working) -> None:
    """Transpose, elementwise ops, Transpose becomes the elementwise ops and one Transpose, if any is left."""
    for node in each(work):
        if node.op != "Transpose" or node.domain or node.inputs[0] in work.constants:
            continue
        way = _way(work, node)
        if way:
            _join(work, node, way[:-1], way[-1])


def _way(work: Working, node: OnnxNode) -> list[OnnxNode]:
    """The nodes behind a Transpose up to the next one, each the only reader of the one before; [] if there is none."""
    found: list[OnnxNode] = []
    after = only_reader(work, node.outputs[0])
    while after is not None and not after.domain and (
        after.op in ALIKE or (after.op in (Q, DQ) and scalar_pair(work, after))
    ):  # fmt: skip
        found.append(after)
        after = only_reader(work, after.outputs[0])
    return [*found, after] if after is not None and after.op == "Transpose" and not after.domain else []


def _perm(work: Working, node: OnnxNode) -> tuple[int, ...]:
    return tuple(node.attributes.get("perm") or reversed(range(len(work.model.dims.get(node.inputs[0], ())))))


def _join(work: Working, first: OnnxNode, way: list[OnnxNode], second: OnnxNode) -> None:
    inner, outer = _perm(work, first), _perm(work, second)
    if len(inner) != len(outer) or sorted(inner) != sorted(outer):
        return
    perm = tuple(inner[i] for i in outer)
    level = perm == tuple(range(len(perm)))
    if level and not way:
        # nothing is left to write what the second one wrote
        return
    source = first.inputs[0]
    drop(work, first.name)
    if level:
        drop(work, second.name)
    for place, node in enumerate(way):
        last = level and place == len(way) - 1
        # in another layout than the tensor of the file
        made = second.outputs[0] if last else fresh(work, f"{node.outputs[0]}/unturned")
        _keep_dims(work, source, made)
        put(work, replace(node, inputs=(source, *node.inputs[1:]), outputs=(made,)))
        source = made
    if not level:
        put(work, replace(redirect(work, second, 0, source), attributes=attributes_of(second, perm=perm)))


def _keep_dims(work: Working, source: str, made: str) -> None:
    if source in work.model.dims:
        work.model = replace(work.model, dims={**work.model.dims, made: work.model.dims[source]})
