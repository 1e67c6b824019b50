"""exp, 1 / (1 + x), logistic and tanh in gemmlowp's fixed point, and TFLite's interpolated sigmoid, on Python ints."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import floor

from refq.formats import IntFormat, Overflow, Rounding
from refq.spec.fixedpoint import high_multiply, quantize_multiplier
from refq.spec.layers.tables import INTEGER, Ends
from refq.spec.layers.tables_floats import exp, ln2, logistic
from refq.spec.requantize import requantize
from refq.spec.rounding import narrow, round_to_integer, shift_right

AWAY = Rounding.TIES_AWAY


@cache
def constant(value: Fraction, integer_bits: int, bits: int) -> int:
    """round(value 2**(31 - integer_bits)), then to `bits`, ties away both times."""
    raw = round_to_integer(value * 2 ** (31 - integer_bits), AWAY)
    return shift_right(raw, 32 - bits, AWAY)


def saturated_shift(x: int, shift: int, bits: int) -> int:
    """x 2**shift, saturated."""
    return narrow(x << shift, IntFormat(bits), Overflow.SATURATE)


def exp_of_a_quarter(a: int, bits: int) -> int:
    """exp on [-1/4, 0): 1 + x + x**2 / 2 + x**3 / 6 + x**4 / 24 around -1/8, times exp(-1/8)."""
    x = a + (1 << (bits - 4))
    x2 = high_multiply(x, x, bits)
    x3, x4 = high_multiply(x2, x, bits), high_multiply(x2, x2, bits)
    third = high_multiply(shift_right(x4, 2, AWAY) + x3, constant(Fraction(1, 3), 0, bits), bits)
    rest = shift_right(third + x2, 1, AWAY)
    middle = constant(exp(Fraction(-1, 8)), 0, bits)
    return narrow(middle + high_multiply(middle, x + rest, bits), IntFormat(bits), Overflow.SATURATE)


def exp_negative(a: int, integer_bits: int, bits: int = 32) -> int:
    """exp of a <= 0: the part below a quarter by polynomial, each higher bit by a factor.

    >>> exp_negative(-(1 << 26), 5) / 2**31
    0.3678795453161001
    """
    if a == 0:
        return (1 << (bits - 1)) - 1
    fraction = bits - 1 - integer_bits
    quarter = 1 << (fraction - 2)
    low = a % quarter - quarter
    result, rest = exp_of_a_quarter(low << integer_bits, bits), low - a
    for power in range(-2, integer_bits):
        if rest >> (fraction + power) & 1:
            result = high_multiply(result, constant(exp(-(Fraction(2) ** power)), 0, bits), bits)
    return result


def newton(a: int, bits: int) -> int:
    """2 / (1 + a) with 2 integer bits: 48/17 - 32/17 d, then three times x + x (1 - d x), d = (1 + a) / 2."""
    half = shift_right(a + (1 << (bits - 1)) - 1, 1, AWAY)
    x = constant(Fraction(48, 17), 2, bits) + high_multiply(half, constant(Fraction(-32, 17), 2, bits), bits)
    for _ in range(3):
        rest = (1 << (bits - 3)) - high_multiply(half, x, bits)
        x += saturated_shift(high_multiply(x, rest, bits), 2, bits)
    return x


def one_over_one_plus(a: int, bits: int = 32) -> int:
    """1 / (1 + a)."""
    return saturated_shift(newton(a, bits), 1, bits)


def logistic_fixed(a: int, integer_bits: int, bits: int = 32) -> int:
    """1 / (1 + exp(-a)) without integer bits."""
    if a == 0:
        return 1 << (bits - 2)
    positive = one_over_one_plus(exp_negative(-abs(a), integer_bits, bits), bits)
    return positive if a > 0 else (1 << (bits - 1)) - 1 - positive


def tanh_fixed(a: int, integer_bits: int, bits: int = 32) -> int:
    """tanh(a) without integer bits."""
    if a == 0:
        return 0
    e = exp_negative(-abs(a), integer_bits + 1, bits)
    size = saturated_shift(newton(e, bits) - (1 << (bits - 3)), 2, bits)
    return size if a > 0 else -size


def curve_code(code: int, ends: Ends, curve: str) -> int:
    """LOGISTIC and TANH of 8-bit codes in TFLM: 4 integer bits, cut to 8 bits; the ends beyond what these hold."""
    fixed = quantize_multiplier(ends.scale * 2**27)
    radius = floor(Fraction(15 << 27) / Fraction(2) ** (31 - fixed.shift))
    x, fmt = code - ends.zero_point, ends.out_fmt
    if abs(x) >= radius:
        return fmt.qmin if x < 0 else fmt.qmax
    raw = requantize(x, INTEGER["gemmlowp_double"], fixed, 0, IntFormat(32))
    if curve == "logistic":
        value = shift_right(logistic_fixed(raw, 4), 23, AWAY) + fmt.qmin
    else:
        value = shift_right(tanh_fixed(raw, 4), 24, AWAY) + (0 if fmt.signed else 128)
    return narrow(value, fmt, Overflow.SATURATE)


@cache
def node(i: int) -> int:
    """65536 (s - s'' / 16) at s = logistic(i / 24), the step 1 / 24; 65535 at i = 255."""
    s = logistic(Fraction(i, 24))
    return 65535 if i == 255 else round_to_integer(65536 * (s + s * (1 - s) * (2 * s - 1) / (16 * 576)), AWAY)


def scaled_input(x: int, scale: Fraction, powers: tuple[int, ...]) -> tuple[int, int | None]:
    """(x in steps of 1 / (3 4096), log2 of scale 2**12 where that is one of the powers, nearly)."""
    log2 = logarithm(scale)
    nearest = round_to_integer(log2, AWAY)
    if abs(log2 - nearest) < Fraction(1, 1000) and nearest + 12 in powers:
        return x * (3 << (nearest + 12)), nearest + 12
    multiplier, shift = scale * 4096 * 3, 0
    while multiplier <= Fraction(32767, 2) and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    product = x * floor(multiplier)
    return (shift_right(product, shift, Rounding.TIES_UP) if shift else product), None


@cache
def logarithm(x: Fraction) -> Fraction:
    """log2 of a positive rational to some 12 digits: the exponent, then the series of artanh."""
    power = 0
    while x >= 2:
        x, power = x / 2, power + 1
    while x < 1:
        x, power = x * 2, power - 1
    z = (x - 1) / (x + 1)
    total = sum(z ** (2 * k + 1) / (2 * k + 1) for k in range(40))
    return power + 2 * total / ln2()


def interpolated(size: int, bits: int, largest: int) -> int:
    """The nodes at size / 2**bits, linear between them, `bits` fraction bits."""
    step, rest = divmod(size, 1 << bits)
    if step >= 255:
        return largest
    low, high = node(step), node(step + 1)
    return (low << bits) + rest * (high - low)


def logistic16(x: int, ends: Ends, fixed: bool) -> int:
    """LOGISTIC of int16, the table or, at scales 2**-12, the 16-bit fixed point."""
    moved, power = scaled_input(x, ends.scale, (0,))
    if fixed and power is not None:
        return logistic_fixed(x, 3, 16)
    value = interpolated(abs(moved), 9, 0x7FFF << 10)
    return (value + 512) >> 10 if moved >= 0 else ((1 << 25) - value + 511) >> 10


def tanh16(x: int, ends: Ends, fixed: bool) -> int:
    """TANH of int16, likewise at 2**-12 and 2**-11."""
    moved, power = scaled_input(x, ends.scale, (0, 1))
    if fixed and power is not None:
        return tanh_fixed(saturated_shift(x, power, 16), 3, 16)
    value = interpolated(abs(moved), 8, 0xFFFF << 8) - (1 << 23)
    return (value + 128) >> 8 if moved >= 0 else (-value + 127) >> 8
