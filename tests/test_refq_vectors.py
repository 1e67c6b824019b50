"""Numbers worked by hand or printed by the runtimes themselves, as literals; none comes from refq."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same

from refq import (
    INT8,
    RULES,
    FixedScale,
    Rounding,
    derive,
    high_multiply,
    requantize,
    round_to_integer,
    shift_right,
)
from refq.spec import requantize as spec

# Value of each rounding on -2.5, -1.5, -0.5, 0.5, 1.5, 2.5.
TIES = {
    Rounding.TIES_UP: [-2, -1, 0, 1, 2, 3],
    Rounding.TIES_AWAY: [-3, -2, -1, 1, 2, 3],
    Rounding.TIES_EVEN: [-2, -2, 0, 0, 2, 2],
    Rounding.TIES_DOWN: [-3, -2, -1, 0, 1, 2],
    Rounding.TIES_TOWARD_ZERO: [-2, -1, 0, 0, 1, 2],
    Rounding.TIES_ODD: [-3, -1, -1, 1, 1, 3],
    Rounding.FLOOR: [-3, -2, -1, 0, 1, 2],
    Rounding.CEIL: [-2, -1, 0, 1, 2, 3],
    Rounding.TOWARD_ZERO: [-2, -1, 0, 0, 1, 2],
    Rounding.AWAY_FROM_ZERO: [-3, -2, -1, 1, 2, 3],
    Rounding.JAM: [-3, -1, -1, 1, 1, 3],
}
QUARTER_ACCS = [1, 2, 5, 10, -1, -2, -3, -6, -10]
QUARTER = {
    "gemmlowp_double": [1, 1, 2, 3, 0, -1, -1, -2, -3],
    "tosa_scale32_double": [1, 1, 2, 3, 0, -1, -1, -2, -3],
    "qnnpack_q31": [1, 1, 2, 3, 0, -1, -1, -2, -3],
    "double_up": [1, 1, 2, 3, 0, 0, 0, -1, -2],
    "single_up": [0, 1, 1, 3, 0, 0, -1, -1, -2],
    "tosa_scale32_single": [0, 1, 1, 3, 0, 0, -1, -1, -2],
    "xnnpack_rndnu": [0, 1, 1, 3, 0, 0, -1, -1, -2],
    "exact_ties_up": [0, 1, 1, 3, 0, 0, -1, -1, -2],
    "single_away": [0, 1, 1, 3, 0, -1, -1, -2, -3],
    "float64_ties_away": [0, 1, 1, 3, 0, -1, -1, -2, -3],
    "float32_ties_away": [0, 1, 1, 3, 0, -1, -1, -2, -3],
    "exact_ties_away": [0, 1, 1, 3, 0, -1, -1, -2, -3],
    "qnnpack_precise": [0, 1, 1, 3, 0, -1, -1, -2, -3],
    "single_even": [0, 0, 1, 2, 0, 0, -1, -2, -2],
    "float32_ties_even": [0, 0, 1, 2, 0, 0, -1, -2, -2],
    "float64_ties_even": [0, 0, 1, 2, 0, 0, -1, -2, -2],
    "exact_ties_even": [0, 0, 1, 2, 0, 0, -1, -2, -2],
    "dyadic_ties_even": [0, 0, 1, 2, 0, 0, -1, -2, -2],
    "multiply_add_shift_floor": [0, 0, 1, 2, -1, -1, -1, -2, -3],
}


@pytest.mark.parametrize("rounding", Rounding)
def test_ties_of_every_rounding(rounding):
    expected = np.array(TIES[rounding], np.int64)
    assert_same(got=shift_right([-5, -3, -1, 1, 3, 5], 1, rounding), expected=expected)
    assert_same(got=round_to_integer([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], rounding), expected=expected)


def test_jam_moves_every_inexact_value_to_the_odd_neighbour():
    expected = np.array([-1, -1, -1, 0, 1, 1, 1, 1, 1, 1, 1, 2, 3], np.int64)
    assert_same(got=shift_right([-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 2, Rounding.JAM), expected=expected)


@pytest.mark.parametrize("name", QUARTER)
def test_scale_one_quarter(name):
    expected = np.array(QUARTER[name], np.int8)
    assert_same(got=requantize(QUARTER_ACCS, name, 0.25), expected=expected)
    fixed = [spec.requantize(x, RULES[name], Fraction(1, 4), 0, INT8) for x in QUARTER_ACCS]
    assert_same(got=np.array(fixed, np.int8), expected=expected)


# Scale 0.009586980574 as TFLite's multiplier 1317624577 and left shift -6.
@pytest.mark.parametrize(
    ("acc", "double", "double_up", "single"),
    [(52, 1, 1, 0), (156, 2, 2, 1), (-7979, -77, -76, -76), (-7980, -77, -76, -77), (-7876, -76, -75, -76)],
)
def test_a_general_scale(acc, double, double_up, single):
    fixed = FixedScale(1317624577, 31 + 6)
    got = [int(requantize(acc, name, fixed)) for name in ("gemmlowp_double", "double_up", "single_up", "single_even")]
    assert got == [double, double_up, single, single]
    assert int(requantize(acc, "float32_ties_even", fixed)) == single


def test_the_upstream_issue_about_double_rounding():
    fixed = FixedScale(1583594044, 31 + 9)
    names = ["gemmlowp_double", "double_up", "single_up", "single_away", "float32_ties_even", "exact_ties_even"]
    assert [int(requantize(7984, name, fixed)) for name in names] == [12, 12, 11, 11, 11, 11]
    assert int(requantize(7984, "dyadic_ties_even", 0.0014402703931)) == 11


@pytest.mark.parametrize(
    ("acc", "double", "exact", "float32"),
    [(34340863, 66, 65, 66), (33816577, 65, 65, 64), (-34340863, -65, -65, -66)],
)
def test_the_width_of_the_float_conversion(acc, double, exact, float32):
    names = ["gemmlowp_double", "double_up", "single_up", "single_away", "exact_ties_even", "float32_ties_even"]
    got = [int(requantize(acc, name, FixedScale(1 << 30, 31 + 18))) for name in names]
    assert got == [double, double, exact, exact, exact, float32]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1 << 30, 1),
        (-1, 1 << 30, 0),
        (3, 1 << 30, 2),
        (-3, 1 << 30, -1),
        (-(1 << 31), -(1 << 31), 2147483647),
        (-(1 << 31), (1 << 31) - 1, -2147483647),
    ],
)
def test_gemmlowp_high_multiply(a, b, expected):
    assert_same(got=high_multiply([a], [b]), expected=np.array([expected], np.int32))


@pytest.mark.parametrize(("x", "shift", "away"), [(1, 1, 1), (-1, 1, -1), (-3, 1, -2), (-6, 2, -2), (-5, 2, -1)])
def test_gemmlowp_rounding_divide_by_power_of_two(x, shift, away):
    assert_same(got=shift_right([x], shift, Rounding.TIES_AWAY), expected=np.array([away], np.int64))


@pytest.mark.parametrize(("x", "shift", "up"), [(-1, 1, 0), (-3, 1, -1), (-6, 2, -1)])
def test_arm_srshl(x, shift, up):
    assert_same(got=shift_right([x], shift, Rounding.TIES_UP), expected=np.array([up], np.int64))


# TFLite's (multiplier, left shift s) is (multiplier, 31 - s) here.
@pytest.mark.parametrize(
    ("scale", "multiplier", "left"),
    [
        (0.25, 1073741824, -1),
        (1.0, 1073741824, 1),
        (0.1, 1717986918, -3),
        (1 - 2.0**-32, 1073741824, 1),
        (1 - 2.0**-31, 2147483647, 0),
        (2.0**-32, 1073741824, -31),
        (2.0**-33, 0, 0),
    ],
)
def test_quantize_multiplier(scale, multiplier, left):
    assert derive(scale) == FixedScale(multiplier, 31 - left)


@pytest.mark.parametrize(
    ("scale", "derivation", "expected"),
    [
        (2.0**31, "q31_saturated", FixedScale((1 << 31) - 1, 1)),
        (1.0, "tosa32", FixedScale(1 << 30, 30)),
        (1.0, "tosa16", FixedScale(1 << 14, 14)),
        (2.0**-40, "tosa32", FixedScale((1 << 30) >> 8, 62)),
        (1 - 2.0**-32, "dyadic31", FixedScale(1 << 31, 31)),
    ],
)
def test_other_derivations(scale, derivation, expected):
    assert derive(scale, derivation) == expected
