"""quantize equals its definition for every rule, both scalings and every order, on built and exhaustive inputs."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import ORDERS, assert_same, in_order, stored_dtype

from refq import INT8, QUANTIZE_RULES, UINT8, IntFormat, Scaling, quantize
from refq.spec import requantize as spec

EVERY_RULE = pytest.mark.parametrize("rule", QUANTIZE_RULES.values(), ids=QUANTIZE_RULES)
EVERY_SCALING = pytest.mark.parametrize("scaling", [Scaling.DIVISION, Scaling.RECIPROCAL])
SCALES = [0.25, 0.00214854861, 0.1, 3.0, 2.0**-100, 2.0**90]


def defined(xs, rule, scaling, scale, zero_point, fmt):
    """The definition; `scale` is a float32, as the array function takes it."""
    exact = Fraction(float(np.float32(scale)))
    listed = [spec.quantize(Fraction(float(x)), rule, scaling, exact, zero_point, fmt) for x in np.ravel(xs)]
    return np.array(listed, stored_dtype(fmt)).reshape(np.shape(xs))


def near_boundaries(scale, levels):
    """float32 inputs at every half step and one representable number to each side."""
    centres = (np.arange(-2 * levels, 2 * levels + 1) / 2 * np.float64(np.float32(scale))).astype(np.float32)
    sides = [np.nextafter(centres, np.float32(direction)) for direction in (-np.inf, np.inf)]
    return np.concatenate([centres, *sides])


@EVERY_RULE
@EVERY_SCALING
@pytest.mark.parametrize("scale", SCALES)
def test_around_every_boundary(rule, scaling, scale):
    xs, fmt = near_boundaries(scale, 40), IntFormat(6)
    expected = defined(xs, rule, scaling, scale, 3, fmt)
    assert_same(got=quantize(xs, rule, np.float32(scale), scaling=scaling, zero_point=3, fmt=fmt), expected=expected)


@EVERY_RULE
@EVERY_SCALING
@pytest.mark.parametrize(("zero_point", "clamp"), ORDERS, ids=lambda o: o.value)
def test_every_order(rule, scaling, zero_point, clamp):
    rule = in_order(rule, zero_point, clamp)
    xs = np.concatenate([near_boundaries(0.25, 12), np.float32([-(2.0**40), -(2.0**29), 2.0**29, 2.0**40])])
    for zero in (-128, 7, 127):
        expected = defined(xs, rule, scaling, 0.25, zero, INT8)
        assert_same(got=quantize(xs, rule, 0.25, scaling=scaling, zero_point=zero), expected=expected)


@EVERY_RULE
@EVERY_SCALING
def test_every_multiple_of_a_32nd(rule, scaling):
    xs = np.arange(-320, 321, dtype=np.float32) / 32
    for scale in (0.25, 0.1):
        expected = defined(xs, rule, scaling, scale, 0, UINT8)
        got = quantize(xs, rule, np.float32(scale), scaling=scaling, fmt=UINT8)
        assert_same(got=got, expected=expected)


def test_channels_along_an_axis():
    xs = np.random.default_rng(2).normal(0, 3, (4, 3, 5)).astype(np.float32)
    scales, zeros, rule = np.float32([0.1, 0.02, 0.3]), [1, -2, 3], QUANTIZE_RULES["float32_ties_even"]
    columns = [defined(xs[:, c], rule, Scaling.DIVISION, scales[c], zeros[c], INT8) for c in range(3)]
    got = quantize(xs, rule, scales, zero_point=zeros, axis=1)
    assert_same(got=got, expected=np.stack(columns, axis=1))


def test_infinities_saturate():
    xs = np.float32([np.inf, -np.inf, np.finfo(np.float32).max])
    assert_same(got=quantize(xs, "float32_ties_even", 0.5), expected=np.array([127, -128, 127], np.int8))


@EVERY_SCALING
def test_a_scale_that_is_no_float32(scaling):
    xs, rule = np.float32([0.15, 0.05, 0.25, 0.35]), QUANTIZE_RULES["float64_ties_even"]
    expected = [spec.quantize(Fraction(float(x)), rule, scaling, Fraction(0.1), 0, INT8) for x in xs]
    assert_same(got=quantize(xs, rule, 0.1, scaling=scaling), expected=np.array(expected, np.int8))


def test_division_and_reciprocal_differ_where_the_rule_says():
    xs, scale = np.float32([0.273939937]), np.float32(0.00214854861)
    got = [
        int(quantize(xs, "float32_ties_even", scale, scaling=s, fmt=IntFormat(9))[0])
        for s in (Scaling.DIVISION, Scaling.RECIPROCAL)
    ]
    assert got == [127, 128]
