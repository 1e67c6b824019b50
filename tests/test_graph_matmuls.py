"""Matrix products: the array function and the ops against the definition, ranges, elements, batches, bad input."""

import numpy as np
import pytest
from matmul_models import meaning, one_node, step_of
from refq_cases import assert_same

from refq.graphs import OPS, run
from refq.graphs.records import Tensor
from refq.layers.matmuls import bind_matmul, matmul_sums, product_shape
from refq.spec.layers.matmuls import adjoint, matmul, wrapped

SHAPES = [((5, 7), (7, 3)), ((2, 3, 4, 5), (3, 5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((1, 1), (1, 1)), ((3, 4, 1), (1, 9))]


def _defined(a, b, za, zb):
    """The definition on each matrix of the broadcast stacks; zero points one a line."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    sides = np.broadcast_to(a, (*lead, *a.shape[-2:])), np.broadcast_to(b, (*lead, *b.shape[-2:]))
    za, zb = np.broadcast_to(za, a.shape[-2]).tolist(), np.broadcast_to(zb, b.shape[-1]).tolist()
    found = [matmul(*(s[at].tolist() for s in sides), za, zb) for at in np.ndindex(lead)]
    return np.array(found, np.int64).reshape(*lead, a.shape[-2], b.shape[-1])


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize(
    ("left", "right"), [("int8", "uint8"), ("uint8", "int8"), ("int16", "int16"), ("int16", "int8")]
)
@pytest.mark.parametrize("lines", ["one", "columns", "rows"])
def test_sums_are_those_of_the_definition(shapes, left, right, lines):
    rng = np.random.default_rng(1)
    a, b = (
        rng.integers(np.iinfo(k).min, np.iinfo(k).max + 1, s).astype(k)
        for s, k in zip(shapes, (left, right), strict=True)
    )
    za, zb = (rng.integers(0, 100, n) for n in (a.shape[-2], b.shape[-1]))
    za, zb = (za if lines == "rows" else 7), (zb if lines == "columns" else 101)
    assert_same(matmul_sums(a, b, a_zero_point=za, b_zero_point=zb), _defined(a, b, za, zb))
    if b.ndim == 2 and lines != "rows":
        assert_same(bind_matmul(b, a_zero_point=7, b_zero_point=zb)(a), _defined(a, b, za, zb))


def test_wide_codes_take_int64_and_wider_ones_are_refused():
    largest = np.full((1, 500), 2**27 - 1, np.int64)
    assert matmul_sums(largest, largest.T)[0, 0] == 500 * (2**27 - 1) ** 2
    with pytest.raises(ValueError, match=r"matmul: sums could be .*, outside int64; pass narrower codes"):
        matmul_sums(largest << 8, largest.T << 8)


@pytest.mark.parametrize(("a", "b"), [((0, 3), (3, 2)), ((2, 0), (0, 2)), ((2, 3), (3, 0)), ((4, 0, 3), (3, 2))])
def test_empty_products(a, b):
    left, right = np.zeros(a, np.int8), np.zeros(b, np.int8)
    for found in (matmul_sums(left, right), bind_matmul(right)(left)):
        assert found.shape == (*a[:-1], b[-1])
        assert found.dtype == np.int64
        assert not found.any()


@pytest.mark.parametrize(
    ("a", "b"), [((4,), (4, 3)), ((3, 4), (4,)), ((4,), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))]
)
def test_one_dimension_as_numpy_has_it(a, b):
    rng = np.random.default_rng(2)
    left, right = rng.integers(-128, 128, a), rng.integers(-128, 128, b)
    got = matmul_sums(left, right, a_zero_point=3, b_zero_point=5)
    assert_same(got, np.matmul(left - 3, right - 5) if got.ndim else np.array(int((left - 3) @ (right - 5))))
    assert product_shape(a, b) == got.shape


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ((), (3,), "a number has no rows"),
        ((2, 3), (4, 2), r"shapes \(2, 3\) and \(4, 2\) do not match"),
        ((2, 3, 4), (3, 4, 5), "do not broadcast"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(a, b, text):
    with pytest.raises(ValueError, match=f"^matmul: .*{text}"):
        product_shape(a, b)
    tensors = Tensor("a", a, "int8", meaning(1.0)), Tensor("b", b, "int8", meaning(1.0))
    with pytest.raises(ValueError, match=f"^matmul_integer n: .*{text}"):
        OPS["matmul_integer"].shapes("n", {}, tensors)


def test_bad_kinds_are_refused():
    with pytest.raises(TypeError, match="matmul: a has dtype float64"):
        matmul_sums(np.zeros((1, 1)), np.zeros((1, 1), np.int8))
    with pytest.raises(
        ValueError, match=r"matmul: b_zero_point has shape \(3,\); pass one number or one a line, \(2,\)"
    ):
        matmul_sums(np.zeros((1, 1), np.int8), np.zeros((1, 2), np.int8), b_zero_point=[1, 2, 3])


def _graph(op, a, b, result, constant=True, quantized=(None, None, None), **attributes):
    left, right = Tensor("a", a.shape, a.dtype.name, quantized[0]), Tensor("b", b.shape, b.dtype.name, quantized[1])
    if constant:
        right = Tensor("b", b.shape, b.dtype.name, quantized[1], b)
    inputs = (left, right)
    shape = OPS[op].shapes("n", attributes, inputs)[0]
    return one_node(op, inputs, Tensor("y", shape, result, quantized[2]), **attributes)


@pytest.mark.parametrize("turns", [(False, False), (True, False), (False, True), (True, True)])
def test_turned_sides_and_their_elements(turns):
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-128, 128, s).astype(np.int8) for s in ((2, 1, 4, 5), (3, 5, 6)))
    expected = _defined(a, b, 3, -7)
    a, b = (np.array([adjoint(m.tolist()) for m in v.reshape(-1, *v.shape[-2:])], np.int8).reshape(
        *v.shape[:-2], v.shape[-1], v.shape[-2]) if t else v for v, t in zip((a, b), turns, strict=True))  # fmt: skip
    quantized = meaning(0.5, 3), meaning(0.25, -7), meaning(64.0, 9)
    graph = _graph("batch_matmul", a, b, "int8", False, quantized, adj_x=turns[0], adj_y=turns[1])
    step = step_of(graph, "litert-reference")
    assert_same(step.bound.gather((a, b)), expected)
    for at in np.ndindex(expected.shape):
        element = step.bound.element((a, b), 0, at)
        fields = dict(element.fields)
        assert a[fields["a"]].size == b[fields["b"]].size == 5
        assert element.accumulator == expected[at]
        assert element.value == expected[at] * element.scale + 9


def test_ranges_of_constant_columns():
    rng = np.random.default_rng(4)
    a, b = rng.integers(-128, 128, (2, 5)).astype(np.int8), rng.integers(-128, 128, (3, 5, 4)).astype(np.int8)
    step = step_of(
        _graph("matmul_integer", a, b, "int32", True, (meaning(1.0, 3), meaning(1.0, 2), None)), "onnxruntime"
    )
    found, columns = step.bound.accumulators(), (b.astype(np.int64) - 2).transpose(1, 0, 2).reshape(5, -1)
    ends = columns * (-128 - 3), columns * (127 - 3)
    assert_same(found.low, np.minimum(*ends).sum(axis=0))
    assert_same(found.high, np.maximum(*ends).sum(axis=0))


@pytest.mark.parametrize("op", ["matmul_integer", "conv_integer"])
def test_sums_outside_int32_wrap_or_are_refused(op):
    lines = (1, 40000) if op == "matmul_integer" else (1, 40000, 1, 1)
    a = np.full(lines, 255, np.uint8)
    b = np.full((40000, 1) if op == "matmul_integer" else lines, 255, np.uint8)
    graph = _graph(op, a, b, "int32")
    expected = wrapped(40000 * 255 * 255)
    assert run(graph, a, "onnxruntime")["y"].ravel().tolist() == [expected]
    with pytest.raises(ValueError, match=f"{op} node: sum.*=2601000000 is outside .*; wrap32 keeps its low 32 bits"):
        run(graph, a, "onnx-text")
    step = step_of(graph, "onnxruntime")
    with pytest.raises(ValueError, match="rule='other' is unknown; legal: wrap32, exact"):
        step.bound.finish(step.bound.gather((a, b)), "other")


BATCHED = [
    ((1, 5), (5, 3), True, {}, True),
    ((5, 1), (5, 3), True, {"adj_x": True}, False),
    ((1, 2, 5), (5, 3), True, {}, True),
    ((1, 2, 5), (1, 5, 3), True, {}, True),
    ((4, 2, 5), (4, 5, 3), True, {}, False),
    ((1, 2, 5), (1, 5, 3), False, {}, True),
    ((2, 5), (5, 3), False, {}, False),
    ((1, 4, 2, 5), (4, 5, 3), False, {}, False),
]


@pytest.mark.parametrize(("a", "b", "constant", "attributes", "expected"), BATCHED)
def test_when_samples_may_be_stacked(a, b, constant, attributes, expected):
    quantized = meaning(1.0), meaning(1.0), meaning(1.0)
    left, right = np.zeros(a, np.int8), np.zeros(b, np.int8)
    graph = _graph("batch_matmul", left, right, "int8", constant, quantized, **attributes)
    step = step_of(graph, "litert-builtin")
    assert step.op.batched(step.site) is expected


@pytest.mark.parametrize(
    ("op", "result", "quantized", "text"),
    [
        ("batch_matmul", "int32", (meaning(1.0), meaning(1.0), meaning(1.0)), "is int32; it takes 8 or 16 bits"),
        ("batch_matmul", "int8", (meaning(1.0), meaning([1.0, 2.0], 0, 1), meaning(1.0)), "b has 2 scales; pass one"),
        ("matmul", "int8", (meaning(1.0), meaning([1.0, 2.0], 0, 0), meaning(1.0)), "2 scales along axis 0"),
        ("matmul", "int8", (meaning([1.0, 2.0], 0, 0), meaning(1.0), meaning(1.0)), "a has 2 scales; pass one"),
        ("matmul", "int8", (None, meaning(1.0), meaning(1.0)), "has no scale"),
        ("matmul_integer", "int8", (None, None, None), "y is int8; the result is int32"),
    ],
)
def test_nodes_that_cannot_be_bound_are_refused(op, result, quantized, text):
    a, b = np.zeros((2, 2), np.int8), np.zeros((2, 2), np.int8)
    profile = "litert-builtin" if op == "batch_matmul" else "onnxruntime"
    with pytest.raises(ValueError, match=f"{op} node: .*{text}|{op} node.*{text}"):
        step_of(_graph(op, a, b, result, True, quantized), profile)
