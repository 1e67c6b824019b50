"""high_multiply, saturating_add and saturating_left_shift equal their definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same, integers_near, lattice, roundings, stored_dtype, twin

from refq import IntFormat, Rounding, high_multiply, saturating_add, saturating_left_shift
from refq.rounding import add_and_shift, constants
from refq.spec import fixedpoint as spec


def pairs(fmt):
    xs = lattice(fmt.qmin, fmt.qmax)
    return np.array(list(itertools.product(xs, xs[:: max(1, len(xs) // 24)] + xs[-1:])), np.int64).T


def expected_of(function, fmt, *columns):
    return np.array([function(*(int(v) for v in row)) for row in zip(*columns, strict=True)], stored_dtype(fmt))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_high_multiply_at_the_boundaries(bits, rounding):
    a, b = pairs(IntFormat(bits))
    expected = expected_of(lambda x, y: spec.high_multiply(x, y, bits, rounding), IntFormat(bits), a, b)
    assert_same(got=high_multiply(a, b, bits, rounding), expected=expected)


@pytest.mark.parametrize("bits", [2, 8, 16, 31, 32])
def test_saturating_add_at_the_boundaries(bits):
    a, b = pairs(IntFormat(bits))
    expected = expected_of(lambda x, y: spec.saturating_add(x, y, bits), IntFormat(bits), a, b)
    assert_same(got=saturating_add(a, b, bits), expected=expected)


@pytest.mark.parametrize("shift", [0, 1, 7, 15, 30, 31])
@pytest.mark.parametrize("bits", [2, 8, 16, 31, 32])
def test_saturating_left_shift_at_the_boundaries(bits, shift):
    fmt = IntFormat(bits)
    xs = lattice(fmt.qmin, fmt.qmax)
    expected = expected_of(lambda x: spec.saturating_left_shift(x, shift, bits), fmt, xs)
    assert_same(got=saturating_left_shift(xs, shift, bits), expected=expected)


@QUICK
@given(integers_near(-(1 << 31), (1 << 31) - 1), integers_near(-(1 << 31), (1 << 31) - 1), roundings)
def test_high_multiply_spec_twin_and_compiled(a, b, rounding):
    expected = spec.high_multiply(a, b, 32, rounding)
    assert min(twin(add_and_shift)(a * b, 31, *constants(rounding, 31), 0), (1 << 31) - 1) == expected
    assert_same(got=high_multiply([a], [b], 32, rounding), expected=np.array([expected], np.int32))


@QUICK
@given(st.integers(2, 32), st.data())
def test_saturating_operations_of_any_width(bits, data):
    fmt = IntFormat(bits)
    a, b = (data.draw(integers_near(fmt.qmin, fmt.qmax)) for _ in range(2))
    shift, dtype = data.draw(st.integers(0, 31)), stored_dtype(fmt)
    assert_same(got=saturating_add([a], [b], bits), expected=np.array([spec.saturating_add(a, b, bits)], dtype))
    expected = np.array([spec.saturating_left_shift(a, shift, bits)], dtype)
    assert_same(got=saturating_left_shift([a], shift, bits), expected=expected)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
def test_every_pair_of_a_small_format(bits):
    fmt = IntFormat(bits)
    a, b = np.array(list(itertools.product(range(fmt.qmin, fmt.qmax + 1), repeat=2))).T
    for rounding in Rounding:
        expected = expected_of(lambda x, y: spec.high_multiply(x, y, bits, rounding), fmt, a, b)  # noqa: B023
        assert_same(got=high_multiply(a, b, bits, rounding), expected=expected)
    expected = expected_of(lambda x, y: spec.saturating_add(x, y, bits), fmt, a, b)
    assert_same(got=saturating_add(a, b, bits), expected=expected)


@pytest.mark.sweep
def test_every_pair_of_int8():
    a, b = np.array(list(itertools.product(range(-128, 128), repeat=2))).T
    for rounding in Rounding:
        expected = expected_of(lambda x, y: spec.high_multiply(x, y, 8, rounding), IntFormat(8), a, b)  # noqa: B023
        assert_same(got=high_multiply(a, b, 8, rounding), expected=expected)


def test_arguments_broadcast():
    a, b = np.arange(-3, 3)[:, None], np.array([1 << 30, -(1 << 30), (1 << 31) - 1])
    expected = np.array([[spec.high_multiply(int(x), int(y)) for y in b] for x in a[:, 0]], np.int32)
    assert_same(got=high_multiply(a, b), expected=expected)
    expected = np.array([[spec.saturating_add(int(x), int(y)) for y in b] for x in a[:, 0]], np.int32)
    assert_same(got=saturating_add(a, b), expected=expected)


def test_only_the_product_of_both_minima_saturates():
    low, high = -(1 << 31), (1 << 31) - 1
    expected = np.array([high, high, high - 1], np.int32)
    assert_same(got=high_multiply([low, low, low + 1], [low, low + 1, low + 1]), expected=expected)
