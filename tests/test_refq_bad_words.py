"""A word or record that no rule knows is refused, never read as one of the legal ones."""

import pytest

from refq import INT8, Overflow, derive, effective_scale, narrow, requantize, round_to_integer, shift_right


@pytest.mark.parametrize("overflow", [7, -1, "SATURATE", None])
def test_an_unknown_overflow_is_refused(overflow):
    with pytest.raises((TypeError, ValueError), match="overflow"):
        narrow([200], INT8, overflow)


@pytest.mark.parametrize("fmt", ["int8", 8, None])
def test_a_format_that_is_no_format_is_refused(fmt):
    with pytest.raises(TypeError, match=r"narrow: fmt=.* is not an IntFormat"):
        narrow([200], fmt, Overflow.SATURATE)


@pytest.mark.parametrize("scaling", ["foo", "DOUBLE_PRODUCT", None])
def test_an_unknown_scaling_is_refused(scaling):
    with pytest.raises((TypeError, ValueError), match="effective_scale: scaling="):
        effective_scale(0.1, 0.2, 0.3, scaling)


@pytest.mark.parametrize("rounding", [11, -1, "ties_up", None])
def test_an_unknown_rounding_is_refused_by_name(rounding):
    with pytest.raises((TypeError, ValueError), match="shift_right: rounding="):
        shift_right([1], 1, rounding)
    with pytest.raises((TypeError, ValueError), match="round_to_integer: rounding="):
        round_to_integer([1.0], rounding)


@pytest.mark.parametrize("rule", ["float32_ties_even", "xnnpack_rndnu", "xnnpack_rndnu16"])
def test_a_scale_that_rounds_to_infinity_in_float32_is_refused(rule):
    with pytest.raises(ValueError, match="requantize: scale="):
        requantize([1], rule, 2**128 - 1)


def test_derive_refuses_a_scale_that_rounds_to_infinity_in_float32():
    with pytest.raises(ValueError, match="derive: scale="):
        derive(2**128 - 1, "mantissa24")
