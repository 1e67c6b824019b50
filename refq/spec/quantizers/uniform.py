"""Uniform quantizers: range of the values, step, zero point and code, one number at a time.

Symmetric: zero point 0. Affine: the range is extended to contain 0, and 0 is a code (as ONNX and TFLite do).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from refq.formats import Rounding
from refq.spec.rounding import round_to_integer


def ranked(values: Sequence[Fraction], percentile: Fraction) -> Fraction:
    """Nearest rank: the smallest value with at least percentile % of all values at or below it; 0 < percentile <= 100.

    >>> [ranked([Fraction(x) for x in (5, 1, 4, 2)], Fraction(p)) for p in (25, 26, 75, 100)]
    [Fraction(1, 1), Fraction(2, 1), Fraction(4, 1), Fraction(5, 1)]
    """
    return sorted(values)[ceil(percentile * len(values) / 100) - 1]


def symmetric_step(values: Sequence[Fraction], highest: int, signed: bool, percentile: Fraction) -> float:
    """The float64 nearest to range / highest; the range is of |x|, or of x where there are no negative codes.

    A range that is not positive gives step 1.

    >>> symmetric_step([Fraction(-3), Fraction(1)], 7, True, Fraction(100)) == 3 / 7
    True
    """
    reach = ranked([abs(x) if signed else x for x in values], percentile)
    return float(reach / highest) if reach > 0 else 1.0


def affine_line(values: Sequence[Fraction], lowest: int, highest: int, percentile: Fraction) -> tuple[float, int]:
    """(step, zero point): step the float64 nearest to (high - low) / (highest - lowest), 1 if that is 0.

    high and low are the nearest ranks of x and, from the other side, of -x, extended to 0. The zero point is
    lowest - low / step, ties to even, inside lowest..highest.

    >>> affine_line([Fraction(-1), Fraction(2)], 0, 3, Fraction(100))
    (1.0, 1)
    """
    high = max(ranked(values, percentile), Fraction(0))
    low = min(-ranked([-x for x in values], percentile), Fraction(0))
    step = float((high - low) / (highest - lowest)) if high > low else 1.0
    zero = round_to_integer(lowest - low / Fraction(step), Rounding.TIES_EVEN)
    return step, max(lowest, min(zero, highest))


def code(x: Fraction, step: float, zero_point: int, lowest: int, highest: int, rounding: Rounding) -> int:
    """clamp(round(x / step) + zero_point): rounded first, as ONNX says.

    >>> [code(Fraction(x, 2), 0.5, 1, 0, 3, Rounding.TIES_EVEN) for x in (-9, 0, 1, 9)]
    [0, 1, 2, 3]
    """
    return max(lowest, min(round_to_integer(x / Fraction(step), rounding) + zero_point, highest))
