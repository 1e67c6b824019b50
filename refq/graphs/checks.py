"""Whether a graph is one: names known, each tensor written once and before it is read, shapes as the ops compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from refq.graphs.records import Graph, Node, Tensor

if TYPE_CHECKING:
    from refq.graphs.ops.records import Op


class GraphError(ValueError):
    """A graph that cannot be run. place: the node or tensor; reason: what is wrong there."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


def check_graph(graph: Graph, ops: Mapping[str, Op] | None = None) -> None:
    """GraphError with node or tensor and reason if the graph cannot be run; nothing is computed or allocated.

    ops: `refq.graphs.OPS`, to hold the op of every node, its attributes and the shapes it computes against the
    declared ones too.
    """
    _check_tensors(graph)
    _check_ends(graph)
    _check_order(graph)
    if ops is not None:
        for node in graph.nodes:
            _check_node(graph, node, ops)


def _check_tensors(graph: Graph) -> None:
    """Constants have the declared shape."""
    for name, tensor in graph.tensors.items():
        if tensor.name != name:
            raise GraphError(name, f"is named {tensor.name}")
        if tensor.data is not None and tensor.data.shape != tensor.shape:
            raise GraphError(name, f"values of shape {tensor.data.shape}, declared {tensor.shape}")


def _check_ends(graph: Graph) -> None:
    """Inputs and outputs of the graph are known; inputs are neither constant nor given twice."""
    if not graph.outputs:
        raise GraphError("graph", "has no outputs")
    for what, names in (("input", graph.inputs), ("output", graph.outputs)):
        unknown = [name for name in names if name not in graph.tensors]
        if unknown:
            raise GraphError(unknown[0], f"is an {what} of the graph, but no tensor")
    for name in graph.inputs:
        if graph.tensors[name].data is not None:
            raise GraphError(name, "is an input of the graph, but a constant")
    if len(set(graph.inputs)) != len(graph.inputs):
        raise GraphError("graph", "has one tensor as an input twice")


def _check_order(graph: Graph) -> None:
    """Every tensor is written once, by a node before those that read it."""
    written: dict[str, str] = dict.fromkeys(graph.inputs, "the graph's caller")
    names: set[str] = set()
    for node in graph.nodes:
        if node.name in names:
            raise GraphError(node.name, "is the name of two nodes")
        names.add(node.name)
        for name in node.inputs:
            if name is not None:
                _check_read(graph, node, name, written)
        for name in node.outputs:
            _check_written(graph, node, name, written)
            written[name] = node.name
    for name in graph.outputs:
        if name not in written and graph.tensors[name].data is None:
            raise GraphError(name, "is an output of the graph, but nothing writes it")


def _check_read(graph: Graph, node: Node, name: str, written: Mapping[str, str]) -> None:
    if name not in graph.tensors:
        raise GraphError(node.name, f"reads {name}, which is no tensor")
    if name in written or graph.tensors[name].data is not None:
        return
    later = next((n.name for n in graph.nodes if name in n.outputs), None)
    if later is None:
        raise GraphError(node.name, f"reads {name}, which has no data and which nothing writes")
    raise GraphError(node.name, f"reads {name} before {later} writes it: cyclic or out of order")


def _check_written(graph: Graph, node: Node, name: str, written: Mapping[str, str]) -> None:
    if name not in graph.tensors:
        raise GraphError(node.name, f"writes {name}, which is no tensor")
    if name in written:
        raise GraphError(node.name, f"writes {name}, which {written[name]} wrote already")
    if graph.tensors[name].data is not None:
        raise GraphError(node.name, f"writes {name}, which is a constant")


def _check_node(graph: Graph, node: Node, ops: Mapping[str, Op]) -> None:
    """Known op and attributes, and the declared shapes."""
    if node.op not in ops:
        raise GraphError(node.name, f"op {node.op} is unknown; legal: {', '.join(ops)}")
    unknown = [name for name in node.attributes if name not in ops[node.op].attributes]
    if unknown:
        legal = ", ".join(ops[node.op].attributes) or "none"
        raise GraphError(node.name, f"{node.op} has no attribute {unknown[0]}; legal: {legal}")
    inputs: tuple[Tensor | None, ...] = tuple(None if n is None else graph.tensors[n] for n in node.inputs)
    try:
        shapes = ops[node.op].shapes(node.name, node.attributes, inputs)
    except (ValueError, TypeError) as error:
        raise GraphError(node.name, str(error).removeprefix(f"{node.op} {node.name}: ")) from None
    declared = tuple(graph.tensors[name].shape for name in node.outputs)
    if node.op == "reshape":
        _check_reshape(node, inputs, declared)
    elif tuple(tuple(map(int, shape)) for shape in shapes) != declared:
        raise GraphError(node.name, f"{node.op} computes {_words(shapes)}, the file declares {_words(declared)}")


def _check_reshape(node: Node, inputs: tuple[Tensor | None, ...], declared: tuple[tuple[int, ...], ...]) -> None:
    """The declared shape counts, of as many elements."""
    shape = inputs[0].shape if inputs and inputs[0] is not None else ()
    if len(declared) != 1 or _elements(shape) != _elements(declared[0]):
        raise GraphError(node.name, f"cannot reshape {shape} to {_words(declared)}")


def _elements(shape: tuple[int, ...]) -> int:
    return int(np.prod(np.array(shape, object), initial=1))


def _words(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join(map(str, shapes))
