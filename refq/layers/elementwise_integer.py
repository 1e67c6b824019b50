"""Sums in one integer line, of XNNPACK and QNNPACK; and TOSA's three RESCALEs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from refq.fixedpoint import derive
from refq.formats import Rounding
from refq.layers.elementwise import Codes, Ints, Operands
from refq.layers.shifts import divide, rescale
from refq.rules import Derivation

RATIOS = {20: (Fraction(1, 1 << 10), Fraction(1 << 8)), 21: (Fraction(1, 1 << 14), Fraction(1 << 8))}
"""The scale ratios, input to output, that XNNPACK (20) and QNNPACK (21) take: lowest, and first too large."""


def fixed_ratios(operands: Operands, bits: int) -> tuple[int, int, int]:
    """Both input scales over the output's as integers, the larger of bits + 1 bits, and their common shift.

    Each ratio is a float32 quotient, then rounded to 2**-shift, ties even.
    """
    ratios = [np.float32(x.scale / operands.output.scale) for x in (operands.first, operands.second)]
    low, high = RATIOS[bits]
    for ratio in ratios:
        if not low <= Fraction(float(ratio)) < high:
            raise ValueError(f"add: scale ratio {ratio} is outside {low}..{high}, which the rule of {bits} bits needs")
    shift = bits - int(np.frexp(max(ratios))[1]) + 1
    first, second = (int(np.rint(np.ldexp(np.float64(r), shift))) for r in ratios)
    return first, operands.sign * second, shift


def one_shift(a: Codes, b: Codes, operands: Operands, bits: int, rounding: Rounding) -> Ints:
    """Sums with the zero point, unclamped: round((A (a - za) + B (b - zb)) / 2**shift) + zo.

    Source: XNNPACK qs8-vadd, qu8-vadd (20 bits, ties up); QNNPACK q8vadd and ONNX Runtime's NEON kernel (21, away).
    Bounds: |A (a - za) + B (b - zb)| < 2 * 2**22 * 2**8 < 2**31.
    """
    first, second, shift = fixed_ratios(operands, bits)
    total = (a.astype(np.int64) - operands.first.zero_point) * first
    total += (b.astype(np.int64) - operands.second.zero_point) * second
    return divide(total, shift, rounding) + operands.output.zero_point


def tosa(a: Codes, b: Codes, operands: Operands, rule: str) -> Ints:
    """Sums with the zero point, unclamped: RESCALE(RESCALE(a) + RESCALE(b)), as TFLite models are lowered to TOSA.

    The inputs are brought to twice the larger scale, 2**20 (16 bits: 2**15) times finer, with SINGLE_ROUND; the sum
    by `rule`, tosa_scale32_single or tosa_scale32_double. Source: MLIR TFL to TOSA, legalize_common.cc.
    """
    left = 20 if operands.output.fmt.bits == 8 else 15
    first, second, output = (float(x.scale) for x in (operands.first, operands.second, operands.output))
    twice = 2 * max(first, second)
    factors = first / twice * 2.0**left, second / twice * 2.0**left, twice / (output * 2.0**left)
    fixed = [derive(Fraction(factor), Derivation.TOSA32) for factor in factors]
    x = rescale(a.astype(np.int64) - operands.first.zero_point, "tosa_scale32_single", fixed[0])
    y = rescale(b.astype(np.int64) - operands.second.zero_point, "tosa_scale32_single", fixed[1])
    return rescale(x + operands.sign * y, rule, fixed[2]) + operands.output.zero_point
