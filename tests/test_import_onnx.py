"""Single ops, as QOperator and as QDQ groups: golden equals ONNX Runtime at every optimisation level."""

from typing import Any

import numpy as np
import pytest
from graph_floats_cases import MEASURED
from onnx_models import LEVELS, N, Q, bias_of, model, qdq, qlinear, qoperator, quantize, run_onnx
from refq_cases import assert_same

from refq.graphs.running import run
from refq.importers import read_onnx

FUSION_OF = {"off": "none", "basic": "onnxruntime-basic", "extended": "onnxruntime", "all": "onnxruntime"}
"""The fusion that computes what ONNX Runtime computes at a level."""
BYTES = ("uint8", "int8")


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """All codes of a type, the ends among them; float32 over a few times the range of our scales."""
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return (rng.normal(size=shape) * 8).astype(np.float32)
    ends = np.iinfo(dtype)
    codes = rng.integers(ends.min, ends.max + 1, shape).astype(dtype)
    codes.flat[:2] = (ends.min, ends.max)
    return codes


def at_every_level(content: bytes, inputs: dict[str, Any]) -> dict[str, int]:
    """Golden against ONNX Runtime at each level; returns for each fusion how many values differ from fusion none."""
    if MEASURED.args[0]:
        pytest.skip(MEASURED.kwargs["reason"])
    golden = {f: run(read_onnx(content, fusion=f), inputs, "onnxruntime") for f in dict.fromkeys(FUSION_OF.values())}
    for level in LEVELS:
        for got, expected in zip(golden[FUSION_OF[level]].values(), run_onnx(content, level, inputs), strict=True):
            assert_same(got=got, expected=expected)
    plain = golden["none"]
    return {f: sum(int((found[n] != plain[n]).sum()) for n in found) for f, found in golden.items()}


def weights(shape: tuple[int, ...], scale: Any, axis: int | None = None, zero_point: Any = 0, dtype: str = "int8") -> Q:
    return Q("w", scale, zero_point, dtype, codes=numbers(shape, dtype, 7), axis=axis)


CONVOLUTIONS: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 3, 6, 6), (4, 3, 3, 3), 0.05, 0.31, {}),
    "per channel, odd zero point": ((2, 5, 6, 6), (3, 5, 3, 3), [0.05, 0.031, 0.007], 0.3, {}),
    "dyadic scales: ties": ((2, 3, 6, 6), (4, 3, 1, 1), 0.125, 2.0, {}),
    "asymmetric padding, strides": ((2, 3, 9, 7), (4, 3, 3, 2), 0.02, 0.3, {"pads": [0, 1, 2, 3], "strides": [2, 3]}),
    "groups, dilations": (
        (1, 4, 9, 9),
        (6, 2, 3, 3),
        0.02,
        0.3,
        {"group": 2, "dilations": [2, 3], "pads": [2, 3, 2, 3]},
    ),
    "depthwise": ((1, 6, 8, 8), (6, 1, 3, 3), 0.02, 0.1, {"group": 6, "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "one dimension": ((2, 4, 11), (3, 4, 4), 0.03, 0.2, {"pads": [2, 1], "strides": [2]}),
}


@pytest.mark.parametrize("form", ["QOperator", "QDQ"])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str, dtype: str, form: str) -> None:
    shape, kernel, scale, out, attributes = CONVOLUTIONS[case]
    x, w = Q("x", 0.25, 3, dtype, shape), weights(kernel, scale, None if np.ndim(scale) == 0 else 0)
    y = Q("y", out, 7, dtype, [None] * len(shape))
    bias = np.arange(-kernel[0], kernel[0], 2) * 211
    content = (
        qoperator("Conv", [x, w], y, bias, **attributes) if form == "QOperator"
        else qdq("Conv", [x, w], y, bias_of("b", bias, x, w), **attributes)
    )  # fmt: skip
    at_every_level(content, {"x": numbers(shape, dtype)})


PRODUCTS: dict[str, tuple[Any, ...]] = {
    "MatMul": ("MatMul", (5, 33), (33, 3), None, {}, False),
    "MatMul per column": ("MatMul", (5, 33), (33, 3), 1, {}, False),
    "MatMul of stacks": ("MatMul", (2, 4, 17), (17, 3), None, {}, False),
    "Gemm": ("Gemm", (5, 33), (33, 3), 1, {}, True),
    "Gemm turned": ("Gemm", (5, 33), (3, 33), 0, {"transB": 1}, True),
    "Gemm without bias": ("Gemm", (5, 33), (33, 3), None, {}, False),
}


@pytest.mark.parametrize("form", ["QOperator", "QDQ"])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("case", PRODUCTS)
def test_matrix_products(case: str, dtype: str, form: str) -> None:
    op, left, right, axis, attributes, biased = PRODUCTS[case]
    x, y = Q("x", 0.25, 3, dtype, left), Q("y", 0.75, 7, dtype, [None] * len(left))
    w = weights(right, 0.0625 if axis is None else [0.0625, 0.031, 0.005], axis)
    bias = bias_of("b", [211, -300, 77], x, w) if biased else None
    content = (
        qoperator(op, [x, w], y, None if bias is None else bias.codes, **attributes) if form == "QOperator"
        else qdq(op, [x, w], y, bias, **attributes)
    )  # fmt: skip
    at_every_level(content, {"x": numbers(left, dtype)})


@pytest.mark.parametrize("form", [qoperator, qdq])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("op", ["Add", "Mul", "Concat"])
def test_pairs(op: str, dtype: str, form: Any) -> None:
    a, b, y = Q("a", 0.1, 3, dtype, (2, 3, 35)), Q("b", 0.23, 5, dtype, (2, 3, 35)), Q("y", 0.31, 7, dtype, [None] * 3)
    attributes = {"axis": 1} if op == "Concat" else {}
    at_every_level(form(op, [a, b], y, **attributes), {"a": numbers(a.shape, dtype), "b": numbers(b.shape, dtype, 1)})


WINDOW = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
SINGLE: dict[str, tuple[Any, ...]] = {
    "AveragePool": ((2, 3, 7, 7), 0.07, WINDOW),
    "AveragePool padded": ((2, 3, 7, 7), 0.07, {**WINDOW, "count_include_pad": 1}),
    "AveragePool up": ((2, 3, 8, 8), 0.07, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "GlobalAveragePool": ((2, 3, 7, 5), 0.07, {}),
    "LeakyRelu": ((6, 41), 0.09, {"alpha": 0.2}),
    "Sigmoid": ((6, 41), 1 / 256, {}),
    "Softmax": ((6, 41), 1 / 256, {"axis": -1}),
}


@pytest.mark.parametrize("form", [qoperator, qdq])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("case", SINGLE)
def test_single_inputs(case: str, dtype: str, form: Any) -> None:
    shape, scale, attributes = SINGLE[case]
    op = case.split()[0]
    x, y = Q("x", 0.06, 3, dtype, shape), Q("y", scale, 7, dtype, [None] * len(shape))
    at_every_level(form(op, [x], y, **attributes), {"x": numbers(shape, dtype)})


FLOATS: dict[str, tuple[Any, ...]] = {
    "Sub": (2, {}),
    "Relu": (1, {}),
    "Tanh": (1, {}),
    "MaxPool": (1, WINDOW),
    "MaxPool up": (1, {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "Transpose": (1, {"perm": [0, 2, 3, 1]}),
    "Flatten": (1, {}),
}


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("case", FLOATS)
def test_ops_without_a_form_on_codes(case: str, dtype: str, alike: bool) -> None:
    count, attributes = FLOATS[case]
    operands = [Q("a", 0.06, 3, dtype, (2, 3, 7, 7)), Q("b", 0.05, 5, dtype, (2, 3, 7, 7))][:count]
    y = Q("y", *((0.06, 3) if alike else (0.08, 9)), dtype, [None] * (2 if case == "Flatten" else 4))
    inputs = {q.name: numbers(q.shape, dtype, i) for i, q in enumerate(operands)}
    at_every_level(qdq(case.split()[0], operands, y, **attributes), inputs)


def test_exact_integer_ops() -> None:
    x, w = Q("x", 1.0, 3, "uint8", (2, 4, 5, 5)), weights((3, 4, 3, 3), 1.0, zero_point=-5)
    columns = Q("m", [1.0] * 3, [1, -2, 3], "int8", codes=numbers((5, 3), "int8", 2))
    nodes = [
        N("ConvInteger", ["x", "w", "x_zero", "w_zero"], ["sums"], {"pads": [1, 0, 1, 2]}),
        N("MatMulInteger", ["x", "m", "x_zero", "m_zero"], ["rows"]),
        N("ArgMax", ["x"], ["best"], {"axis": 1, "keepdims": 0}),
    ]
    outputs = [("sums", "int32", None), ("rows", "int32", None), ("best", "int64", None)]
    content = model(nodes, [x.value()], outputs, x.constants() | w.constants() | columns.constants())
    at_every_level(content, {"x": numbers((2, 4, 5, 5), "uint8")})


def test_ops_that_move() -> None:
    """Squeeze, Unsqueeze, Reshape, Split, Slice (backward too), Pad, Concat on codes; each an output."""
    x, y = Q("x", 0.1, 3, "uint8", (2, 4, 1, 6)), Q("y", 0.1, 3, "uint8", (2, 4, 1, 6))
    constants = {
        "one": [2], "shape": [0, -1], "starts": [-1, 1], "ends": [-99, 3], "axes": [3, 1], "steps": [-2, 1],
        "pads": [0, 1, 0, 2, 0, 0, 1, 3], "sizes": [1, 3],
    }  # fmt: skip
    nodes = [
        quantize(y, "float"),
        N("Squeeze", ["x", "one"], ["a"]),
        N("Unsqueeze", ["a", "one"], ["b"]),
        N("Reshape", ["b", "shape"], ["c"]),
        N("Split", ["x", "sizes"], ["d", "e"], {"axis": 1}),
        N("Slice", ["x", "starts", "ends", "axes", "steps"], ["f"]),
        N("Pad", ["x", "pads"], ["g"]),
        N("Concat", ["x", "y"], ["h"], {"axis": 3}),
    ]
    stored = {k: np.array(v, np.int64) for k, v in constants.items()}
    content = model(
        nodes, [x.value(), ("float", "float32", (2, 4, 1, 6))], [(n, "uint8", None) for n in "abcdefgh"],
        stored | x.constants() | y.constants(),
    )  # fmt: skip
    at_every_level(content, {"x": numbers((2, 4, 1, 6), "uint8"), "float": numbers((2, 4, 1, 6), "float32")})


def test_one_tensor_under_two_scales() -> None:
    """A reader with a scale of its own reads the codes, not the values."""
    x, w, y = Q("x", 0.1, 3, "uint8", (1, 4, 6, 6)), weights((3, 4, 3, 3), 0.05), Q("y", 0.5, 7, "uint8")
    seen, last = Q("y", 0.125, 9, "uint8"), Q("z", 0.25, 1, "uint8")
    again = Q("v", 0.02, 0, "int8", codes=numbers((3, 3, 1, 1), "int8"))
    (first, stored), (second, more) = qlinear("Conv", [x, w], y), qlinear("Conv", [seen, again], last)
    second.inputs[1:3] = ["seen_scale", "seen_zero"]
    stored |= {k: v for k, v in more.items() if k not in stored}
    stored |= {"seen_scale": np.float32(0.125), "seen_zero": np.uint8(9)}
    content = model([first, second], [x.value()], [("y", "uint8", None), ("z", "uint8", None)], stored)
    graph = read_onnx(content)
    copies = [n for n in graph.nodes if n.op == "reshape"]
    assert len(copies) == 1
    assert copies[0].inputs == ("y",)
    at_every_level(content, {"x": numbers((1, 4, 6, 6), "uint8")})


def test_ties_after_the_zero_point_differ_between_levels() -> None:
    """QLinearAdd rounds after its zero point, QuantizeLinear before: odd zero points and ties tell fused from not."""
    a, b = Q("a", 0.5, 3, "uint8", (1, 256)), Q("b", 0.5, 4, "uint8", (1, 256))
    content = qdq("Add", [a, b], Q("y", 1.0, 7, "uint8", (1, 256)))
    inputs = {"a": np.arange(256, dtype=np.uint8)[None], "b": numbers((1, 256), "uint8")}
    assert at_every_level(content, inputs)["onnxruntime"] > 40
    even = qdq("Add", [a, b], Q("y", 1.0, 8, "uint8", (1, 256)))
    assert at_every_level(even, inputs)["onnxruntime"] == 0
