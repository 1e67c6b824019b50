"""Sums and products of two quantized numbers, one pair at a time: what every kernel of them must equal.

Results include the output's zero point and are not clamped; `stored` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from refq.formats import INT8, INT16, INT32, IntFormat, Overflow, Rounding
from refq.rules import FixedScale, Rule
from refq.spec.fixedpoint import high_multiply, quantize_multiplier, tosa32
from refq.spec.floats import FLOAT32, FLOAT64, exponent, round_to_float
from refq.spec.requantize import requantize
from refq.spec.rounding import narrow, round_to_integer, shift_right


@dataclass(frozen=True)
class Affine:
    """value = scale * (code - zero_point); the scale is a float32."""

    scale: Fraction
    zero_point: int
    fmt: IntFormat = INT8


@dataclass(frozen=True)
class Operands:
    """Both inputs and the output; sign -1 subtracts the second."""

    first: Affine
    second: Affine
    output: Affine
    sign: int = 1


def stored(value: int, output: Affine, limits: tuple[int, int] | None = None) -> int:
    """value inside the output's format and the bounds of a fused activation."""
    low, high = limits or (output.fmt.qmin, output.fmt.qmax)
    return max(low, min(narrow(value, output.fmt, Overflow.SATURATE), high))


def _single(value: Fraction) -> Fraction:
    return round_to_float(value, FLOAT32)


def _double(value: Fraction) -> Fraction:
    return round_to_float(value, FLOAT64)


def _fine_bits(operands: Operands) -> int:
    return 20 if operands.output.fmt.bits == 8 else 15


def _tflite_factors(operands: Operands) -> tuple[Fraction, Fraction, Fraction]:
    """Of the first and the second input, and of the sum: quotients of float64 numbers that were float32."""
    twice = 2 * max(operands.first.scale, operands.second.scale)
    fine = operands.output.scale * (1 << _fine_bits(operands))
    return _double(operands.first.scale / twice), _double(operands.second.scale / twice), _double(twice / fine)


def three_rescalings(a: int, b: int, rule: Rule, operands: Operands) -> int:
    """TFLite's sum: each input and their sum rescaled by `rule` with a multiplier of 31 bits.

    >>> from refq.semantics import RULES
    >>> half, one = Affine(Fraction(1, 2), 0), Affine(Fraction(1), 0)
    >>> [three_rescalings(a, 0, RULES["gemmlowp_double"], Operands(half, half, one)) for a in (1, -1, 3, -3)]
    [1, -1, 2, -2]
    """
    bits = _fine_bits(operands)
    factors = [quantize_multiplier(f) for f in _tflite_factors(operands)]
    signed = FixedScale(operands.sign * factors[1].multiplier, factors[1].shift)
    x = requantize((a - operands.first.zero_point) << bits, rule, factors[0], 0, INT32)
    y = requantize((b - operands.second.zero_point) << bits, rule, signed, 0, INT32)
    return requantize(x + y, rule, factors[2], 0, INT32) + operands.output.zero_point


def _vector_end(total: int, factor: FixedScale, zero_point: int) -> int:
    """The end of TFLite's vector bodies: the sum becomes int16 before and after the zero point is added."""
    high = high_multiply(total, factor.multiplier)
    rounded = shift_right(high, factor.shift - 31, Rounding.TIES_AWAY)
    return narrow(narrow(rounded, INT16, Overflow.WRAP) + zero_point, INT16, Overflow.WRAP)


def vector_sum(a: int, b: int, operands: Operands, shift_first: bool) -> int:
    """A sum in a vector body of TFLite's optimized kernels on x86.

    shift_first: the 16-wide int8 body shifts left by 20 less the right shift, then multiplies; the others multiply
    first, and their right shift takes the floor.
    """
    factors = [quantize_multiplier(f) for f in _tflite_factors(operands)]
    total = 0
    steps = a - operands.first.zero_point, b - operands.second.zero_point
    for x, factor in zip(steps, factors[:2], strict=True):
        right = factor.shift - 31
        if shift_first:
            moved = Fraction(x) * Fraction(2) ** (20 - right)
            total += high_multiply(round_to_integer(moved, Rounding.FLOOR), factor.multiplier)
        else:
            total += shift_right(high_multiply(x << 20, factor.multiplier), right, Rounding.FLOOR)
    return _vector_end(total, factors[2], operands.output.zero_point)


def vector_product(a: int, b: int, operands: Operands, saturating: bool = True) -> int:
    """A product in a vector body of TFLite's optimized kernels on x86; saturating: how it becomes int16."""
    scale = _single(_single(operands.first.scale * operands.second.scale) / operands.output.scale)
    factor = quantize_multiplier(scale)
    product = (a - operands.first.zero_point) * (b - operands.second.zero_point)
    moved = narrow(product << max(31 - factor.shift, 0), INT32, Overflow.WRAP)
    high = high_multiply(moved, factor.multiplier)
    rounded = shift_right(high, max(factor.shift - 31, 0), Rounding.TIES_AWAY)
    cut = narrow(rounded, INT16, Overflow.SATURATE if saturating else Overflow.WRAP)
    return narrow(cut + operands.output.zero_point, INT16, Overflow.WRAP)


def power_of_two(a: int, b: int, operands: Operands) -> int:
    """TFLite's int16 sum for scales that are powers of two: codes shifted to the output's scale, ties away."""
    x = round_to_integer(a * operands.first.scale / operands.output.scale, Rounding.TIES_AWAY)
    y = round_to_integer(b * operands.second.scale / operands.output.scale, Rounding.TIES_AWAY)
    return x + operands.sign * y


def one_shift(a: int, b: int, operands: Operands, bits: int, rounding: Rounding) -> int:
    """XNNPACK's (20 bits, ties up) and QNNPACK's (21 bits, ties away) sum of integer multiples, one shift.

    >>> half, one = Affine(Fraction(1, 2), 0), Affine(Fraction(1), 0)
    >>> [one_shift(a, 0, Operands(half, half, one), 20, Rounding.TIES_UP) for a in (1, -1, 3, -3)]
    [1, 0, 2, -1]
    """
    first, second = (_single(x.scale / operands.output.scale) for x in (operands.first, operands.second))
    shift = bits - exponent(max(first, second))
    weights = [round_to_integer(r * Fraction(2) ** shift, Rounding.TIES_EVEN) for r in (first, second)]
    total = weights[0] * (a - operands.first.zero_point)
    total += operands.sign * weights[1] * (b - operands.second.zero_point)
    return shift_right(total, shift, rounding) + operands.output.zero_point


def tosa(a: int, b: int, operands: Operands, inner: Rule, outer: Rule) -> int:
    """Two RESCALEs to int32 on the finer grid, an addition, a RESCALE to the output."""
    fine = 1 << _fine_bits(operands)
    factors = _tflite_factors(operands)
    x = requantize(a - operands.first.zero_point, inner, tosa32(factors[0] * fine), 0, INT32)
    y = requantize(b - operands.second.zero_point, inner, tosa32(factors[1] * fine), 0, INT32)
    total = x + operands.sign * y
    return requantize(total, outer, tosa32(factors[2]), 0, INT32) + operands.output.zero_point


def _fused(x: Fraction, y: Fraction, z: Fraction) -> Fraction:
    """A fused multiply-add: one rounding."""
    return _single(x * y + z)


def mlas(a: int, b: int, operands: Operands) -> int:
    """ONNX Runtime's float32 sum on x86 with fused multiply-adds, the zero point before the only rounding."""
    first, second = (_single(x.scale / operands.output.scale) for x in (operands.first, operands.second))
    offset = _fused(first, Fraction(operands.first.zero_point), _single(second * operands.second.zero_point))
    fixed = _single(operands.output.zero_point - offset)
    value = _fused(Fraction(a), first, _fused(Fraction(b), second, fixed))
    rounded = round_to_integer(value, Rounding.TIES_EVEN)
    return rounded if INT32.qmin <= rounded <= INT32.qmax else INT32.qmin


def float_steps(a: int, b: int, operands: Operands, product: bool = False) -> int:
    """Dequantize both, add (subtract, multiply), quantize by division: every operation rounded to float32."""
    x = _single((a - operands.first.zero_point) * operands.first.scale)
    y = _single((b - operands.second.zero_point) * operands.second.scale)
    result = _single(x * y if product else x + operands.sign * y)
    return round_to_integer(_single(result / operands.output.scale), Rounding.TIES_EVEN) + operands.output.zero_point


def exact_sum(a: int, b: int, operands: Operands, rounding: Rounding, before: bool = False) -> int:
    """round(real sum / output scale) + zero point; before: the zero point is inside the rounding."""
    x = (a - operands.first.zero_point) * operands.first.scale
    y = (b - operands.second.zero_point) * operands.second.scale
    value = (x + operands.sign * y) / operands.output.scale
    zero = operands.output.zero_point
    return round_to_integer(value + zero, rounding) if before else round_to_integer(value, rounding) + zero
