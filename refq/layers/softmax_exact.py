"""The softmax of real numbers, rounded once, ties to even: float64 where that decides the rounding, else decimals.

By the theorem of Lindemann and Weierstrass a quotient of sums of exponentials of rationals is rational only where all
exponents of a row are equal; then the value is 1 / depth, and only then can there be a tie.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat

Codes = NDArray[np.int64]
NEAR = 1e-9
"""How near to a tie, relative to its size, a float64 value is left to decimals; its error is below 1e-11 of it."""


def softmax_steps(row: Codes, place: int, step: Fraction, out_scale: np.float32, digits: int) -> Decimal:
    """softmax(step * row)[place] / out_scale to about `digits` digits.

    >>> str(softmax_steps(np.array([1, 0]), 0, Fraction(1), np.float32(0.5), 12))
    '1.46211715726'
    """
    with localcontext() as context:
        context.prec = digits + 30
        factor = Decimal(step.numerator) / Decimal(step.denominator)
        differences, counts = np.unique(row - row[place], return_counts=True)
        terms = ((factor * int(d)).exp() * int(n) for d, n in zip(differences, counts, strict=True))
        value = 1 / (sum(terms, Decimal(0)) * Decimal(float(out_scale)))
        context.prec = digits
        return +value


def _decided(row: Codes, place: int, step: Fraction, out_scale: np.float32) -> int:
    if (row == row[0]).all():
        return round(1 / (row.size * Fraction(float(out_scale))))
    for digits in (40, 200, 1000):
        value = softmax_steps(row, place, step, out_scale, digits)
        if abs(value - value.to_integral_value()) != Decimal("0.5"):
            return int(value.to_integral_value())
    raise ArithmeticError(f"softmax_exact: element {place} of a row is within 1e-900 of a tie")


def softmax_exact(
    codes: Codes, scale: np.float32, beta: np.float32, out_scale: np.float32, out_zero: int, out: IntFormat
) -> Codes:
    """round_even(softmax(scale * beta * codes) / out_scale) + out_zero along the last axis, saturated.

    codes: int64 (..., depth), depth 1..100000. scale and beta are multiplied exactly.

    >>> from refq.formats import UINT8
    >>> one = np.float32(1)
    >>> softmax_exact(np.array([[5, 5], [9, 8]]), one, one, np.float32(0.2), 0, UINT8)
    array([[2, 2],
           [4, 1]])
    """
    if not 1 <= codes.shape[-1] <= 100_000:
        raise ValueError(f"softmax_exact: codes have depth {codes.shape[-1]}; pass 1..100000")
    step = Fraction(float(scale)) * Fraction(float(beta))
    exps = np.exp((codes - codes.max(axis=-1, keepdims=True)) * float(step))
    value = exps / (exps.sum(axis=-1, keepdims=True) * float(out_scale))
    found = np.rint(value)
    near = np.abs(value - np.floor(value) - 0.5) <= NEAR * (value + 1)
    for index in np.argwhere(near):
        row = tuple(index[:-1])
        found[tuple(index)] = _decided(codes[row], int(index[-1]), step, out_scale)
    result: Codes = np.clip(found + out_zero, out.qmin, out.qmax).astype(np.int64)
    return result
