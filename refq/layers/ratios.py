"""Ratios of integers to the nearest integer, for Python's integers and for arrays, int64 or object."""

from __future__ import annotations

from typing import Any

from refq.formats import Rounding


def nearest(numerator: Any, denominator: Any, rounding: Rounding) -> Any:
    """round(numerator / denominator) of integers, denominator > 0; rounding: TIES_EVEN, TIES_AWAY or TIES_UP.

    >>> [nearest(-3, 2, r) for r in (Rounding.TIES_EVEN, Rounding.TIES_AWAY, Rounding.TIES_UP)]
    [-2, -2, -1]
    """
    below = numerator // denominator
    rest = 2 * (numerator - below * denominator)
    up = {
        Rounding.TIES_EVEN: (rest == denominator) & (below % 2 == 1),
        Rounding.TIES_AWAY: (rest == denominator) & (numerator > 0),
        Rounding.TIES_UP: rest == denominator,
    }[rounding]
    return below + ((rest > denominator) | up)
