"""ConvInteger and MatMulInteger of ONNX Runtime at every level and of the reference evaluator: every sum."""

import numpy as np
import pytest
from matmul_models import LEVELS, meaning, one_node, onnx_model, run_onnx
from refq_cases import assert_same

from refq.graphs import OPS, prepare, run
from refq.graphs.records import Tensor

PROFILES = {**dict.fromkeys(LEVELS, "onnxruntime"), "evaluator": "onnx-reference"}
MIXES = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "uint8"), ("int8", "int8")]
# shapes, zero points: one each ("11"), one a column ("1c"), none ("--"), the largest sums ("ends"); constant right side
PRODUCTS = [
    ((5, 33), (33, 7), "11", True),
    ((5, 33), (33, 7), "1c", False),
    ((5, 33), (33, 7), "--", True),
    ((2, 3, 4, 16), (3, 16, 9), "11", False),
    ((3, 4, 16), (16, 9), "1c", True),
    ((1, 1), (1, 1), "11", True),
    ((16,), (16, 9), "11", True),
    ((2, 40000), (40000, 3), "ends", True),
]
# kernel, stride, dilation, pads, groups, zero points
CONVOLUTIONS = [
    ((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 1, True),
    ((3, 2), (2, 1), (1, 2), ((0, 2), (1, 1)), 1, True),
    ((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 2, True),
    ((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 4, False),
    ((3,), (2,), (1,), ((1, 1),), 1, True),
]


def _codes(rng, kind, shape):
    return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, shape).astype(kind)


def _tensor(name, array, zeros, axis=None, constant=False):
    found = None if zeros is None else meaning(np.ones(np.size(zeros)), zeros, axis)
    return Tensor(name, array.shape, array.dtype.name, found, array if constant else None)


def _graph(op, tensors, **attributes):
    shape = OPS[op].shapes("n", attributes, tensors)[0]
    return one_node(op, tensors, Tensor("y", shape, "int32"), **attributes)


@pytest.mark.parametrize("level", list(PROFILES))
def test_every_sum_of_matrix_products(level):
    compared = 0
    for left, right in MIXES:
        for seed, (shape_a, shape_b, zeros, constant) in enumerate(PRODUCTS):
            rng = np.random.default_rng(seed)
            a, b, za, zb = (
                _codes(rng, k, s) for k, s in zip((left, right) * 2, (shape_a, shape_b, (), ()), strict=True)
            )
            if zeros == "1c":
                zb = _codes(rng, right, shape_b[-1])
            if zeros == "ends":
                a[:], b[:], za, zb = np.iinfo(left).max, np.iinfo(right).max, np.iinfo(left).min, np.iinfo(right).min
            given = {} if zeros == "--" else {"za": np.asarray(za, left), "zb": np.asarray(zb, right)}
            feeds = {"a": a} if constant else {"a": a, "b": b}
            file = onnx_model(
                "MatMulInteger", ["a", "b", *given], feeds, given | ({"b": b} if constant else {}), "int32"
            )
            sides = _tensor("a", a, za if given else None), _tensor("b", b, zb if given else None, b.ndim - 1, constant)
            got = run(_graph("matmul_integer", sides), feeds, PROFILES[level])["y"]
            compared += assert_same(got, run_onnx(file, feeds, level))
    assert compared > 1700


@pytest.mark.parametrize("level", list(PROFILES))
def test_every_sum_of_convolutions(level):
    compared = 0
    for left, right in MIXES:
        for seed, (kernel, stride, dilation, pads, groups, zeros) in enumerate(CONVOLUTIONS):
            rng = np.random.default_rng(seed)
            x, w = _codes(rng, left, (2, 4, *(7, 6)[: len(kernel)])), _codes(rng, right, (8, 4 // groups, *kernel))
            zx, zw = (_codes(rng, left, ()), _codes(rng, right, ())) if zeros else (None, None)
            given = {"zx": np.asarray(zx), "zw": np.asarray(zw)} if zeros else {}
            file = onnx_model(
                "ConvInteger", ["x", "w", *given], {"x": x}, given | {"w": w}, "int32", strides=stride,
                dilations=dilation, pads=[*(p[0] for p in pads), *(p[1] for p in pads)], group=groups,
            )  # fmt: skip
            graph = _graph(
                "conv_integer", (_tensor("x", x, zx), _tensor("w", w, zw, 0, True)), groups=groups, padding=pads,
                layout="NCHW" if len(kernel) == 2 else "NCW", stride=stride, dilation=dilation,
            )  # fmt: skip
            compared += assert_same(run(graph, x, PROFILES[level])["y"], run_onnx(file, {"x": x}, level))
    assert compared > 8000


def test_zero_points_a_filter_and_the_elements_of_a_convolution():
    """The evaluator has them, ONNX Runtime refuses them."""
    rng = np.random.default_rng(7)
    x, w, zw = _codes(rng, "uint8", (2, 4, 5, 6)), _codes(rng, "uint8", (6, 2, 3, 2)), _codes(rng, "uint8", 6)
    pads = ((1, 0), (0, 2))
    attributes = {"groups": 2, "padding": pads, "stride": (2, 1), "dilation": (1, 2), "layout": "NCHW"}
    graph = _graph("conv_integer", (_tensor("x", x, 131), _tensor("w", w, zw, 0, True)), **attributes)
    step = prepare(graph, "onnx-text").steps[0]
    sums = step.bound.gather((x, w))
    assert_same(step.bound.finish(sums, "exact")[0], sums.astype(np.int32))
    ranges = step.bound.accumulators()
    for at in np.ndindex(sums.shape):
        element = step.bound.element((x, w), 0, at)
        assert element.accumulator == sums[at]
        assert ranges.low[at[1]] <= sums[at] <= ranges.high[at[1]]
