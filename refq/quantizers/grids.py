"""Grids of equal steps: the cuts that an exactly rounded line makes."""

from __future__ import annotations

from fractions import Fraction

from refq.exact import boundaries
from refq.formats import Rounding
from refq.quantizers.quantizer import first_float


def line_cuts(step: Fraction, rounding: Rounding, first: int, last: int, offset: Fraction | int = 0) -> list[float]:
    """For each level first + 1..last the smallest float64 x with round(x / step + offset) >= level; step > 0.

    >>> line_cuts(Fraction(1, 2), Rounding.TIES_UP, -1, 1)
    [-0.25, 0.25]
    >>> [cut > 0.25 for cut in line_cuts(Fraction(1, 2), Rounding.TIES_EVEN, 0, 1)]
    [True]
    """
    return [
        first_float((Fraction(twice, 2) - offset) * step, inclusive)
        for twice, inclusive in boundaries(rounding, first + 1, last)
    ]
