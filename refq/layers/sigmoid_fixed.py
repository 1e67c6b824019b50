"""exp, 1 / (1 + x), logistic and tanh in fixed point, as gemmlowp computes them.

A number with k integer bits in b bits is raw / 2**(b - 1 - k). Products are rounded, doubled high products.
Arrays of raw values are int64; b is 32 or 16. Source: gemmlowp fixedpoint.h.
"""

from __future__ import annotations

from fractions import Fraction
from math import exp, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.formats import IntFormat, Rounding
from refq.layers.lookup import Grids
from refq.layers.shifts import divide
from refq.requantize import requantize

Raw = NDArray[np.int64]


def product(a: Any, b: Any, bits: int = 32) -> Raw:
    """Rounded, doubled high product: round_up(a b / 2**(bits-1)), saturated (only minimum times minimum exceeds).

    >>> product(np.array([3, -3]), 1 << 30)
    array([ 2, -1])
    """
    rounded = (np.asarray(a, np.int64) * np.asarray(b, np.int64) + (1 << (bits - 2))) >> (bits - 1)
    result: Raw = np.minimum(rounded, (1 << (bits - 1)) - 1)
    return result


def divide_by_power(x: Any, exponent: Any) -> Raw:
    """x / 2**exponent, ties away from zero; exponent 0..31, one or one an element.

    >>> divide_by_power(np.array([-3, -1, 1, 3]), 1)
    array([-2, -1,  1,  2])
    """
    return divide(x, exponent, Rounding.TIES_AWAY)


def shift_left(x: Raw, exponent: int, bits: int) -> Raw:
    """x * 2**exponent, saturated to `bits`."""
    result: Raw = np.clip(x << exponent, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return result


def constant(value: float, integer_bits: int, bits: int) -> int:
    """A constant at 32 bits, ties away, then brought to 16 bits, ties away, where that is the width."""
    raw = int(abs(value) * 2.0 ** (31 - integer_bits) + 0.5) * (1 if value > 0 else -1)
    return int(divide_by_power(raw, 32 - bits))


def _exp_of_a_quarter(a: Raw, bits: int) -> Raw:
    """exp of a in [-1/4, 0), no integer bits: the Taylor polynomial of degree 4 around -1/8."""
    x = a + (1 << (bits - 4))
    square = product(x, x, bits)
    cube, fourth = product(square, x, bits), product(square, square, bits)
    third = product(divide_by_power(fourth, 2) + cube, constant(1 / 3, 0, bits), bits)
    rest = divide_by_power(third + square, 1)
    middle = constant(exp(-0.125), 0, bits)
    total = middle + product(middle, x + rest, bits)
    return total if bits == 32 else shift_left(total, 0, bits)


def exp_on_negative_values(a: Raw, integer_bits: int, bits: int = 32) -> Raw:
    """exp of a <= 0, a with 2 to 5 integer bits; the result has none and 1 is its largest raw value.

    The part in [-1/4, 0) goes through the polynomial; each bit of the rest multiplies by exp(-2**k).

    >>> exp_on_negative_values(np.array([0, -(1 << 26)]), 5) / 2**31
    array([1.        , 0.36787955])
    """
    fraction = bits - 1 - integer_bits
    quarter = 1 << (fraction - 2)
    low = (a & (quarter - 1)) - quarter
    result = _exp_of_a_quarter(low << integer_bits, bits)
    for power in range(-2, integer_bits):
        factor = constant(exp(-(2.0**power)), 0, bits)
        taken = (low - a) & (1 << (fraction + power))
        result = np.where(taken != 0, product(result, factor, bits), result)
    return np.where(a == 0, (1 << (bits - 1)) - 1, result)


def _newton(a: Raw, bits: int) -> Raw:
    """2 / (1 + a) for a in [0, 1), with 2 integer bits: three Newton steps for the reciprocal of (1 + a) / 2."""
    half = (a + (1 << (bits - 1))) >> 1
    x = constant(48 / 17, 2, bits) + product(half, constant(-32 / 17, 2, bits), bits)
    for _ in range(3):
        rest = (1 << (bits - 3)) - product(half, x, bits)
        x = x + shift_left(product(x, rest, bits), 2, bits)
    return x


def one_over_one_plus(a: Raw, bits: int = 32) -> Raw:
    """1 / (1 + a) for a in [0, 1), without integer bits.

    >>> one_over_one_plus(np.array([0, 1 << 30])) / 2**31
    array([1.        , 0.66666667])
    """
    return shift_left(_newton(a, bits), 1, bits)


def logistic(a: Raw, integer_bits: int, bits: int = 32) -> Raw:
    """1 / (1 + exp(-a)); the result has no integer bits, and is 1/2 exactly at 0.

    >>> logistic(np.array([0, 1 << 27]), 4) / 2**31
    array([0.5       , 0.73105852])
    """
    positive = one_over_one_plus(exp_on_negative_values(-abs(a), integer_bits, bits), bits)
    one = (1 << (bits - 1)) - 1
    return np.where(a == 0, 1 << (bits - 2), np.where(a > 0, positive, one - positive))


def tanh(a: Raw, integer_bits: int, bits: int = 32) -> Raw:
    """(1 - e) / (1 + e) with e = exp(-2 |a|), and the sign of a; the result has no integer bits.

    >>> tanh(np.array([0, -(1 << 27)]), 4) / 2**31
    array([ 0.       , -0.7615941])
    """
    e = exp_on_negative_values(-abs(a), integer_bits + 1, bits)
    size = shift_left(_newton(e, bits) - (1 << (bits - 3)), 2, bits)
    return np.where(a == 0, 0, np.where(a < 0, -size, size))


def _in_16(codes: Raw, grids: Grids) -> tuple[Raw, int]:
    """Codes as fixed point of 4 integer bits, and the difference from which on the curve is at its end."""
    fixed = derive(Fraction(float(grids.scale)) * (1 << 27))
    radius = floor(Fraction(15 << 27) / Fraction(2) ** (31 - fixed.shift))
    inside = np.clip(codes - grids.zero_point, 1 - radius, radius - 1)
    return requantize(inside, "gemmlowp_double", fixed, fmt=IntFormat(32)).astype(np.int64), radius


def _ended(codes: Raw, grids: Grids, radius: int, value: Raw) -> Raw:
    """The value, clamped; the ends of the format for differences of `radius` and more."""
    x, fmt = codes - grids.zero_point, grids.out_fmt
    value = np.clip(value, fmt.qmin, fmt.qmax)
    return np.where(x <= -radius, fmt.qmin, np.where(x >= radius, fmt.qmax, value))


def logistic_codes(codes: Raw, grids: Grids) -> Raw:
    """LOGISTIC, 8-bit codes to 8-bit codes of scale 2**-8, zero point the lowest code. Source: TFLM, integer_ops.

    >>> from refq.formats import INT8
    >>> logistic_codes(np.array([-20, 0, 20]), Grids(np.float32(0.1), 0, INT8, np.float32(2.0**-8), -128, INT8))
    array([-97,   0,  97])
    """
    raw, radius = _in_16(codes, grids)
    return _ended(codes, grids, radius, divide_by_power(logistic(raw, 4), 23) + grids.out_fmt.qmin)


def tanh_codes(codes: Raw, grids: Grids) -> Raw:
    """TANH, 8-bit codes to 8-bit codes of scale 2**-7, zero point 0 (uint8: 128). Source: TFLM, integer_ops."""
    raw, radius = _in_16(codes, grids)
    middle = 0 if grids.out_fmt.signed else 128
    return _ended(codes, grids, radius, divide_by_power(tanh(raw, 4), 24) + middle)
