"""Numbers of single runtimes, worked by hand or printed by them, as literals; none comes from refq."""

import numpy as np
import pytest
from refq_cases import assert_same

from refq import (
    INT16,
    INT32,
    UINT8,
    FixedScale,
    IntFormat,
    narrow,
    requantize,
)
from refq.spec.fixedpoint import reciprocal_scale


def test_reduced_multiplier_of_int64_accumulators():
    assert int(requantize(99999, "reduced_int64", FixedScale(16385, 15), fmt=INT32)) == 50003
    assert int(requantize(99999, "single_up", FixedScale(1073774592, 31), fmt=INT32)) == 50001


def test_cmsis_narrows_before_the_last_halving():
    # multiplier 2147418115 reduces to 32767, left shift 6 is a right shift of 15 - 6
    fixed = FixedScale(32767, 9)
    assert int(requantize(-29511195, "reduced_int64", fixed, fmt=INT32)) == -1888658841
    assert int(requantize(-29511195, "reduced_int64_halved", fixed, fmt=INT32)) == 258824807


def test_xnnpack_rndnu_wraps_to_the_wrong_end():
    assert int(requantize(-1777990775, "xnnpack_rndnu", np.float32(3.7474487))) == 127
    assert int(requantize(-1777990775, "float32_ties_even", np.float32(3.7474487))) == -128


def test_xnnpack_rndnu16_at_one_quarter():
    assert_same(got=requantize([1, 5, -3], "xnnpack_rndnu16", 0.25), expected=np.array([1, 2, 0], np.int8))


@pytest.mark.parametrize(("x", "single", "double"), [(1, 0, 1), (2, 1, 1), (-2, 0, -1), (-3, -1, -1), (5, 1, 2)])
def test_tosa_apply_scale_32(x, single, double):
    fixed = FixedScale(1 << 30, 32)
    assert int(requantize(x, "tosa_scale32_single", fixed)) == single
    assert int(requantize(x, "tosa_scale32_double", fixed)) == double


def test_tosa_reciprocal_scale_sends_ties_away():
    got = [reciprocal_scale(n) for n in (4, 6, 9)]
    assert got == [FixedScale(1073741825, 32), FixedScale(1431655766, 33), FixedScale(1908874355, 34)]
    assert int(requantize(-2, "tosa_scale32_single", got[0])) == -1
    assert int(requantize(2, "tosa_scale32_single", got[0])) == 1


@pytest.mark.parametrize(
    ("z", "scale", "expected"), [(10, 0.25, 2), (6, 0.25, 2), (-6, 0.25, -2), (1, 0.5, 0), (3, 0.5, 2)]
)
def test_hawq_dyadic(z, scale, expected):
    assert int(requantize(z, "dyadic_ties_even", scale)) == expected


@pytest.mark.parametrize(("q", "expected"), [(7, 1), (13, 1), (14, 2), (20, 2), (100, 14), (-3, -1)])
def test_nemo_integer_requantize(q, expected):
    multiplier = round(256 * 0.01 / 0.07)
    assert multiplier == 37
    assert int(requantize(q, "multiply_add_shift_floor", FixedScale(37, 8))) == expected
    assert int(requantize(q, "multiply_add_shift_floor", FixedScale(37, 8), fmt=UINT8)) == max(expected, 0)


@pytest.mark.parametrize(
    ("phi", "k", "addend", "d", "expected"),
    [(100, 13, 50, 4, 84), (-100, 13, 5000, 4, 231), (3000, 7, -9, 6, 255), (7, 3, 0, 3, 2)],
)
def test_pulp_batch_norm(phi, k, addend, d, expected):
    got = requantize([phi], "multiply_add_shift_floor", FixedScale(k, d, addend), fmt=UINT8)
    assert_same(got=got, expected=np.array([expected], np.uint8))


def test_pulp_without_its_int16_wrap():
    # PULP-NN stores 33750 to int16 before clipping and gets 0; the rule is the one without that narrowing
    assert int(requantize(27000, "multiply_add_shift_floor", FixedScale(20, 4), fmt=UINT8)) == 255
    assert_same(got=narrow([27000 * 20 >> 4], INT16, 1), expected=np.array([33750 - 65536], np.int16))


def test_formats():
    assert [(f.qmin, f.qmax) for f in (IntFormat(8, narrow_range=True), IntFormat(1), IntFormat(1, signed=False))] == [
        (-127, 127),
        (-1, 0),
        (0, 1),
    ]
