"""QLinearMatMul and QGemm of ONNX Runtime at every optimization level and of the reference evaluator: every value."""

import numpy as np
import pytest
from matmul_models import LEVELS, aimed_sums, columns_for, meaning, one_node, onnx_model, reproducing, run_onnx, step_of
from refq_cases import assert_same

from refq.graphs import run
from refq.graphs.records import Tensor
from refq.graphs.sites import INTEGERS
from refq.layers.matmuls import matmul_sums
from refq.layers.rescaling import Scales, bind_rescaling

SHAPES = [
    ((1, 64), (64, 33), True, True),
    ((5, 1), (1, 7), False, True),
    ((17, 33), (33, 19), True, False),
    ((2, 3, 5, 8), (3, 8, 9), False, False),
    ((2, 1, 5, 8), (3, 8, 9), False, True),
    ((3, 5, 8), (8, 9), True, True),
    ((64, 96), (96, 48), True, True),
    ((8,), (8, 9), False, True),
    ((9, 8), (8,), False, True),
    ((1, 3, 5, 8), (2, 1, 8, 9), False, True),
]
OF_ORT = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]
PROFILES = {**dict.fromkeys(LEVELS, "onnxruntime"), "evaluator": "onnx-reference"}


def _drawn(left, right, case, seed):
    """Codes near odd zero points, dyadic scales: many ties."""
    rng = np.random.default_rng(seed)
    shape_a, shape_b, several, _ = case
    za, zb = (129 if kind == "uint8" else 3 for kind in (left, right))
    columns = shape_b[-1] if several else None
    zeros = np.full(columns or (), zb) + (2 * rng.integers(-3, 4, columns) if several else 0)
    a = (za + rng.integers(-6, 7, shape_a)).astype(left)
    b = (zeros + rng.integers(-6, 7, shape_b)).astype(right)
    each = 2.0 ** rng.integers(-2, 1, columns) if several else 0.25
    if seed % 3 == 2:
        each = rng.uniform(0.1, 0.9, columns)
    return a, b, za, zeros, np.float32(each)


def _made(a, b, za, zb, scales, zo, constant):
    """The feeds, the file and the graph of a QLinearMatMul."""
    parameters = {"sa": np.float32(scales[0]), "za": np.asarray(za, a.dtype), "sb": np.float32(scales[1])}
    parameters |= {"zb": np.asarray(zb, b.dtype), "so": np.float32(scales[2]), "zo": np.asarray(zo, a.dtype)}
    feeds = {"a": a} if constant else {"a": a, "b": b}
    names = ["a", "sa", "za", "b", "sb", "zb", "so", "zo"]
    file = onnx_model("QLinearMatMul", names, feeds, parameters | ({"b": b} if constant else {}), a.dtype.name)
    shape = np.matmul(a.astype(np.int64), b.astype(np.int64)).shape
    graph = one_node(
        "matmul",
        [
            Tensor("a", a.shape, a.dtype.name, meaning(scales[0], za)),
            Tensor("b", b.shape, b.dtype.name, meaning(scales[1], zb, b.ndim - 1), b if constant else None),
        ],
        Tensor("y", shape, a.dtype.name, meaning(scales[2], zo)),
    )
    return feeds, file, graph


@pytest.mark.parametrize("level", list(PROFILES))
def test_every_value(level):
    compared = 0
    for left, right in [*OF_ORT, *([("int8", "uint8")] if level == "evaluator" else [])]:
        for seed, case in enumerate(SHAPES):
            a, b, za, zb, each = _drawn(left, right, case, seed)
            zo = 131 if left == "uint8" else 1
            feeds, file, graph = _made(a, b, za, zb, (0.5, each, 2.0), zo, case[3])
            compared += assert_same(run(graph, feeds, PROFILES[level])["y"], run_onnx(file, feeds, level))
    assert compared > 10000


@pytest.mark.parametrize(("left", "right"), OF_ORT)
def test_no_other_rule(left, right):
    """Ties, and sums around the boundaries of a scale that is not dyadic."""
    za, zb, zo = (129 if kind == "uint8" else 3 for kind in (left, right, left))
    found = dict.fromkeys(("all", "evaluator"))
    narrow = aimed_sums(float(np.float32(0.071) * np.float32(2.7e-3)) / 0.37, range(-100, 100), 2)
    for sums, scales in (([*range(-403, 400)], (0.5, 0.5, 1.0)), (narrow, (0.071, 2.7e-3, 0.37))):
        row, columns = columns_for(sums, 100)
        a, b = (row + za).astype(left), (columns + zb).astype(right)
        feeds, file, graph = _made(a, b, za, zb, scales, zo, False)
        for level, before in found.items():
            now = reproducing(step_of(graph, PROFILES[level]), [((a, b), run_onnx(file, feeds, level))])
            found[level] = now if before is None else now & before
    # sums below 2**24 are float32 numbers, so only the product of scales and the product with it round: they agree here
    assert "float32_ties_even/float32_product/after" in found["all"]
    assert all(rule.endswith("/after") and "_even" in rule for rule in found["all"])
    assert found["evaluator"] <= {f"float{n}_ties_even/float32_product/before" for n in (32, 64)}
    assert "float64_ties_even/float32_product/before" in found["evaluator"]


@pytest.mark.parametrize("level", list(LEVELS))
@pytest.mark.parametrize(("left", "right"), OF_ORT)
@pytest.mark.parametrize(("turn", "alpha"), [((0, 1), 1.0), ((1, 0), 1.0), ((0, 1), 0.37)])
def test_gemm_of_codes_follows_one_float32_rule(level, left, right, turn, alpha):
    """com.microsoft QGemm: alpha multiplies the scale of the left side in float32; the bias joins the sum."""
    a, b, za, zb, each = _drawn(left, right, ((17, 33), (33, 19), True, True), 1)
    bias = np.arange(-9, 10, dtype=np.int32)
    zo = 131 if left == "uint8" else 1
    parameters = {"sa": np.float32(0.5), "za": np.asarray(za, left), "b": b.T.copy() if turn[1] else b, "sb": each}
    parameters |= {"zb": zb.astype(right), "c": bias, "so": np.float32(2), "zo": np.asarray(zo, left)}
    feeds = {"a": a.T.copy() if turn[0] else a}
    file = onnx_model(
        "QGemm", ["a", "sa", "za", "b", "sb", "zb", "c", "so", "zo"], feeds, parameters, left,
        domain="com.microsoft", transA=turn[0], transB=turn[1], alpha=alpha,
    )  # fmt: skip
    scales = Scales(np.float32(np.float32(alpha) * np.float32(0.5)), each, np.float32(2))
    sums = matmul_sums(a, b, a_zero_point=za, b_zero_point=zb) + bias
    rule = "float32_ties_even/float32_product/after"
    codes = bind_rescaling(rule, scales.under, zo, INTEGERS[left], -1)(sums)
    assert_same(codes, run_onnx(file, feeds, level))
