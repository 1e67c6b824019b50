"""A bound product equals gemm at every call, the first and the later ones, and refuses what gemm refuses."""

import numpy as np
import pytest
from product_cases import MIXES, codes
from refq_cases import assert_same

from refq import bind, gemm, prepare


@pytest.mark.parametrize(("left", "right"), MIXES)
def test_every_call_equals_gemm(left, right):
    b = codes(right, (70, 9), 2)
    arguments = {
        "lhs_format": left,
        "rhs_format": right,
        "lhs_zero_point": 3,
        "rhs_zero_point": 2,
        "bias": np.arange(9),
    }
    layer = bind(b, **arguments)
    for seed in range(3):
        for rows in (5, 1, 130):
            a = codes(left, (rows, 70), seed)
            for given in (a, np.asfortranarray(a), a.tolist(), a.astype(np.int64)):
                assert_same(layer(given), gemm(given, b, **arguments))


def test_no_rows():
    layer = bind(np.ones((3, 2), np.int8))
    for _ in range(2):
        empty = layer(np.ones((0, 3), np.int8))
        assert empty.shape == (0, 2)
        assert empty.dtype == np.int64


def test_results_are_new_arrays():
    layer = bind(codes("int8", (8, 9), 1), dtype="int32")
    first, second = layer(np.ones((2, 8), np.int8)), layer(np.zeros((2, 8), np.int8))
    assert first.dtype == np.int32
    assert first.any()
    assert not second.any()


def test_without_a_format_wide_values_take_their_range_at_every_call():
    layer = bind(np.array([[1 << 40]]))
    small, large = np.array([[1 << 10]]), np.array([[1 << 30]])
    assert_same(layer(small), np.array([[1 << 50]]))
    with pytest.raises(ValueError, match="outside int64"):
        layer(large)
    assert_same(layer(small), np.array([[1 << 50]]))


@pytest.mark.parametrize("path", ["auto", "popcount", "int8", "int64"])
def test_values_are_looked_at_at_every_call(path):
    layer = bind(prepare(np.ones((70, 4), np.int8)), lhs_format="uint2", path=path)
    good, bad = np.ones((2, 70), np.uint8), np.ones((2, 70), np.uint8)
    bad[1, 68] = 4
    for _ in range(3):
        assert_same(layer(good), np.full((2, 4), 70))
        with pytest.raises(ValueError, match=r"gemm: lhs\[1, 68\]=4 is outside uint2 0..3"):
            layer(bad)


def test_the_bias_of_a_call_is_that_of_the_binding():
    bias = np.array([1, 2])
    layer = bind(np.ones((3, 2), np.int8), bias=bias)
    x = np.ones((1, 3), np.int8)
    assert_same(layer(x), np.array([[4, 5]]))
    assert_same(layer(x), np.array([[4, 5]]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "fast"}, "gemm: path='fast' is no path"),
        ({"dtype": "int8"}, "gemm: dtype='int8' is no dtype of sums"),
        ({"bias": [1, 2, 3]}, r"gemm: bias has shape \(3,\)"),
        ({"lhs_format": "int99"}, "gemm: lhs_format='int99' is no encoding"),
    ],
)
def test_arguments_are_refused_at_the_first_call(arguments, message):
    layer = bind(np.ones((3, 2), np.int8), **arguments)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            layer(np.ones((1, 3), np.int8))


def test_a_shape_that_does_not_match():
    layer = bind(np.ones((3, 2), np.int8))
    layer(np.ones((1, 3), np.int8))
    with pytest.raises(ValueError, match=r"gemm: lhs \(1, 4\) and rhs \(3, 2\) do not match"):
        layer(np.ones((1, 4), np.int8))
