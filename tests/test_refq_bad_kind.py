"""A wrong kind of argument is a TypeError of one line: dtypes, bools, floats for integers, strings for records."""

import re
from fractions import Fraction

import numpy as np
import pytest

from refq import (
    INT8,
    RULES,
    FixedScale,
    IntFormat,
    Overflow,
    Rounding,
    derive,
    high_multiply,
    narrow,
    quantize,
    requantize,
    round_to_integer,
    saturating_add,
    shift_right,
)

UP = Rounding.TIES_UP
Q31 = (1 << 31) - 1
LEGAL_RULES = ", ".join(RULES)
FLOATS = np.float32([1, 2])

KIND = [
    (lambda: shift_right([1.5], 1, UP), "shift_right: x has dtype float64; pass an integer dtype, int8..int64"),
    (lambda: shift_right([True], 1, UP), "shift_right: x has dtype bool; pass an integer dtype, int8..int64"),
    (lambda: shift_right([1 << 70], 1, UP), "shift_right: x has dtype object; pass an integer dtype, int8..int64"),
    (lambda: shift_right([1], 1.0, UP), "shift_right: shift=1.0 is not an integer; pass 0..62"),
    (lambda: shift_right([1], True, UP), "shift_right: shift=True is not an integer; pass 0..62"),
    (lambda: round_to_integer([1, 2], UP), "round_to_integer: x has dtype int64; pass float32 or float64"),
    (lambda: round_to_integer(np.float16([1]), UP), "round_to_integer: x has dtype float16; pass float32 or float64"),
    (lambda: narrow([0.5], INT8, Overflow.WRAP), "narrow: x has dtype float64; pass an integer dtype, int8..int64"),
    (lambda: high_multiply(["a"], [1]), "high_multiply: a has dtype <U1; pass an integer dtype, int8..int64"),
    (lambda: saturating_add([1], [0.5]), "saturating_add: b has dtype float64; pass an integer dtype, int8..int64"),
    (lambda: derive("0.5"), "derive: scale='0.5' is not a number; pass a float, int or Fraction"),
    (lambda: derive(True), "derive: scale=True is not a number; pass a float, int or Fraction"),
    (lambda: derive(1j), "derive: scale=1j is not a number; pass a float, int or Fraction"),
    (
        lambda: requantize([0.5], "single_up", 0.5),
        "requantize: acc has dtype float64; pass an integer dtype, int8..int64",
    ),
    (
        lambda: requantize([True], "single_up", 0.5),
        "requantize: acc has dtype bool; pass an integer dtype, int8..int64",
    ),
    (lambda: requantize([1], 3, 0.5), f"requantize: rule=3 is not a Rule or a name; legal names: {LEGAL_RULES}"),
    (
        lambda: requantize([1], "single_up", None),
        "requantize: scale=None is not a number; pass a float, int or Fraction",
    ),
    (
        lambda: requantize([1], "single_up", FixedScale(1.0, 31)),
        f"requantize: multiplier=1.0 is not an integer; pass -{Q31}..{Q31}",
    ),
    (
        lambda: requantize([1], "single_up", 0.5, zero_point=0.0),
        "requantize: zero_point=0.0 is not an integer; pass -128..127",
    ),
    (
        lambda: requantize([1], "single_up", 0.5, fmt="int8"),
        "requantize: fmt='int8' is not an IntFormat; pass IntFormat(8) or parse_format('int8')",
    ),
    (lambda: quantize([1.0], "float32_ties_even", 1.0), "quantize: x has dtype float64; pass float32"),
    (
        lambda: quantize(FLOATS, "float32_ties_even", Fraction(1), zero_point=True),
        "quantize: zero_point=True is not an integer; pass -128..127",
    ),
    (lambda: IntFormat(8.0), "IntFormat: bits=8.0 is not an int; pass 1..64"),
    (lambda: IntFormat(8, signed=1), "IntFormat: signed=1 is not a bool"),
]


@pytest.mark.parametrize(("call", "message"), KIND, ids=[m[:60] for _, m in KIND])
def test_a_wrong_kind_is_a_type_error(call, message):
    with pytest.raises(TypeError, match=re.escape(message)) as caught:
        call()
    assert str(caught.value) == message
