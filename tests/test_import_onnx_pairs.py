"""Float products and pairs in .onnx files as ONNX Runtime treats them at each level: packed weights, merged pairs."""

from typing import Any

import numpy as np
import pytest
from graph_floats_cases import MEASURED
from onnx_models import LEVELS, N, Q, dequantize, model, quantize, run_onnx
from refq_cases import assert_same
from test_import_onnx import FUSION_OF

from refq.graphs.running import run
from refq.importers import read_onnx

pytestmark = MEASURED

X, H = Q("x", 0.0173, 3, "uint8"), Q("h", 0.11, 5, "uint8")
RNG = np.random.default_rng(0)
STORED = {"w": RNG.normal(size=(300, 9)).astype(np.float32), "b": RNG.normal(size=9).astype(np.float32)}
CODES = Q("v", 0.02, 0, codes=RNG.integers(-128, 128, (300, 9)))
PRODUCT = N("MatMul", ["x_float", "w"], ["m"])
# nodes, constants, whether a Q follows, and the `packed` of the product at each level (None: it is fused)
PRODUCTS: dict[str, tuple[list[N], dict[str, Any], bool, tuple[bool | None, ...]]] = {
    "MatMul": ([PRODUCT], STORED, False, (True, True, True, True)),
    "Gemm, transposed": (
        [N("Gemm", ["x_float", "t", "b"], ["m"], {"transB": 1, "alpha": 0.7, "beta": 0.3})],
        {"t": STORED["w"].T.copy(), "b": STORED["b"]}, False, (True, True, True, True)),
    "MatMul of a batch of matrices": (
        [N("MatMul", ["x_float", "w3"], ["m"])], {"w3": STORED["w"][None]}, False, (False, False, False, False)),
    "MatMul of turned constants": (
        [N("Transpose", ["t"], ["w"], {"perm": [1, 0]}), PRODUCT], {"t": STORED["w"].T.copy()}, False,
        (False, True, True, True)),
    "MatMul of dequantized constants": (
        [dequantize(CODES), N("MatMul", ["x_float", "v_float"], ["m"])], CODES.constants(), True,
        (False, False, None, None)),
    "MatMul and Add": (
        [N("MatMul", ["x_float", "w"], ["p"]), N("Add", ["p", "b"], ["m"])], STORED, False, (True, True, True, True)),
    "MatMul and Add before Q": (
        [N("MatMul", ["x_float", "w"], ["p"]), N("Add", ["p", "b"], ["m"])], STORED, True, (True, False, None, None)),
    "MatMul of codes and Add before Q": (
        [dequantize(CODES), N("MatMul", ["x_float", "v_float"], ["p"]), N("Add", ["b", "p"], ["m"])],
        {**CODES.constants(), "b": STORED["b"]}, True, (False, False, None, None)),
}  # fmt: skip


@pytest.mark.parametrize("case", PRODUCTS)
def test_products_are_packed_where_onnxruntime_packs_them(case: str) -> None:
    nodes, constants, quantized, packed = PRODUCTS[case]
    tail, out = ([quantize(H, "m")], ("h", "uint8", None)) if quantized else ([], ("m", "float32", None))
    constants = {**X.constants(), **H.constants(), **constants}
    content = model([quantize(X, "in"), dequantize(X), *nodes, *tail], [("in", "float32", (7, 300))], [out], constants)
    inputs = {"in": (np.random.default_rng(1).normal(size=(7, 300)) * 2).astype(np.float32)}
    for level, expected in zip(LEVELS, packed, strict=True):
        graph = read_onnx(content, fusion=FUSION_OF[level])
        found = [n.attributes.get("packed", False) for n in graph.nodes if n.op in ("float_matmul", "float_gemm")]
        assert found == ([] if expected is None else [expected])
        [real] = run_onnx(content, level, inputs)
        assert_same(got=run(graph, inputs, "onnxruntime")[out[0]], expected=real)


A, B, C = Q("a", 0.1, 3, "uint8"), Q("b", 0.17, 5, "uint8"), Q("c", 0.25, 9, "uint8")


def q(pair: Q, source: str, name: str) -> N:
    return N("QuantizeLinear", [source, *pair.triple()[1:]], [name])


def d(pair: Q, source: str, name: str) -> N:
    return N("DequantizeLinear", [source, *pair.triple()[1:]], [name])


def turn(source: str, name: str, perm: Any = (0, 1, 3, 2)) -> N:
    return N("Transpose", [source], [name], {"perm": [*perm]})


HEAD = [q(A, "in", "q1"), d(A, "q1", "d1")]
BOTH = [("y", "float32"), ("z", "float32")]
RELU, SIGMOID = N("Relu", ["d2"], ["y"]), N("Sigmoid", ["d2"], ["z"])
POOL = N("MaxPool", ["d1"], ["p"], {"kernel_shape": [2, 2]})
# what follows HEAD, the outputs, and how many Q are left at level basic
ROWS: dict[str, tuple[list[N], list[tuple[str, str]], int]] = {
    "another pair": ([q(B, "d1", "q2"), d(B, "q2", "d2"), RELU], [("y", "float32")], 1),
    "codes shown": ([q(B, "d1", "q2"), d(B, "q2", "d2"), RELU], [("y", "float32"), ("q1", "uint8")], 2),
    "last codes shown": ([q(B, "d1", "q2"), d(B, "q2", "d2"), RELU], [("y", "float32"), ("q2", "uint8")], 2),
    "float shown": ([q(B, "d1", "q2"), d(B, "q2", "d2"), RELU], [("y", "float32"), ("d1", "float32")], 2),
    "last float read twice": ([q(B, "d1", "q2"), d(B, "q2", "d2"), RELU, SIGMOID], BOTH, 1),
    "two last dequantizers": (
        [q(B, "d1", "q2"), d(B, "q2", "d2"), d(B, "q2", "d3"), RELU, N("Sigmoid", ["d3"], ["z"])],
        BOTH, 1),
    "codes read by another": (
        [q(B, "d1", "q2"), d(B, "q2", "d2"), RELU, N("Flatten", ["q2"], ["z"])], [("y", "float32"), ("z", "uint8")], 2),
    "equal pair": ([q(A, "d1", "q2"), d(A, "q2", "d2"), RELU], [("y", "float32"), ("q1", "uint8")], 1),
    "equal pair, float read twice": (
        [q(A, "d1", "q2"), d(A, "q2", "d2"), RELU, N("Sigmoid", ["d1"], ["z"])], BOTH, 1),
    "equal pair, last codes shown": (
        [q(A, "d1", "q2"), d(A, "q2", "d2"), RELU], [("y", "float32"), ("q2", "uint8")], 2),
    "equal pair, then another": (
        [q(A, "d1", "q2"), d(A, "q2", "d2"), q(B, "d2", "q3"), d(B, "q3", "d3"), q(C, "d3", "q4"), d(C, "q4", "y")],
        [("y", "float32")], 1),
    "between two Transpose": (
        [turn("d1", "t1"), q(B, "t1", "q2"), d(B, "q2", "d2"), turn("d2", "t2"), q(C, "t2", "q3"), d(C, "q3", "y")],
        [("y", "float32")], 1),
    "and a Relu": (
        [turn("d1", "t1"), N("Relu", ["t1"], ["r"]), q(B, "r", "q2"), d(B, "q2", "d2"), turn("d2", "t2", [0, 2, 1, 3]),
         q(C, "t2", "q3"), d(C, "q3", "y")], [("y", "float32")], 3),
    "between two Transpose, codes shown": (
        [turn("d1", "t1"), q(B, "t1", "q2"), d(B, "q2", "d2"), turn("d2", "t2"), q(C, "t2", "q3"), d(C, "q3", "y")],
        [("y", "float32"), ("q2", "uint8")], 3),
    "pool before Q and another": (
        [POOL, q(B, "p", "q2"), d(B, "q2", "z"), N("Relu", ["p"], ["y"])], BOTH, 2),
    "pool before two others": (
        [POOL, N("Relu", ["p"], ["y"]), N("Sigmoid", ["p"], ["z"])], BOTH, 2),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_pairs_in_a_row_are_merged_where_onnxruntime_merges_them(case: str) -> None:
    nodes, outputs, left = ROWS[case]
    constants = {**A.constants(), **B.constants(), **C.constants()}
    content = model([*HEAD, *nodes], [("in", "float32", (1, 4, 6, 6))], [(*o, None) for o in outputs], constants)
    inputs = {"in": (np.random.default_rng(2).normal(size=(1, 4, 6, 6)) * 5).astype(np.float32)}
    assert sum(n.op == "quantize" for n in read_onnx(content, fusion="onnxruntime-basic").nodes) == left
    for level in LEVELS:
        found = run(read_onnx(content, fusion=FUSION_OF[level]), inputs, "onnxruntime")
        for (name, _), real in zip(outputs, run_onnx(content, level, inputs), strict=True):
            assert_same(got=found[name], expected=real)
