"""requantize equals its definition over its arguments: multipliers, shifts, addends, formats, dtypes, channels."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import around, assert_same, check, codes, in_order, lattice, limits

from refq import (
    INT8,
    INT16,
    INT32,
    RULES,
    UINT8,
    Arithmetic,
    Clamp,
    FixedScale,
    ZeroPoint,
    requantize,
)
from refq.spec import requantize as spec

INTEGER_RULES = [rule for rule in RULES.values() if rule.arithmetic == Arithmetic.INTEGER]
QUARTER, GENERAL = Fraction(1, 4), Fraction(0.009586980574)


@pytest.mark.parametrize("rule", INTEGER_RULES, ids=lambda r: r.name)
def test_multiplier_and_shift_lattice(rule):
    short = rule.derivation.value in ("tosa16", "reduced15", "mantissa15")
    multipliers = [1, (1 << 14) + 1, (1 << 15) - 1] if short else [1, 1 << 30, 1518500250, (1 << 31) - 1]
    for multiplier in multipliers:
        for shift in (2, 3, 14, 15, 16, 30, 31, 32, 33, 44, 61, 62):
            fixed = FixedScale(multiplier, shift)
            check(rule, fixed, -1, INT32, lattice(*limits(rule, fixed))[::9])


@pytest.mark.parametrize("name", ["gemmlowp_double", "single_up", "single_even", "multiply_add_shift_floor"])
def test_zero_and_negative_multipliers(name):
    for multiplier in (0, -1, -(1 << 30), -1518500250, -((1 << 31) - 1)):
        for shift in (29, 31, 32, 40):
            check(RULES[name], FixedScale(multiplier, shift), 3, INT16, lattice(-(1 << 31), (1 << 31) - 1)[::5])


@pytest.mark.parametrize("addend", [1, -1, 1 << 30, -(1 << 45), (1 << 61) - 1, -(1 << 61)])
@pytest.mark.parametrize("name", ["single_up", "single_away", "single_even", "multiply_add_shift_floor"])
def test_addend_before_the_shift(name, addend):
    for fixed in (FixedScale(1 << 30, 34, addend), FixedScale(37, 8, addend), FixedScale(-1518500250, 40, addend)):
        check(RULES[name], fixed, 3, INT16, lattice(-(1 << 30), 1 << 30)[::3])


def test_addend_at_the_ties_of_tosa_single() -> None:
    for addend in (1, -1, 1 << 45, -(1 << 45)):
        fixed = FixedScale(1 << 30, 40, addend)
        check(RULES["tosa_scale32_single"], fixed, 0, INT32, around(*range(-40960, 40960, 512)))


def test_a_nudged_rule_takes_no_addend() -> None:
    # the nudge follows the accumulator's sign, which the sum need not have
    with pytest.raises(ValueError, match="addend=1 needs a rule of one plain shift; tosa_scale32_double is none"):
        requantize([1], "tosa_scale32_double", FixedScale(1 << 30, 40, 1))


@pytest.mark.parametrize("fmt", [INT8, UINT8, INT16, INT32], ids=lambda f: f.name)
@pytest.mark.parametrize("name", ["gemmlowp_double", "single_up", "float32_ties_even", "float64_ties_away"])
def test_result_formats(name, fmt):
    check(RULES[name], GENERAL, fmt.qmax // 2, fmt, range(-50000, 50000, 997))


def test_a_zero_point_wider_than_a_float32_significand():
    rule = in_order(RULES["float32_ties_even"], ZeroPoint.BEFORE, Clamp.FIRST)
    for zero in ((1 << 24) + 1, (1 << 25) + 3, -(1 << 26) - 5):
        check(rule, Fraction(3, 4), zero, INT32, range(-20, 21))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("gemmlowp_double", d) for d in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")]
    + [("float32_ties_even", d) for d in ("int32", "uint64")],
)
def test_accumulator_dtypes(name, dtype):
    xs = np.arange(128).astype(dtype)
    assert_same(got=requantize(xs, name, QUARTER), expected=codes(xs, RULES[name], QUARTER, 0, INT8))


def test_other_byte_order():
    xs = np.array([1, 2, 10, -2], ">i4")
    expected = codes(xs, RULES["gemmlowp_double"], QUARTER, 0, INT8)
    assert_same(got=requantize(xs, "gemmlowp_double", QUARTER), expected=expected)


def channelwise(accs, rule, scales, zeros):
    """The definition channel by channel along the middle axis of (outer, channels, inner)."""
    columns = [
        codes(accs[:, c].ravel(), rule, scales[c], zeros[c], INT8).reshape(accs[:, c].shape) for c in range(len(scales))
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", ["gemmlowp_double", "single_up", "float32_ties_even", "exact_ties_up"])
def test_channels_along_every_axis(name):
    accs = np.random.default_rng(9).integers(-3000, 3000, (4, 3, 5))
    scales, zeros = [Fraction(1, 4), Fraction(1, 64), Fraction(0.03125 * 3)], [0, -5, 7]
    expected = channelwise(accs, RULES[name], scales, zeros)
    for axis in (0, 1, 2):
        moved = np.moveaxis(accs, 1, axis)
        for array in (moved, np.ascontiguousarray(moved)):
            for signed_axis in (axis, axis - 3):
                got = requantize(array, name, scales, zero_point=zeros, axis=signed_axis)
                assert_same(got=np.moveaxis(got, axis, 1), expected=expected)


def test_last_axis_is_the_default_and_a_single_value_serves_all_channels():
    accs = np.arange(-30, 30).reshape(10, 2, 3)
    expected = requantize(accs, "single_up", [0.25, 0.25, 0.25], zero_point=[1, 2, 3], axis=2)
    assert_same(got=requantize(accs, "single_up", 0.25, zero_point=np.array([1, 2, 3])), expected=expected)
    expected = requantize(accs, "single_up", [0.25, 0.25, 0.25], zero_point=[4, 4, 4])
    assert_same(got=requantize(accs, "single_up", 0.25, zero_point=4), expected=expected)


def test_shapes_are_kept():
    for shape in ((), (1,), (2, 0, 3), (2, 3)):
        got = requantize(np.zeros(shape, np.int32), "single_up", 0.25, zero_point=5)
        assert (got.shape, got.dtype) == (shape, np.int8)
        assert (got == 5).all()


def test_a_rule_record_equals_its_name_and_floats_their_fraction():
    accs = np.arange(-100, 100)
    expected = requantize(accs, "double_up", np.float32(0.1))
    assert_same(got=requantize(accs, RULES["double_up"], Fraction(np.float32(0.1).item())), expected=expected)
    assert spec.requantize(-2, RULES["double_up"], Fraction(1, 4), 0, INT8) == 0
