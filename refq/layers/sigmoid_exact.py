"""logistic and tanh as real functions, rounded once: float64 where that decides the rounding, else decimals."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from refq.layers.lookup import Grids

Codes = NDArray[np.int64]


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(max(x, -745.0)) / (1 + math.exp(max(x, -745.0)))


def logistic_decimal(x: Decimal) -> Decimal:
    """1 / (1 + exp(-x)) in the precision of the context."""
    return 1 / (1 + (-x).exp())


def tanh_decimal(x: Decimal) -> Decimal:
    """tanh(x) in the precision of the context."""
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


CURVES: dict[str, tuple[Callable[[float], float], Callable[[Decimal], Decimal]]] = {
    "logistic": (_logistic, logistic_decimal),
    "tanh": (math.tanh, tanh_decimal),
}
"""A curve in float64, within 8 units of the last place, and in decimals."""


def steps(curve: str, x: Fraction, out_scale: np.float32, digits: int) -> Decimal:
    """curve(x) / out_scale to about `digits` digits.

    >>> str(steps("logistic", Fraction(1), np.float32(0.5), 12))
    '1.46211715726'
    """
    with localcontext() as context:
        context.prec = digits + 30
        real = Decimal(x.numerator) / Decimal(x.denominator)
        value = CURVES[curve][1](real) / Decimal(float(out_scale))
        context.prec = digits
        return +value


def _decided(curve: str, x: Fraction, out_scale: np.float32) -> int:
    """round(curve(x) / out_scale): irrational for every x but 0, so more digits decide it."""
    for digits in (40, 200, 1000):
        value = steps(curve, x, out_scale, digits)
        if abs(value - value.to_integral_value()).copy_abs() != Decimal("0.5"):
            return int(value.to_integral_value())
    raise ArithmeticError(f"{curve}({x}) / {out_scale} is within 1e-900 of a tie")


def exact_curve(curve: str, codes: Codes, grids: Grids) -> Codes:
    """round(curve(scale * (code - zero)) / out_scale) + out_zero in real numbers, ties to even.

    A tie needs a rational value: only 1/2 and 0 at x = 0 are (Lindemann). The float64 value decides where it is
    further than 1e-12 of its size from a tie; its error is below 1e-14 of it.
    """
    scale, out = float(grids.scale), float(grids.out_scale)
    exact_scale, found = Fraction(scale), np.empty(codes.size, np.int64)
    at_zero = Fraction(CURVES[curve][0](0.0)) / Fraction(out)
    for place, difference in enumerate((codes - grids.zero_point).tolist()):
        value = CURVES[curve][0](scale * difference) / out
        if difference == 0:
            found[place] = round(at_zero)
        elif abs(value - math.floor(value) - 0.5) > 1e-12 * (abs(value) + 1):
            found[place] = round(value)
        else:
            found[place] = _decided(curve, exact_scale * difference, grids.out_scale)
    return np.clip(found + grids.out_zero_point, grids.out_fmt.qmin, grids.out_fmt.qmax)
