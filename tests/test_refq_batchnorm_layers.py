"""Layers from arrays, reachable accumulators and word lengths, each against its definition."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from batchnorm_cases import C4, SOME, THREE_RANGES, fitted, line
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import (
    Channel,
    FixedPoint,
    Share,
    Widths,
    accumulator_range,
    channels_of,
    fit_batchnorm,
    require_width,
    widths,
)
from refq.batchnorm.layout import smallest_dtype
from refq.batchnorm.words import signed_width
from refq.formats import Rounding

LAYER = {
    "gamma": [1.0, -2.0, 0.1],
    "beta": 0.5,
    "mean": np.float32(0.1),
    "variance": [2.0],
    "epsilon": np.float32(1e-5),
}
LAYER |= THREE_RANGES
small = st.integers(-9, 9)


def test_channels_are_the_exact_rationals_of_the_arrays():
    expected = [
        Channel(g, 0.5, float(np.float32(0.1)), 2, float(np.float32(1e-5)), 1, 0.25, 0, low, 7, 0, 15)
        for g, low in ((1, -8), (-2, -9), (Fraction(0.1), -7))
    ]
    assert list(channels_of(LAYER)) == expected
    got = channels_of(LAYER | {"zero_point": np.uint8([1, 2, 3])})
    assert [c.zero_point for c in got] == [1, 2, 3]
    assert all(type(c.acc_min) is int for c in got)


def test_one_value_everywhere_is_one_channel():
    one = {name: np.ravel(value)[0] for name, value in LAYER.items()}
    assert channels_of(one) == channels_of(LAYER)[:1]
    assert channels_of({name: [value] for name, value in one.items()}) == channels_of(one)


def test_extended_precision_is_kept():
    third = np.longdouble(1) / 3
    assert channels_of(LAYER | {"gamma": np.array([third, 1, 1])})[0].gamma == Fraction(*third.as_integer_ratio())


@given(
    st.lists(st.lists(small, min_size=2, max_size=2), min_size=1, max_size=3), small, st.integers(0, 3), st.booleans()
)
@SOME
def test_the_range_is_reached_and_not_left(rows, low, width, last):
    """Every sum over all inputs of every channel: the extremes are exactly the range."""
    array = np.array(rows, np.int8)
    acc_min, acc_max = accumulator_range(array.T if last else array, low, low + width, -1 if last else 0)
    assert acc_min.dtype == acc_max.dtype == np.int64
    for weights, first, end in zip(rows, acc_min, acc_max, strict=True):
        sums = [
            sum(w * x for w, x in zip(weights, xs, strict=True))
            for xs in product(range(low, low + width + 1), repeat=2)
        ]
        assert (min(sums), max(sums)) == (first, end)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_the_range_of_a_convolution(axis, dtype):
    limits = np.iinfo(dtype)
    random = np.random.default_rng(5)
    array = random.integers(max(limits.min, -200), min(limits.max, 200), (3, 4, 5, 6), endpoint=True).astype(dtype)
    array.flat[0] = limits.min if dtype == "int8" else 0
    rows = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(object)
    for low, high in ((0, 255), (-128, 127), (3, 9), (-9, -3), (5, 5)):
        expected = [[sum(min(w * low, w * high) for w in row) for row in rows]]
        expected.append([sum(max(w * low, w * high) for w in row) for row in rows])
        assert [ends.tolist() for ends in accumulator_range(array, low, high, axis)] == expected


def test_ranges_of_nothing_and_of_64_bits():
    assert [x.tolist() for x in accumulator_range(np.empty((3, 0), np.int8), -5, 5, 0)] == [[0, 0, 0]] * 2
    assert accumulator_range([[(1 << 62) - 1]], -2, 1)[0].tolist() == [2 - (1 << 63)]
    assert accumulator_range(np.int64([[-(1 << 63)]]), 0, 0)[0].tolist() == [0]


@pytest.mark.parametrize("value", [0, -1, 1, -2, 127, 128, -128, -129, (1 << 63) - 1, -(1 << 63), 1 << 63])
def test_signed_widths(value):
    bits = signed_width(value)
    assert -(1 << (bits - 1)) <= value < 1 << (bits - 1)
    assert bits == 1 or not -(1 << (bits - 2)) <= value < 1 << (bits - 2)
    assert signed_width(value, 0, -1) == bits


@given(st.integers(-99, 99), st.integers(-999, 999), small, st.integers(0, 20))
@SOME
def test_widths_are_those_of_all_sums(multiplier, bias, first, length):
    sums = [multiplier * x + bias for x in range(first, first + length + 1)]
    got = widths(FixedPoint(multiplier, bias, 4, 0, 1), first, first + length)
    products = signed_width(*(total - bias for total in sums))
    assert got == Widths(signed_width(multiplier), signed_width(bias), products, signed_width(*sums))


def test_a_channel_without_a_line_needs_no_width():
    halves = line(Fraction(1, 2), 0, 0, 5)
    layer = fit_batchnorm([halves, C4], Rounding.TIES_EVEN)
    assert [fit.form is None for fit in layer.fits] == [True, False]
    require_width(layer, 2)


@pytest.mark.parametrize(("share", "shared"), [(Share.NONE, None), (Share.SHIFT, 0), (Share.DIVISOR, 1)])
def test_sharing_leaves_out_channels_without_a_line(share, shared):
    halves = line(Fraction(1, 2), 0, 0, 5)
    layer = fit_batchnorm([halves, C4], Rounding.TIES_EVEN, share)
    assert layer.shared == shared
    assert layer.fits[1].form == fitted(C4, Rounding.TIES_EVEN).form
    assert fit_batchnorm([halves], Rounding.TIES_EVEN, share).shared is None


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(0, 255)], "uint8"),
        ([(0, 256)], "uint16"),
        ([(-1, 127)], "int8"),
        ([(-1, 0), (0, 128)], "int16"),
        ([(-129, 0)], "int16"),
        ([(-5, -3)], "int8"),
        ([(0, (1 << 64) - 1)], "uint64"),
        ([(-(1 << 63), (1 << 63) - 1)], "int64"),
    ],
)
def test_the_smallest_dtype(ranges, expected):
    assert smallest_dtype(ranges) == np.dtype(expected)
