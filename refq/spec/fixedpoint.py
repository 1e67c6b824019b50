"""Saturating fixed-point primitives, and every way a real scale becomes multiplier and shift.

Our shift counts bits to the right of the whole product, so TFLite's left-positive s is 31 - s here.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from refq.formats import IntFormat, Overflow, Rounding
from refq.rules import Derivation, FixedScale, Scaling
from refq.spec.floats import FLOAT32, FLOAT64, exponent, round_to_float
from refq.spec.rounding import narrow, round_to_integer, shift_right


def high_multiply(a: int, b: int, bits: int = 32, rounding: Rounding = Rounding.TIES_UP) -> int:
    """saturate(round(a * b / 2**(bits-1))): the saturating doubling high multiply.

    Ties go up, also for negative products (gemmlowp SaturatingRoundingDoublingHighMul, Arm SQRDMULH);
    FLOOR gives SQDMULH. Only the product of both minima saturates.

    >>> high_multiply(-1, 2**30), high_multiply(-3, 2**30), high_multiply(-2**31, -2**31)
    (0, -1, 2147483647)
    """
    return narrow(shift_right(a * b, bits - 1, rounding), IntFormat(bits), Overflow.SATURATE)


def saturating_left_shift(x: int, shift: int, bits: int = 32) -> int:
    """saturate(x * 2**shift).

    >>> saturating_left_shift(-2**30, 2)
    -2147483648
    """
    return narrow(x << shift, IntFormat(bits), Overflow.SATURATE)


def saturating_add(a: int, b: int, bits: int = 32) -> int:
    """saturate(a + b).

    >>> saturating_add(-2**31, -1)
    -2147483648
    """
    return narrow(a + b, IntFormat(bits), Overflow.SATURATE)


def effective_scale(input: Fraction, weight: Fraction, output: Fraction, scaling: Scaling) -> Fraction:
    """input * weight / output, each operation rounded as the scaling says.

    >>> s = Fraction(0.052961245179176331), Fraction(0.024093778803944588), Fraction(0.11484327912330627)
    >>> float(effective_scale(*s, Scaling.FLOAT32_PRODUCT)).hex()
    '0x1.6c16c20000000p-7'
    """
    product = input * weight
    if scaling in (Scaling.FLOAT32_PRODUCT, Scaling.MIXED_PRODUCT):
        product = round_to_float(product, FLOAT32)
    if scaling == Scaling.DOUBLE_PRODUCT:
        product = round_to_float(product, FLOAT64)
    quotient = product / output
    if scaling == Scaling.FLOAT32_PRODUCT:
        return round_to_float(quotient, FLOAT32)
    return quotient if scaling == Scaling.EXACT_PRODUCT else round_to_float(quotient, FLOAT64)


def _normalized(scale: Fraction, bits: int) -> tuple[Fraction, int]:
    """scale = fraction * 2**e with 1/2 <= fraction < 1 (C's frexp), the fraction times 2**bits."""
    e = exponent(scale) + 1
    return scale / Fraction(2) ** (e - bits), e


def quantize_multiplier(scale: Fraction) -> FixedScale:
    """31 bits, ties away, with the overflow corner and the flush (TFLite QuantizeMultiplier).

    1 - 2**-32 rounds up to 2**31 and is halved; below 2**-32 the multiplier is 0.

    >>> quantize_multiplier(Fraction(1, 4)), quantize_multiplier(Fraction(1, 2**33))
    (FixedScale(multiplier=1073741824, shift=32, addend=0), FixedScale(multiplier=0, shift=31, addend=0))
    """
    if scale == 0:
        return FixedScale(0, 31)
    fraction, e = _normalized(scale, 31)
    multiplier = round_to_integer(fraction, Rounding.TIES_AWAY)
    if multiplier == 1 << 31:
        multiplier, e = multiplier // 2, e + 1
    return FixedScale(0, 31) if e < -31 else FixedScale(multiplier, 31 - e)


def quantize_multiplier_saturated(scale: Fraction) -> FixedScale:
    """As quantize_multiplier, but from 2**30 up it stays at the largest factor (TFLITE_SINGLE_ROUNDING).

    >>> quantize_multiplier_saturated(Fraction(2**31))
    FixedScale(multiplier=2147483647, shift=1, addend=0)
    """
    fixed = quantize_multiplier(scale)
    return FixedScale((1 << 31) - 1, 1) if fixed.shift < 1 else fixed


def mantissa24(scale: Fraction) -> FixedScale:
    """The float32 scale's own 24-bit significand, shifted to 31 bits: exact (QNNPACK, XNNPACK rndnu).

    >>> mantissa24(Fraction(1, 4))
    FixedScale(multiplier=1073741824, shift=32, addend=0)
    """
    fraction, e = _normalized(round_to_float(scale, FLOAT32), 24)
    return FixedScale(int(fraction) << 7, 31 - e)


def mantissa15(scale: Fraction) -> FixedScale:
    """The 24-bit significand rounded to 15 bits, ties up, renormalized (XNNPACK rndnu16).

    >>> mantissa15(Fraction(1, 4))
    FixedScale(multiplier=16384, shift=16, addend=0)
    """
    fraction, e = _normalized(round_to_float(scale, FLOAT32), 15)
    multiplier = round_to_integer(fraction, Rounding.TIES_UP)
    return FixedScale(1 << 14, 14 - e) if multiplier == 1 << 15 else FixedScale(multiplier, 15 - e)


def reduced15(scale: Fraction) -> FixedScale:
    """The 31-bit multiplier cut to 15 bits, ties up, saturated at 2**15 - 1 (TFLite, int64 accumulators)."""
    return reduce_multiplier(quantize_multiplier(scale))


def reduce_multiplier(fixed: FixedScale) -> FixedScale:
    """A 31-bit multiplier rounded to its upper 15 bits, saturated, not renormalized.

    >>> reduce_multiplier(FixedScale(1073774592, 31))
    FixedScale(multiplier=16385, shift=15, addend=0)
    """
    upper = min(shift_right(fixed.multiplier, 16, Rounding.TIES_UP), (1 << 15) - 1)
    return FixedScale(upper, fixed.shift - 16)


def _tosa(scale: Fraction, bits: int) -> FixedScale:
    fraction, e = _normalized(scale, bits)
    multiplier = round_to_integer(fraction, Rounding.TIES_AWAY)
    if multiplier == 1 << bits:
        multiplier, e = multiplier // 2, e + 1
    shift = bits - e
    return FixedScale(multiplier >> max(shift - 62, 0), min(shift, 62))


def tosa32(scale: Fraction) -> FixedScale:
    """31 bits, ties away; a shift over 62 is taken out of the multiplier (TOSA RESCALE, scale32).

    >>> tosa32(Fraction(1)), tosa32(Fraction(1, 2**40)).shift
    (FixedScale(multiplier=1073741824, shift=30, addend=0), 62)
    """
    return _tosa(scale, 31)


def tosa16(scale: Fraction) -> FixedScale:
    """15 bits, ties away (TOSA RESCALE, scale16).

    >>> tosa16(Fraction(1))
    FixedScale(multiplier=16384, shift=14, addend=0)
    """
    return _tosa(scale, 15)


def dyadic31(scale: Fraction) -> FixedScale:
    """31 bits, ties away, and no correction when that gives 2**31 (HAWQ-V3 batch_frexp).

    >>> dyadic31(1 - Fraction(1, 2**32)).multiplier == 2**31
    True
    """
    fraction, e = _normalized(scale, 31)
    return FixedScale(round_to_integer(fraction, Rounding.TIES_AWAY), 31 - e)


def fixed_point(scale: Fraction, fraction_bits: int) -> FixedScale:
    """round(scale * 2**fraction_bits), ties even: not normalized (NEMO, DORY, PULP-NN).

    >>> fixed_point(Fraction(1, 7), 8)
    FixedScale(multiplier=37, shift=8, addend=0)
    """
    return FixedScale(round_to_integer(scale * (1 << fraction_bits), Rounding.TIES_EVEN), fraction_bits)


def reciprocal_scale(divisor: int) -> FixedScale:
    """1 / divisor as TOSA's average pool takes it; the +1 makes exact ties overshoot.

    >>> reciprocal_scale(4), reciprocal_scale(6).multiplier
    (FixedScale(multiplier=1073741825, shift=32, addend=0), 1431655766)
    """
    k = (divisor - 1).bit_length()
    return FixedScale((((1 << 30) + 1) << k) // divisor, 30 + k)


_DERIVE: dict[Derivation, Callable[[Fraction], FixedScale]] = {
    Derivation.Q31: quantize_multiplier,
    Derivation.Q31_SATURATED: quantize_multiplier_saturated,
    Derivation.MANTISSA24: mantissa24,
    Derivation.MANTISSA15: mantissa15,
    Derivation.REDUCED15: reduced15,
    Derivation.TOSA32: tosa32,
    Derivation.TOSA16: tosa16,
    Derivation.DYADIC31: dyadic31,
}


def fixed_scale(scale: Fraction, derivation: Derivation, fraction_bits: int = 16) -> FixedScale:
    """The multiplier and shift that one way of deriving them makes of a real scale."""
    if derivation == Derivation.FIXED_POINT:
        return fixed_point(scale, fraction_bits)
    return _DERIVE[derivation](scale)
