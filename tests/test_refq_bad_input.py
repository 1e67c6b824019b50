"""Bad input is refused with one line that names function, argument, value, legal set and place."""

import re

import numpy as np
import pytest

from refq import (
    INT8,
    RULES,
    Derivation,
    FixedScale,
    IntFormat,
    Overflow,
    Rounding,
    Rule,
    Scaling,
    count_differences,
    derive,
    effective_scale,
    find_rule,
    high_multiply,
    narrow,
    parse_format,
    parse_semantics,
    quantize,
    requantize,
    round_to_integer,
    saturating_add,
    saturating_left_shift,
    shift_right,
    staircase,
)

UP, NAN, INF = Rounding.TIES_UP, float("nan"), float("inf")
Q31 = (1 << 31) - 1
FIXED = FixedScale(1 << 30, 31)
LEGAL_RULES = ", ".join(RULES)
EXACT_ONLY = Rule("mine", RULES["single_up"].arithmetic, Derivation.Q31, UP)
FLOATS = np.float32([1, 2])

RANGE = [
    (lambda: shift_right([1], 63, UP), "shift_right: shift=63 is outside 0..62"),
    (lambda: shift_right([1], -1, UP), "shift_right: shift=-1 is outside 0..62"),
    (
        lambda: shift_right([[0, 1], [2, 1 << 62]], 1, UP),
        f"shift_right: x[1, 1]={1 << 62} is outside {1 - (1 << 62)}..{(1 << 62) - 1}",
    ),
    (lambda: round_to_integer([0.0, NAN], UP), "round_to_integer: x.flat[1]=nan is outside -2**62..2**62"),
    (lambda: round_to_integer([-INF], UP), "round_to_integer: x.flat[0]=-inf is outside -2**62..2**62"),
    (lambda: narrow([0, 200], INT8, Overflow.ERROR), "narrow: x[1]=200 is outside -128..127, the range of int8"),
    (
        lambda: narrow([0], IntFormat(8, narrow_range=True), Overflow.WRAP),
        "narrow: overflow=WRAP has no meaning for int8_narrow; pass Overflow.SATURATE",
    ),
    (lambda: high_multiply([1], [1], 33), "high_multiply: bits=33 is outside 2..32"),
    (lambda: high_multiply([128], [1], 8), "high_multiply: a[0]=128 is outside -128..127"),
    (lambda: saturating_add([1], [0, -129], 8), "saturating_add: b[1]=-129 is outside -128..127"),
    (lambda: saturating_left_shift([1], 32), "saturating_left_shift: shift=32 is outside 0..31"),
    (lambda: saturating_left_shift([200], 1, 8), "saturating_left_shift: x[0]=200 is outside -128..127"),
    (lambda: derive(0.0), "derive: scale=0.0 is not positive; pass a scale > 0"),
    (lambda: derive(-0.5), "derive: scale=-0.5 is not positive; pass a scale > 0"),
    (lambda: derive(NAN), "derive: scale=nan is not finite; pass a scale > 0"),
    (lambda: derive(INF), "derive: scale=inf is not finite; pass a scale > 0"),
    (
        lambda: derive(1e-40),
        "derive: scale=1e-40 is below 2**-126 (subnormal in float32); runtimes may flush it to zero",
    ),
    (lambda: derive(2**128), f"derive: scale={2**128} is outside 2**-126..(2 - 2**-23) * 2**127, the float32 range"),
    (
        lambda: derive(0.5, "q32"),
        "derive: derivation='q32' is unknown; legal: q31, q31_saturated, mantissa24, mantissa15, reduced15, tosa32, "
        "tosa16, dyadic31, fixed_point",
    ),
    (lambda: derive(0.5, "fixed_point", 63), "derive: fraction_bits=63 is outside 0..62"),
    (
        lambda: effective_scale(1.0, 1.0, 1.0, Scaling.DIVISION),
        "effective_scale: scaling=<Scaling.DIVISION: 'division'> is no scale product; legal: float32_product, "
        "double_product, mixed_product, exact_product",
    ),
    (lambda: effective_scale(1.0, 0.0, 1.0), "effective_scale: weight=0.0 is not positive; pass a scale > 0"),
    (lambda: requantize([1], "tflite", 0.5), f"requantize: rule='tflite' is unknown; legal: {LEGAL_RULES}"),
    (lambda: requantize([1], "single_up", 0), "requantize: scale=0 is not positive; pass a scale > 0"),
    (lambda: requantize([1], "single_up", np.float32(NAN)), "requantize: scale=nan is not finite; pass a scale > 0"),
    (lambda: requantize([1], "single_up", [0.5, -1.0]), "requantize: scale=-1.0 is not positive; pass a scale > 0"),
    (
        lambda: requantize([5, 1 << 31], "single_up", 0.5),
        f"requantize: acc[1]={1 << 31} is outside {-(1 << 31)}..{Q31}",
    ),
    (
        lambda: requantize([5, -5], "tosa_scale32_single", FixedScale(1 << 30, 3)),
        "requantize: acc[0]=5 is outside -4..3",
    ),
    (lambda: requantize([1], "single_up", FixedScale(1 << 30, 63)), "requantize: shift=63 is outside 0..62"),
    (lambda: requantize([1], "tosa_scale16", FixedScale(1, 1)), "requantize: shift=1 is outside 2..62"),
    (lambda: requantize([1], "reduced_int64_halved", FixedScale(1, 0)), "requantize: shift=0 is outside 1..62"),
    (
        lambda: requantize([1], "single_up", FixedScale(1 << 31, 31)),
        f"requantize: multiplier={1 << 31} is outside -{Q31}..{Q31}",
    ),
    (
        lambda: requantize([1], "tosa_scale16", FixedScale(-1, 14)),
        "requantize: multiplier=-1 is outside 0..32767",
    ),
    (
        lambda: requantize([1], "gemmlowp_double", FixedScale(1 << 30, 31, 5)),
        "requantize: addend=5 needs a rule of one plain shift; gemmlowp_double is none",
    ),
    (
        lambda: requantize([1], "xnnpack_rndnu", 2.0**33),
        "requantize: scale=8589934592.0 does not fit xnnpack_rndnu: shift=-3 is outside 0..62",
    ),
    (lambda: requantize([1], "single_up", FIXED, zero_point=128), "requantize: zero_point=128 is outside -128..127"),
    (lambda: requantize([1], "single_up", FIXED, fmt=IntFormat(33)), "requantize: fmt.bits=33 is outside 1..32"),
    (
        lambda: requantize([1, 2], "single_up", [0.5, 0.5, 0.5]),
        "requantize: axis=0 has 2 channels, the parameters have 3",
    ),
    (
        lambda: requantize([1, 2], "single_up", [0.5, 0.5, 0.5], zero_point=[1, 2]),
        "requantize: zero_point has 2 channels, expected 1 or 3",
    ),
    (
        lambda: requantize(1, "single_up", [0.5, 0.5]),
        "requantize: 2 channels on a scalar; pass an array with a channel axis",
    ),
    (lambda: requantize([1, 2], "single_up", [0.5, 0.5], axis=1), "requantize: axis=1 is outside -1..0"),
    (lambda: quantize(np.float32([[1, NAN]]), "float32_ties_even", 1.0), "quantize: x.flat[1] is NaN; NaN has no code"),
    (
        lambda: quantize(FLOATS, "float32_ties_even", 1.0, scaling=Scaling.EXACT_PRODUCT),
        f"quantize: scaling={Scaling.EXACT_PRODUCT!r} is not Scaling.DIVISION or Scaling.RECIPROCAL",
    ),
    (
        lambda: quantize(FLOATS, EXACT_ONLY, 1.0),
        "quantize: rule='mine' has no float arithmetic; legal: float32_ties_even, float32_ties_away, float32_ties_up, "
        "float64_ties_even, float64_ties_away",
    ),
    (lambda: staircase("single_up", 0.25, zero_point=-129), "staircase: zero_point=-129 is outside -128..127"),
    (
        lambda: staircase("single_up", 0.25, domain=(0, 1 << 31)),
        f"staircase: domain=0..{1 << 31} is outside {-(1 << 31)}..{Q31} of single_up",
    ),
    (
        lambda: staircase("gemmlowp_double", FixedScale(1 << 30, 1)),
        f"staircase: a left shift of 30 wraps {1 << 30} times on {-(1 << 31)}..{Q31}; pass a smaller domain",
    ),
    (
        lambda: count_differences("single_up", "tosa_scale32_single", FixedScale(1 << 30, 30)),
        f"count_differences: tosa_scale32_single is defined on {-(1 << 29)}..{(1 << 29) - 1} only; "
        "use difference instead",
    ),
    (lambda: IntFormat(0), "IntFormat: bits=0 is outside 1..64"),
    (lambda: IntFormat(65), "IntFormat: bits=65 is outside 1..64"),
    (
        lambda: parse_format("float32"),
        "parse_format: text='float32' is no format name; write int8, uint4, int8_narrow, ...",
    ),
    (lambda: find_rule("nope"), f"find_rule: name='nope' is no rule; legal: {LEGAL_RULES}"),
    (
        lambda: parse_semantics("single_up/x"),
        "parse_semantics: text='single_up/x' has 'x'; legal there: float32_product, double_product, mixed_product, "
        "exact_product",
    ),
    (
        lambda: parse_semantics("a/b/c/d/e"),
        "parse_semantics: text='a/b/c/d/e' has 5 parts; write RULE/SCALING/ZERO_POINT/CLAMP",
    ),
]


@pytest.mark.parametrize(("call", "message"), RANGE, ids=[m[:60] for _, m in RANGE])
def test_a_value_outside_is_a_value_error(call, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        call()
    assert str(caught.value) == message
