"""add, sub, mul, pools and means under the ONNX profiles equal ONNX Runtime and the reference evaluator."""

import numpy as np
import onnx
import pytest
from elementwise_cases import binary_graph, codes, every_pair, node_graph, rule, shifted
from onnx.reference import ReferenceEvaluator
from onnx_models import N, Q, model, qdq, qoperator, run_onnx
from refq_cases import assert_same

from refq.graphs import run
from refq.graphs.profiles import PROFILES
from refq.graphs.profiles.records import Profile

PAIRS = [
    [(0.5, 0), (0.5, 0), (1.0, 0)],
    [(0.25, 1), (1.0, -7), (0.5, 9)],
    [(0.1, 3), (0.037, -5), (0.093, 7)],
    [(0.0123, -128), (0.5, 5), (0.51, -3)],
    [(0.07, 101), (0.003, -90), (0.0021, 127)],
    [(2.0**20, 3), (2.0**3, 9), (2.0**-12, 1)],
]
OPS = {"add": "Add", "sub": "Sub", "mul": "Mul"}


def operand(name, part, array, **more):
    return Q(name, *part, dtype=array.dtype.name, shape=array.shape, **more)


def result(parts, dtype, shape):
    return Q("y", *parts[-1], dtype=dtype, shape=shape)


def unfused():
    """ONNX Runtime below level "extended": the three float operators of a QDQ group."""
    entries = tuple(e for e in PROFILES["onnx-reference"].entries if e.op in (*OPS, "average_pool"))
    return Profile("unfused", "", entries)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("parts", PAIRS, ids=str)
def test_every_pair_of_codes(parts, dtype):
    parts = shifted(parts, dtype)
    a, b = every_pair(dtype)
    feeds = {"a": a, "b": b}
    for op in ("add", "mul"):
        graph = binary_graph(op, dtype, (a.shape, b.shape), parts)
        content = qoperator(
            OPS[op], [operand("a", parts[0], a), operand("b", parts[1], b)], result(parts, dtype, a.shape)
        )
        got = run(graph, feeds, "onnxruntime")["y"]
        assert_same(got=got, expected=run_onnx(content, "all", feeds)[0])


@pytest.mark.parametrize("parts", PAIRS[:5], ids=str)
def test_quantize_dequantize_groups(parts):
    """Fused from level "extended" on; sub never is. The reference evaluator runs the operators one by one."""
    a, b = every_pair("int8")
    feeds = {"a": a, "b": b}
    for op, name in OPS.items():
        graph = binary_graph(op, "int8", (a.shape, b.shape), parts)
        content = qdq(name, [operand("a", parts[0], a), operand("b", parts[1], b)], result(parts, "int8", a.shape))
        apart, fused = run(graph, feeds, unfused())["y"], run(graph, feeds, "onnxruntime")["y"]
        for level, expected in (("off", apart), ("basic", apart), ("extended", fused), ("all", fused)):
            assert_same(got=run_onnx(content, level, feeds)[0], expected=expected)
        evaluator = ReferenceEvaluator(onnx.load_from_string(content))
        assert_same(got=run(graph, feeds, "onnx-reference")["y"], expected=evaluator.run(None, feeds)[0])


SHAPES = [((n,), (n,)) for n in (1, 31, 32, 33, 67)] + [
    ((300,), (1,)),
    ((1,), (300,)),
    ((4, 7, 13), (7, 1)),
    ((7, 1), (4, 7, 13)),
    ((4, 7, 13), (1, 13)),
    ((4, 7, 1), (4, 1, 13)),
    ((64, 1), (1, 1)),
    ((1, 1), (64, 1)),
    ((3, 1, 1), (50, 3, 1, 1)),
]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_sizes_and_broadcasts(shapes, constant):
    """Where the first input is one number a run, ONNX Runtime's kernel takes the two in the other order."""
    rng = np.random.default_rng(len(str(shapes)))
    for parts in ([(0.0371, 57), (0.0913, -33), (0.0517, 8)], [(0.061, -128), (0.0077, 120), (0.0291, -77)]):
        a, b = (codes(rng, "int8", shape) for shape in shapes)
        second = operand("b", parts[1], b, codes=b if constant else None)
        feeds = {"a": a} if constant else {"a": a, "b": b}
        y = result(parts, "int8", np.broadcast_shapes(*shapes))
        for op in ("add", "mul"):
            graph = binary_graph(op, "int8", shapes, parts, constant=b if constant else None)
            expected = run_onnx(qoperator(OPS[op], [operand("a", parts[0], a), second], y), "all", feeds)[0]
            assert_same(got=run(graph, feeds, "onnxruntime")["y"], expected=expected)


def test_the_order_of_operands_shows():
    """The cases above are not blind: exchanging the operands changes codes on some pair."""
    a, b = every_pair("int8")
    differ = 0
    for parts in PAIRS[2:5]:
        straight = binary_graph("add", "int8", (a.shape, b.shape), parts)
        turned = binary_graph("add", "int8", (b.shape, a.shape), [parts[1], parts[0], parts[2]])
        first = run(straight, {"a": a, "b": b}, "onnxruntime")["y"]
        differ += int((first != run(turned, {"a": b, "b": a}, "onnxruntime")["y"]).sum())
    assert differ > 0


POOLS = [
    ("NCHW", (2, 3, 7, 9), (3, 2), (2, 1), ((1, 0), (0, 1)), False),
    ("NCHW", (1, 9, 7, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), True),
    ("NHWC", (2, 5, 8, 17), (2, 3), (2, 2), ((0, 1), (1, 1)), True),
    ("NHWC", (1, 5, 8, 1), (5, 8), (1, 1), ((0, 0), (0, 0)), False),
    ("NCHW", (1, 33, 5, 8), (5, 8), (1, 1), ((0, 0), (0, 0)), False),
    ("NCW", (2, 3, 19), (4,), (3,), ((2, 1),), True),
    ("NCDHW", (1, 3, 4, 5, 6), (2, 2, 3), (1, 2, 2), ((0, 1), (0, 0), (1, 1)), False),
]
SCALES = [((0.5, 7), (0.25, -3)), ((0.071, -20), (0.0263, 31)), ((0.5, 7), (0.5, 7))]


def pool_attributes(kernel, stride, padding):
    return {"kernel_shape": kernel, "strides": stride, "pads": [p[0] for p in padding] + [p[1] for p in padding]}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("case", POOLS, ids=str)
def test_average_pools(case, dtype):
    layout, shape, kernel, stride, padding, padded = case
    x = codes(np.random.default_rng(len(shape)), dtype, shape)
    last = {"channels_last": int(layout.endswith("C"))}
    for parts in SCALES:
        parts = shifted(parts, dtype)
        inputs = {"x": (shape, dtype, *parts[0])}
        graph = node_graph("average_pool", inputs, parts[1], "onnx", layout=layout, kernel=kernel, stride=stride,
                           padding=padding, dilation=(1,) * len(kernel), count_include_pad=padded)  # fmt: skip
        attributes = {**pool_attributes(kernel, stride, padding), "count_include_pad": int(padded)}
        q, y = operand("x", parts[0], x), result(parts, dtype, graph.tensors["y"].shape)
        content = qoperator("AveragePool", [q], y, **attributes, **last)
        got = run(graph, {"x": x}, "onnxruntime")["y"]
        assert_same(got=got, expected=run_onnx(content, "all", {"x": x})[0])
        whole = node_graph("global_average_pool", inputs, parts[1], "onnx", layout=layout)
        y = result(parts, dtype, whole.tensors["y"].shape)
        content = qoperator("GlobalAveragePool", [q], y, **last)
        assert_same(got=run(whole, {"x": x}, "onnxruntime")["y"], expected=run_onnx(content, "all", {"x": x})[0])


@pytest.mark.parametrize("case", [POOLS[0], POOLS[1]], ids=str)
def test_average_pools_that_are_not_fused(case):
    layout, shape, kernel, stride, padding, padded = case
    x = codes(np.random.default_rng(8), "int8", shape)
    for parts in SCALES:
        graph = node_graph("average_pool", {"x": (shape, "int8", *parts[0])}, parts[1], "onnx", layout=layout,
                           kernel=kernel, stride=stride, padding=padding, count_include_pad=padded)  # fmt: skip
        attributes = {**pool_attributes(kernel, stride, padding), "count_include_pad": int(padded)}
        y = result(parts, "int8", graph.tensors["y"].shape)
        content = qdq("AveragePool", [operand("x", parts[0], x)], y, **attributes)
        got = run(graph, {"x": x}, "onnx-reference")["y"]
        assert_same(got=got, expected=run_onnx(content, "basic", {"x": x})[0])
        assert_same(got=got, expected=ReferenceEvaluator(onnx.load_from_string(content)).run(None, {"x": x})[0])
        assert_same(got=run(graph, {"x": x}, "onnxruntime")["y"], expected=run_onnx(content, "all", {"x": x})[0])


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_max_pools(dtype, dilation):
    x = codes(np.random.default_rng(8), dtype, (2, 3, 9, 11))
    padding = ((1, 0), (1, 2))
    graph = node_graph("max_pool", {"x": (x.shape, dtype, None, 0)}, (None, 0), "onnx", layout="NCHW", kernel=(2, 3),
                       stride=(2, 1), padding=padding, dilation=dilation)  # fmt: skip
    attributes = {**pool_attributes((2, 3), (2, 1), padding), "dilations": dilation}
    node = N("MaxPool", ["x"], ["y"], attributes)
    content = model([node], [("x", dtype, x.shape)], [("y", dtype, graph.tensors["y"].shape)], {})
    assert_same(got=run(graph, {"x": x}, "onnxruntime")["y"], expected=run_onnx(content, "all", {"x": x})[0])
    assert rule(graph, "onnxruntime") == "exact"
