"""softmax of one row of codes, one element at a time, under every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor

from refq.formats import IntFormat, Overflow, Rounding
from refq.spec.fixedpoint import high_multiply, quantize_multiplier
from refq.spec.layers.tables import INTEGER
from refq.spec.layers.tables_fixed import exp_negative, one_over_one_plus
from refq.spec.layers.tables_floats import exp, exp_libm, f32, f64
from refq.spec.requantize import requantize
from refq.spec.rounding import narrow, round_to_integer, shift_right

AWAY, EVEN = Rounding.TIES_AWAY, Rounding.TIES_EVEN
LARGEST = Fraction(2**128 - 2**104)
"""The largest float32."""


def fixed(row: Sequence[int], scale: Fraction, beta: Fraction, out: IntFormat) -> list[int]:
    """TFLite's reference kernel: differences with 5 integer bits, sums with 12.

    >>> fixed([10, 10, 10, -40], Fraction(1, 10), Fraction(1), IntFormat(8))
    [-43, -43, -43, -127]
    """
    steps = min(f64(beta * scale) * 2**26, Fraction(2**31 - 1))
    multiplier = quantize_multiplier(steps)
    left = 31 - multiplier.shift
    least, top = -floor(Fraction(31 << 26, 1 << left)), max(row)
    exps = [
        exp_negative(high_multiply((x - top) << left, multiplier.multiplier), 5) if x - top >= least else None
        for x in row
    ]
    total = sum(shift_right(e, 12, AWAY) for e in exps if e is not None)
    length = total.bit_length()
    reciprocal = one_over_one_plus((total << (32 - length)) - (1 << 31))
    shift = 12 - (32 - length) + 31 - out.bits
    values = [0 if e is None else shift_right(high_multiply(reciprocal, e), shift, AWAY) for e in exps]
    return [narrow(v + out.qmin, out, Overflow.SATURATE) for v in values]


def _sum32(values: Sequence[Fraction]) -> Fraction:
    total = Fraction(0)
    for value in values:
        total = f32(total + value)
    return total


def float_table(
    row: Sequence[int], scale: Fraction, beta: Fraction, out_scale: Fraction, out_zero: int, out: IntFormat
) -> list[int]:
    """TFLite's optimized kernel: e = exp(-(scale beta) d) in float32, e (1 / (sum out_scale)), rounded."""
    top, slope = max(row), f32(-scale * beta)
    exps = [exp_libm(f32(slope * (top - x))) for x in row]
    inverse = f32(1 / f32(_sum32(exps) * out_scale))
    values = [f32(e * inverse) for e in exps]
    if out.signed:
        codes = [round_to_integer(v, AWAY) + out_zero for v in values]
    else:
        codes = [floor(f32(v + Fraction(1, 2))) for v in values]
    return [narrow(c, out, Overflow.SATURATE) for c in codes]


def logarithm(x: Fraction) -> Fraction:
    """ln(x) to 50 digits."""
    with localcontext() as context:
        context.prec = 50
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).ln())


def onnxruntime(row: Sequence[int], scale: Fraction, out_scale: Fraction, out_zero: int, out: IntFormat) -> list[int]:
    """QLinearSoftmax for rows of two and more: exps lifted so that their sum stays finite."""
    lift = max(Fraction(0), f32(logarithm(f32(LARGEST / len(row)))) - 5)
    shift, top = f64(lift / scale), max(row)
    exps = [f32(f64(exp(f64(f64(x - top + shift) * scale)))) for x in row]
    factor, total = floor(f32(1 / out_scale)), _sum32(exps)
    codes = [round_to_integer(f32(f32(e * factor) / total), EVEN) + out_zero for e in exps]
    return [narrow(c, out, Overflow.SATURATE) for c in codes]


def _nodes(function: Callable[[Fraction], Fraction], low: Fraction, high: Fraction) -> list[int]:
    """513 nodes in 2**-15 steps, each lowered by half of what the chord is too high in the middle of its step."""
    step, found = f64((high - low) / 512), []

    def at(x: Fraction) -> Fraction:
        return f64(function(x))

    for i in range(512):
        value, middle = at(f64(low + i * step)), at(f64(f64(low + i * step) + step / 2))
        after = at(f64(low + (i + 1) * step))
        sample = round_to_integer(value * 32768, AWAY)
        error = round_to_integer((after * 32768 + sample) / 2, AWAY) - round_to_integer(middle * 32768, AWAY)
        found.append(sample - round_to_integer(Fraction(error, 2), AWAY))
    return [min(n, 32767) for n in [*found, round_to_integer(at(high) * 32768, AWAY)]]


def exp_nodes() -> list[int]:
    """exp on -10..0."""
    return _nodes(exp, f64(f64(Fraction(10, 65535)) * -65535), Fraction(0))


def reciprocal_nodes() -> list[int]:
    """1 / (1 + x) on 0..1."""
    return _nodes(lambda x: f64(1 / f64(1 + x)), Fraction(0), f64(f64(Fraction(1, 65535)) * 65535))


def interpolate(nodes: Sequence[int], x: int) -> int:
    """The nodes at int16 x, ties up."""
    place, rest = divmod(x + 32768, 128)
    return nodes[place] + shift_right((nodes[place + 1] - nodes[place]) * rest, 7, Rounding.TIES_UP)


def int16(
    row: Sequence[int], scale: Fraction, beta: Fraction, exps_at: Sequence[int], reciprocals: Sequence[int]
) -> list[int]:
    """TFLite's int16 kernel; the nodes are those of `exp_nodes` and `reciprocal_nodes`."""
    fixed_scale = quantize_multiplier(f64(f32(scale * beta) / f64(Fraction(10) / 65535)))
    int32, int16_, exps = IntFormat(32), IntFormat(16), []
    for x in row:
        moved = requantize(x - max(row), INTEGER["gemmlowp_double"], fixed_scale, 0, int32) + 32767
        exps.append(interpolate(exps_at, narrow(moved, int16_, Overflow.SATURATE)))
    total = sum(exps)
    length = total.bit_length()
    shifted = shift_right(total << (31 - length), 14, Rounding.TIES_UP) - (1 << 15) - (1 << 16)
    reciprocal = interpolate(reciprocals, narrow(shifted, int16_, Overflow.SATURATE))
    return [min(max(shift_right(e * reciprocal, length - 1, Rounding.TIES_UP), 0), 32767) for e in exps]


def real(
    row: Sequence[int], scale: Fraction, beta: Fraction, out_scale: Fraction, out_zero: int, out: IntFormat
) -> list[int]:
    """round_even(softmax / out_scale) + out_zero; equal codes are exact, all else is irrational.

    >>> real([5, 5], Fraction(1), Fraction(1), Fraction(1, 5), 0, IntFormat(8))
    [2, 2]
    """
    if len(set(row)) == 1:
        values = [Fraction(1, len(row))] * len(row)
    else:
        exps = [exp(scale * beta * (x - max(row))) for x in row]
        values = [e / sum(exps) for e in exps]
    return [narrow(round_to_integer(v / out_scale, EVEN) + out_zero, out, Overflow.SATURATE) for v in values]
