"""Sums as TFLite's kernels compute them: three rescalings, the power-of-two form, and the x86 vector kernels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from refq.fixedpoint import derive
from refq.formats import Rounding
from refq.layers.elementwise import Codes, Ints, Operands
from refq.layers.shifts import divide, high_multiply, rescale, wrap
from refq.rules import FixedScale


@dataclass(frozen=True)
class Rescalings:
    """The three multipliers of TFLite's add and the bits by which the inputs are shifted left before."""

    first: FixedScale
    second: FixedScale
    output: FixedScale
    left: int


def rescalings(operands: Operands) -> Rescalings:
    """Both inputs on the grid of twice the larger scale, 2**left times finer; then from there to the output.

    left is 20 for 8-bit inputs and 15 for 16-bit ones. Each factor is a float64 quotient.
    Source: TFLite add.cc, sub.cc; QuantizeMultiplierSmallerThanOneExp, which refuses factors of 1 and more.
    """
    left = 20 if operands.output.fmt.bits == 8 else 15
    first, second, output = (float(x.scale) for x in (operands.first, operands.second, operands.output))
    twice = 2 * max(first, second)
    factors = first / twice, second / twice, twice / (output * 2.0**left)
    if factors[2] >= 1:
        raise ValueError(f"add: scale ratio {twice / output:g} is 2**{left} or more; TFLite stops there")
    fixed = [derive(Fraction(factor)) for factor in factors]
    return Rescalings(fixed[0], fixed[1], fixed[2], left)


def three_rescalings(rule: str, a: Codes, b: Codes, operands: Operands) -> Ints:
    """Sums with the zero point, unclamped: rule(rule(a << left) + rule(b << left)) + zero point.

    a, b: codes, one shape. rule: gemmlowp_double, double_up or single_up. The second multiplier carries the sign.
    Source: TFLite reference add, TFLM, CMSIS-NN arm_elementwise_add.
    """
    plan = rescalings(operands)
    second = FixedScale(operands.sign * plan.second.multiplier, plan.second.shift)
    x = (a.astype(np.int64) - operands.first.zero_point) << plan.left
    y = (b.astype(np.int64) - operands.second.zero_point) << plan.left
    total = rescale(x, rule, plan.first) + rescale(y, rule, second)
    return rescale(total, rule, plan.output) + operands.output.zero_point


def _moved(x: Ints, left: int) -> Ints:
    """Left shift, or right shift with floor where `left` is negative (vshlq)."""
    return x << left if left >= 0 else x >> -left


def _finish_vector(total: Ints, output: FixedScale, zero_point: int) -> Ints:
    """High multiply, shift with ties away, cut to int16, zero point added in int16."""
    high = high_multiply(total, output.multiplier)
    rounded = divide(high, max(output.shift - 31, 0), Rounding.TIES_AWAY)
    return wrap(wrap(rounded, 16) + zero_point, 16)


def vectors_shift_first(a: Codes, b: Codes, operands: Operands) -> Ints:
    """The 16-wide body of AddElementwiseInt8: each input is shifted by both shifts, then multiplied, rounded once."""
    plan = rescalings(operands)
    x = _moved(a.astype(np.int64) - operands.first.zero_point, plan.left + 31 - plan.first.shift)
    y = _moved(b.astype(np.int64) - operands.second.zero_point, plan.left + 31 - plan.second.shift)
    total = high_multiply(x, plan.first.multiplier) + high_multiply(y, plan.second.multiplier)
    return _finish_vector(total, plan.output, operands.output.zero_point)


def vectors_floor(a: Codes, b: Codes, operands: Operands) -> Ints:
    """The 8-wide body of uint8 adds and of adds of one int8 number: the shift after the multiply takes the floor."""
    plan = rescalings(operands)
    x = high_multiply((a.astype(np.int64) - operands.first.zero_point) << plan.left, plan.first.multiplier)
    y = high_multiply((b.astype(np.int64) - operands.second.zero_point) << plan.left, plan.second.multiplier)
    total = _moved(x, 31 - plan.first.shift) + _moved(y, 31 - plan.second.shift)
    return _finish_vector(total, plan.output, operands.output.zero_point)


def power_of_two_shifts(operands: Operands) -> tuple[int, int] | None:
    """log2(scale / output scale) of both inputs where TFLite's pot_scale_int16 form holds, else None.

    It holds for three powers of two and zero points of 0. Source: TFLite add.cc, CheckedLog2.
    """
    everything = operands.first, operands.second, operands.output
    exponents = [np.frexp(x.scale) for x in everything]
    if any(x.zero_point for x in everything) or any(float(m) != 0.5 for m, _ in exponents):
        return None
    first, second, output = (int(e) for _, e in exponents)
    return first - output, second - output


def power_of_two(a: Codes, b: Codes, operands: Operands) -> Ints:
    """int16 sums where the scales are powers of two: one input shifted right, ties away, and added.

    Source: TFLite reference_ops::Add (LSTM special case), Sub16; one shift must be 0 and none positive.
    """
    shifts = power_of_two_shifts(operands)
    if shifts is None or 0 not in shifts or max(shifts) > 0:
        raise ValueError(
            f"add: shifts={shifts} are not a pair with one 0 and none positive; pass pot_scale_int16=False"
        )
    x = divide(a.astype(np.int64), -shifts[0], Rounding.TIES_AWAY)
    return x + operands.sign * divide(b.astype(np.int64), -shifts[1], Rounding.TIES_AWAY)


def vectors_product(a: Codes, b: Codes, operands: Operands, saturating: bool = True) -> Ints:
    """The vector bodies of MulElementwise, MulSimpleBroadcast: gemmlowp_double, cut to int16, zero point in int16.

    saturating: how the cut is made; the uint8 body of one number and an array wraps. The factor is a float32 product,
    as in TFLite mul.cc; a left shift wraps at 32 bits.
    """
    scales = operands.first.scale, operands.second.scale, operands.output.scale
    factor = derive(Fraction(float(np.float32(scales[0] * scales[1]) / scales[2])))
    product = (a.astype(np.int64) - operands.first.zero_point) * (b.astype(np.int64) - operands.second.zero_point)
    shifted = wrap(product << max(31 - factor.shift, 0), 32)
    rounded = divide(high_multiply(shifted, factor.multiplier), max(factor.shift - 31, 0), Rounding.TIES_AWAY)
    cut = np.clip(rounded, -(1 << 15), (1 << 15) - 1) if saturating else wrap(rounded, 16)
    return wrap(cut + operands.output.zero_point, 16)
