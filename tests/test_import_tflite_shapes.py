"""Shapes that a file computes from an open first dimension: constants of the graph, the same results as LiteRT's."""

import numpy as np
import pytest
from refq_cases import assert_same
from tflite_models import MODES, O, T, model, run_litert

from refq.graphs import run
from refq.importers import ModelRejectedError, read_tflite

PROFILES = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
X = np.arange(-12, 12, dtype=np.int8).reshape(1, 2, 3, 4)


def ints(name, *values):
    return T(name, data=np.array(values, np.int32))


def flattened(shrink=1, begin=(0,), end=(1,), packed=(1, 24)[:2], last=24):
    """x -> RESHAPE to (its own first dimension, last), as converters write it."""
    tensors = [
        T("x", X.shape, scale=0.5), T("shape", (4,), "int32"), ints("begin", *begin), ints("end", *end), ints("one", 1),
        T("first", () if shrink else (end[0] - begin[0],), "int32"), T("last", data=np.array(last, np.int32)),
        T("to", (len(packed),), "int32"), T("y", packed, scale=0.5),
    ]  # fmt: skip
    operators = [
        O("SHAPE", ["x"], ["shape"], "ShapeOptions", {"outType": 2}),
        O(
            "STRIDED_SLICE",
            ["shape", "begin", "end", "one"],
            ["first"],
            "StridedSliceOptions",
            {"shrinkAxisMask": shrink},
        ),
        O("PACK", ["first", "last"], ["to"], "PackOptions", {"valuesCount": 2, "axis": 0}),
        O("RESHAPE", ["x", "to"], ["y"]),
    ]
    return model(tensors, operators, ["x"], ["y"])


def joined():
    """x -> RESHAPE to (the first two dimensions, 12), by CONCATENATION."""
    tensors = [
        T("x", X.shape, scale=0.5), T("shape", (4,), "int32"), ints("begin", 0), ints("end", 2), ints("one", 1),
        T("two", (2,), "int32"), ints("last", 12), T("to", (3,), "int32"), T("y", (1, 2, 12), scale=0.5),
    ]  # fmt: skip
    operators = [
        O("SHAPE", ["x"], ["shape"], "ShapeOptions", {"outType": 2}),
        O("STRIDED_SLICE", ["shape", "begin", "end", "one"], ["two"], "StridedSliceOptions", {}),
        O("CONCATENATION", ["two", "last"], ["to"], "ConcatenationOptions", {"axis": 0}),
        O("RESHAPE", ["x", "to"], ["y"]),
    ]
    return model(tensors, operators, ["x"], ["y"])


@pytest.mark.parametrize("content", [flattened(), joined()], ids=["pack", "concatenation"])
@pytest.mark.parametrize("mode", MODES)
def test_computed_shapes_are_litert_s(content, mode):
    graph = read_tflite(content)
    assert [n.name for n in graph.nodes] == ["RESHAPE:3"]
    [expected] = run_litert(content, mode, {"x": X})
    assert_same(run(graph, X, PROFILES[mode])["y"], expected)


def test_they_are_constants_and_samples_stack():
    graph = read_tflite(flattened())
    assert_same(graph.tensors["shape"].data, np.array(X.shape, np.int32))
    assert_same(graph.tensors["first"].data.reshape(1), np.array([1], np.int32))
    assert_same(graph.tensors["to"].data, np.array([1, 24], np.int32))
    two = np.concatenate([X, X + 1])
    assert_same(run(graph, two, "tflm")["y"], two.reshape(2, 24))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (flattened(last=23), r"new shape \(1, 23\), the file declares \(1, 24\)"),
        (flattened(shrink=0, begin=(0,), end=(2,)), "PACK:2: computes a shape that is none"),
        (flattened(shrink=0, begin=(3,), end=(9,)), "STRIDED_SLICE:1: computes a shape that is none"),
    ],
)
def test_shapes_that_are_refused(content, words):
    with pytest.raises(ModelRejectedError, match=words):
        read_tflite(content)


def test_a_declared_shape_of_another_size_is_refused():
    tensors = [T("x", X.shape, scale=0.5), T("shape", (3,), "int32")]
    content = model(tensors, [O("SHAPE", ["x"], ["shape"], "ShapeOptions", {"outType": 2})], ["x"], ["shape"])
    with pytest.raises(ModelRejectedError, match=r"computes a shape of \(4,\) numbers, the file declares \(3,\)"):
        read_tflite(content)


def test_a_constant_is_not_written():
    tensors = [T("x", X.shape, scale=0.5), ints("shape", 1, 2, 3, 4)]
    content = model(tensors, [O("SHAPE", ["x"], ["shape"], "ShapeOptions", {"outType": 2})], ["x"], ["shape"])
    with pytest.raises(ModelRejectedError, match="writes shape, which is a constant"):
        read_tflite(content)
