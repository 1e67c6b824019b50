"""Graphs written by hand, for tests of what runs and shows them."""

import numpy as np

from refq.graphs import Graph, Node, Quantization, Tensor

WEIGHTS = np.array([[3, -1], [5, 2], [-7, 4]], np.int8)


def tensor(name, shape, dtype="int8", scale=None, zero=0, data=None):
    """A tensor with one scale, or none."""
    found = None if scale is None else Quantization(np.array([scale], np.float32), np.array([zero], np.int64))
    return Tensor(name, shape, dtype, found, data)


def graph(tensors, nodes, inputs, outputs, kind="tflite"):
    """A graph of tensors and nodes."""
    return Graph(tuple(nodes), {t.name: t for t in tensors}, tuple(inputs), tuple(outputs), kind)


def dense(rows=1):
    """One fully connected layer, scale 1/4, zero points -1 and 7: sums -2, 2, 6, ... lie on ties."""
    tensors = [tensor("x", (rows, 2), scale=0.5, zero=-1), tensor("w", (3, 2), scale=0.5, data=WEIGHTS.copy()),
               tensor("y", (rows, 3), scale=1.0, zero=7)]  # fmt: skip
    node = Node("dense", "fully_connected", ("x", "w", None), ("y",), {"activation": "none", "keep_dims": False})
    return graph(tensors, [node], ["x"], ["y"])


def turned(rows=2):
    """A transpose that moves dimension 0, after a layer: samples may not be stacked."""
    made = dense(rows)
    tensors = [*made.tensors.values(), tensor("z", (3, rows), scale=1.0, zero=7)]
    return graph(tensors, [*made.nodes, Node("turn", "transpose", ("y",), ("z",), {"perm": (1, 0)})], ["x"], ["z"])
