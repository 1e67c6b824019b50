"""A file's nodes while they are rewritten: who writes and who reads each tensor, kept up to date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.importers.limits import MOST_CONSTANT_BYTES, MOST_NODES
from refq.importers.onnx_records import OnnxModel, OnnxNode, reject

Q, DQ = "QuantizeLinear", "DequantizeLinear"
MOST_MADE = 4 * MOST_NODES
"""Nodes of a file while it is rewritten."""


@dataclass(eq=False)
class Working:
    """Nodes by name; writer: of each tensor; readers: of each tensor, how many inputs of which node.

    changed: how many nodes were put or dropped so far. made: bytes of constants that were worked out. types: of
    codes, as far as they were asked for.
    """

    model: OnnxModel
    constants: dict[str, NDArray[Any]]
    outputs: frozenset[str]
    nodes: dict[str, OnnxNode] = field(default_factory=dict)
    writer: dict[str, str] = field(default_factory=dict)
    readers: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: int = 0
    made: int = 0
    types: dict[str, str] = field(default_factory=dict)


def working(model: OnnxModel) -> Working:
    """The nodes of a model, ready to be rewritten."""
    work = Working(model, dict(model.constants), frozenset(v.name for v in model.outputs))
    for node in model.nodes:
        put(work, node)
    work.changed = 0
    return work


def put(work: Working, node: OnnxNode) -> OnnxNode:
    """Add a node, or exchange the one of its name."""
    if node.name in work.nodes:
        drop(work, node.name)
    work.nodes[node.name] = node
    if len(work.nodes) > MOST_MADE:
        reject(work.model.file, node, f"rewriting makes over {MOST_MADE} nodes; pass fusion='none'")
    work.writer.update((name, node.name) for name in node.outputs if name)
    for name in filter(None, node.inputs):
        count = work.readers.setdefault(name, {})
        count[node.name] = count.get(node.name, 0) + 1
    work.changed += 1
    return node


def drop(work: Working, name: str) -> None:
    """Take a node out."""
    node = work.nodes.pop(name)
    for tensor in filter(None, node.outputs):
        work.writer.pop(tensor, None)
    for tensor in set(filter(None, node.inputs)):
        work.readers[tensor].pop(name, None)
    work.changed += 1


def keep(work: Working, node: OnnxNode, name: str, data: NDArray[Any]) -> None:
    """Store a constant that was worked out of others; all of them together stay below the cap."""
    work.made += data.nbytes
    if work.made > MOST_CONSTANT_BYTES:
        reject(work.model.file, node, f"constants that nodes make take over {MOST_CONSTANT_BYTES} bytes")
    work.constants[name] = data


def written_by(work: Working, tensor: str) -> OnnxNode | None:
    """The node that writes a tensor, None for inputs and constants."""
    name = work.writer.get(tensor)
    return None if name is None else work.nodes[name]


def edges(work: Working, tensor: str) -> int:
    """How many inputs of nodes a tensor feeds."""
    return sum(work.readers.get(tensor, {}).values())


def only_reader(work: Working, tensor: str) -> OnnxNode | None:
    """The node that alone reads a tensor, once, where the model does not show the tensor either."""
    if edges(work, tensor) != 1 or tensor in work.outputs:
        return None
    return work.nodes[next(iter(work.readers[tensor]))]


def redirect(work: Working, reader: OnnxNode, place: int, tensor: str) -> OnnxNode:
    """Make one input of a node read another tensor."""
    inputs = [*reader.inputs]
    inputs[place] = tensor
    return put(work, replace(reader, inputs=tuple(inputs)))


def fresh(work: Working, base: str) -> str:
    """A name that no node, tensor or constant has."""
    taken = (work.nodes, work.writer, work.readers, work.constants)
    name, count = base, 1
    while any(name in names for names in taken) or name in work.outputs:
        name, count = f"{base}_{count}", count + 1
    return name


def ordered(work: Working) -> list[OnnxNode]:
    """The nodes, each after those that it reads, else in their order."""
    waiting = {
        node.name: len({work.writer[t] for t in node.inputs if t in work.writer}) for node in work.nodes.values()
    }
    ready = [name for name, count in waiting.items() if not count]
    found: list[OnnxNode] = []
    for name in ready:
        node = work.nodes[name]
        found.append(node)
        for reader in dict.fromkeys(r for t in node.outputs for r in work.readers.get(t, {})):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return found


def each(work: Working) -> Iterator[OnnxNode]:
    """The nodes in order, each as it stands when its turn comes; those that were taken out before are left out."""
    for node in ordered(work):
        if node.name in work.nodes:
            yield work.nodes[node.name]


def finished(work: Working) -> OnnxModel:
    """The model that the nodes now are."""
    return replace(work.model, nodes=tuple(ordered(work)), constants=work.constants)


def is_scalar(work: Working, name: str) -> bool:
    """Whether a name is a constant of one value."""
    data = work.constants.get(name)
    return data is not None and data.ndim <= 1 and data.size == 1


def scalar_pair(work: Working, node: OnnxNode) -> bool:
    """Whether scale and zero point of a Q or DQ are constants of one value; the zero point may be absent."""
    return is_scalar(work, node.input(1)) and (not node.input(2) or is_scalar(work, node.input(2)))


def same_pair(work: Working, one: OnnxNode, other: OnnxNode) -> bool:
    """Whether two Q or DQ nodes have the same scale and zero point, each one value, none left out."""
    names = [node.input(place) for place in (1, 2) for node in (one, other)]
    if not all(is_scalar(work, name) for name in names):
        return False
    scales, zeros = ([work.constants[name] for name in pair] for pair in (names[:2], names[2:]))
    alike = zeros[0].dtype == zeros[1].dtype and np.array_equal(zeros[0].ravel(), zeros[1].ravel())
    return bool(alike and np.array_equal(scales[0].ravel(), scales[1].ravel()))


def code_dtype(work: Working, tensor: str) -> str:
    """The type of a tensor of codes, "" where it cannot be told; asked once pairs have their final types."""
    way, found, source = [], "", tensor
    while source and source not in work.types:
        way.append(source)
        found, source = _type_or_source(work, source)
    found = work.types.get(source, found)
    work.types.update(dict.fromkeys(way, found) if found else {})
    return found


def _type_or_source(work: Working, tensor: str) -> tuple[str, str]:
    """The type of a tensor of codes, or the tensor that has the same."""
    if tensor in work.constants:
        return ("" if tensor in work.model.packed else work.constants[tensor].dtype.name), ""
    node = written_by(work, tensor)
    if node is None:
        return next((v.dtype for v in work.model.inputs if v.name == tensor), ""), ""
    place = {Q: 2, "QLinearConcat": 1, "QGemm": 8, "QLinearConv": 7, "QLinearMatMul": 7, "QLinearAdd": 7,
             "QLinearMul": 7}.get(node.op, 4 if node.op.startswith("QLinear") else 0)  # fmt: skip
    if place:
        zero = work.constants.get(node.input(place))
        return ("uint8" if zero is None else zero.dtype.name), ""
    if node.op in (DQ, "ConvInteger", "MatMulInteger") or not node.inputs:
        return "", ""
    return "", node.inputs[0]
