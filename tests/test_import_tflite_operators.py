"""TFLite operators whose inputs, outputs and options do not fit, and graphs that do not hold together: refused."""

import numpy as np
import pytest
from tflite_models import O, T, model

from refq.graphs import OPS
from refq.graphs.checks import GraphError, check_graph
from refq.graphs.records import Graph, Node, Tensor
from refq.importers.limits import ModelRejectedError
from refq.importers.tflite import read_tflite

NAN, INF = float("nan"), float("inf")


def refusal(tensors, code, inputs, outputs, options="", **fields):
    constants = {t.name for t in tensors if t.data is not None}
    ends = [n for n in inputs if n not in constants]
    content = model(tensors, [O(code, inputs, outputs, options, fields)], ends, outputs)
    with pytest.raises(ModelRejectedError) as caught:
        read_tflite(content)
    assert caught.value.place == f"{code}:0"
    return caught.value.reason


def q(name, shape, **fields):
    return T(name, shape, **{"scale": 0.5, "zero_point": 3} | fields)


def k(name, *values):
    return T(name, data=np.array(values, np.int32))


x, x0, y = (q(name, (1, 4, 6)) for name in ("x", "x0", "y"))
OPERATORS = [
    ([q("f", (1, 4), dtype="float32"), y], "RELU", ["f"], "", {}, "float RELU; pass the int8 model"),
    ([x, T("y", (1, 4, 6), "int32", 0.5)], "RELU", ["x"], "", {}, "y is int32"),
    ([x, q("s", (3,), dtype="int32"), y], "RESHAPE", ["x", "s"], "", {}, "new shape (s) is computed"),
    ([x, k("s", 1, 5, 6), y], "RESHAPE", ["x", "s"], "", {}, "new shape (1, 5, 6), the file declares (1, 4, 6)"),
    ([x, T("s", data=np.float32([1, 4, 6])), y], "RESHAPE", ["x", "s"], "", {}, "is float32; pass int32 or int64"),
    ([x, q("y", (1, 5, 6))], "RESHAPE", ["x"], "", {}, "has other elements"),
    ([x, q("y", (2, 12))], "SQUEEZE", ["x"], "", {}, "squeezed is not"),
    ([x, k("a", 4), q("y", (1, 4, 6, 1))], "EXPAND_DIMS", ["x", "a"], "", {}, "axis 4 of rank 4"),
    ([x, k("a", 0), q("y", (1, 4, 6, 1))], "EXPAND_DIMS", ["x", "a"], "", {}, "is not (1, 4, 6, 1)"),
    ([x, k("p", 0, 1, 1), y], "TRANSPOSE", ["x", "p"], "", {}, "does not name each"),
    ([x, k("p", 0, 1), y], "TRANSPOSE", ["x", "p"], "", {}, "has shape (2,); pass (3,)"),
    ([x, k("p", [0, 0], [0, -1], [0, 0]), y], "PAD", ["x", "p"], "", {}, "each is 0 or more"),
    ([x, k("p", [0, 0], [0, 1], [0, 0]), y], "PAD", ["x", "p"], "", {}, "pad computes (1, 5, 6)"),
    ([x, k("p", [0, 0], [2**30, 0], [0, 0]), y], "PAD", ["x", "p"], "", {}, "pad computes"),
    ([x, k("p", [0, 0]), y], "PAD", ["x", "p"], "", {}, "pass (3, 2)"),
    ([x, k("p", [0, 0], [0, 0], [0, 0]), T("v", scale=0.25, data=np.int8([1])), y], "PADV2",
     ["x", "p", "v"], "", {}, "another"),
    ([x, k("b", 0, 1, 0), k("s", 1, 4, 6), y], "SLICE", ["x", "b", "s"], "", {}, "are not inside"),
    ([x, k("b", 0, 1, 0), k("s", 1, -2, 6), y], "SLICE", ["x", "b", "s"], "", {}, "are not inside"),
    ([x, k("a", 3), y], "SPLIT", ["a", "x"], "SplitOptions", {"numSplits": 1}, "axis 3 of rank 3"),
    ([x, k("a", 1), y], "SPLIT", ["a", "x"], "SplitOptions", {"numSplits": 3}, "4 places into 3 parts"),
    ([x, k("s", 3), k("a", 1), y], "SPLIT_V", ["x", "s", "a"], "SplitVOptions", {"numSplits": 1}, "do not make 4"),
    ([x, k("s", -1, -1), k("a", 1), y], "SPLIT_V", ["x", "s", "a"], "SplitVOptions", {}, "do not make 4"),
    ([x, k("b", 0, 2), k("p", [0, 0], [0, 0]), y], "SPACE_TO_BATCH_ND", ["x", "b", "p"], "", {}, "block (0, 2)"),
    ([x, k("b", 3), k("p", [0, 0]), y], "SPACE_TO_BATCH_ND", ["x", "b", "p"], "", {}, "does not fit"),
    ([x, k("b", 2), k("p", [0, 0]), y], "BATCH_TO_SPACE_ND", ["x", "b", "p"], "", {}, "does not fit"),
    ([x, y], "CONCATENATION", ["x"], "ConcatenationOptions", {"axis": 3}, "axis 3 of rank 3"),
    ([x, x0, y], "CONCATENATION", ["x", "x0"], "ConcatenationOptions", {"axis": 1}, "declares (1, 4, 6)"),
    ([x, y], "CONCATENATION", ["x"], "ConcatenationOptions", {"axis": 1, "fusedActivationFunction": 1}, "legal: none"),
    ([x, k("a", 3), y], "MEAN", ["x", "a"], "ReducerOptions", {}, "axis 3 of rank 3"),
    ([x, k("a", 2), T("y", (1, 4), "int16")], "ARG_MAX", ["x", "a"], "ArgMaxOptions", {}, "pass int32 or int64"),
    ([x, y], "SOFTMAX", ["x"], "SoftmaxOptions", {"beta": NAN}, "beta=nan"),
    ([x, y], "LEAKY_RELU", ["x"], "LeakyReluOptions", {"alpha": INF}, "alpha=inf"),
    ([x, q("z", (1, 5, 6)), y], "ADD", ["x", "z"], "AddOptions", {}, ""),
    ([x, q("z", (1, 5, 6)), y], "BATCH_MATMUL", ["x", "z"], "BatchMatMulOptions", {}, ""),
    ([q("y", (2, 1, 4, 6)), x], "PACK", ["x"], "PackOptions", {"axis": 0}, "do not make (2, 1, 4, 6)"),
    ([x, q("y", (4, 6))], "UNPACK", ["x"], "UnpackOptions", {"axis": 1, "num": 4}, "does not make 1"),
    ([x, k("b", 0), k("e", 1), k("s", 0), y], "STRIDED_SLICE", ["x", "b", "e", "s"], "StridedSliceOptions", {}, "is 0"),
    ([x, k("b", 9), k("e", 1), k("s", 1), y], "STRIDED_SLICE", ["x", "b", "e", "s"], "StridedSliceOptions",
     {"shrinkAxisMask": 1}, "place 9 with stride 1 of a dimension of size 1"),
    ([x, k("b", *[0] * 9), k("e", *[1] * 9), k("s", *[1] * 9), y], "STRIDED_SLICE", ["x", "b", "e", "s"],
     "StridedSliceOptions", {}, "9 ranges and 0 ellipses for rank 3"),
    ([x, T("w", scale=0.1, data=np.ones((5, 7), np.int8)), y], "FULLY_CONNECTED", ["x", "w"],
     "FullyConnectedOptions", {}, ""),
    ([q("x", (1, 3), dtype="float32"), T("w", data=np.ones((2, 3), np.float32)), T("y", (1, 2), "float32")],
     "FULLY_CONNECTED", ["x", "w"], "FullyConnectedOptions", {}, "float FULLY_CONNECTED; pass the int8 model"),
]  # fmt: skip


@pytest.mark.parametrize("case", OPERATORS, ids=lambda case: f"{case[1]}-{case[5][:20]}")
def test_operators_that_do_not_fit_are_refused(case):
    tensors, code, inputs, options, fields, words = case
    assert words in refusal(tensors, code, inputs, ["y"], options, **fields)


def graph_of(nodes, inputs=("a",), outputs=("b",), tensors=("a", "b", "c")):
    return Graph(tuple(nodes), {n: Tensor(n, (1,), "int8") for n in tensors}, inputs, outputs, "tflite")


def node(name, reads, writes):
    return Node(name, "relu", tuple(reads), tuple(writes))


GRAPHS = [
    (graph_of([node("n", "c", "b"), node("m", "b", "c")]), "n", "reads c before m writes it: cyclic or out of order"),
    (graph_of([node("n", "b", "b")]), "n", "reads b before n writes it"),
    (graph_of([node("n", "c", "b")]), "n", "reads c, which has no data and which nothing writes"),
    (graph_of([node("n", "z", "b")]), "n", "reads z, which is no tensor"),
    (graph_of([node("n", "a", "z")]), "n", "writes z, which is no tensor"),
    (graph_of([node("n", "a", "a")]), "n", "writes a, which the graph's caller wrote already"),
    (graph_of([node("n", "a", "b"), node("n", "a", "c")]), "n", "is the name of two nodes"),
    (graph_of([node("n", "a", "c")]), "b", "is an output of the graph, but nothing writes it"),
    (graph_of([], ("a", "a"), ("a",)), "graph", "one tensor as an input twice"),
    (graph_of([], ("z",)), "z", "is an input of the graph, but no tensor"),
    (graph_of([], outputs=()), "graph", "has no outputs"),
]


@pytest.mark.parametrize(("graph", "place", "words"), GRAPHS)
def test_graphs_that_do_not_hold_together(graph, place, words):
    with pytest.raises(GraphError) as caught:
        check_graph(graph)
    assert caught.value.place == place
    assert words in caught.value.reason


def test_ops_and_attributes_are_known():
    for op, attributes, words in (
        ("relu9", {}, "op relu9 is unknown"),
        ("relu", {"alpha": 1}, "relu has no attribute"),
    ):
        graph = graph_of([Node("n", op, ("a",), ("b",), attributes)])
        with pytest.raises(GraphError, match=words):
            check_graph(graph, OPS)
