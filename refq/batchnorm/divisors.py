"""The smallest divisor of one channel, and the smallest one that several channels can share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numba import njit

from refq.batchnorm.slopes import Slopes

MAX_DIVISOR = 1 << 24


def simplest(slopes: Slopes) -> Fraction:
    """The fraction with the smallest denominator strictly inside, by continued fractions (Stern-Brocot tree).

    >>> simplest((Fraction(8, 27), Fraction(3, 10))), simplest((Fraction(-1, 9), None))
    (Fraction(11, 37), Fraction(0, 1))
    """
    low, high = slopes
    if (low is None or low < 0) and (high is None or high > 0):
        return Fraction(0)
    if low is None or low < 0:
        return -simplest((None if high is None else -high, None if low is None else -low))
    whole = floor(low)
    if high is None or high > whole + 1:
        return Fraction(whole + 1)
    # whole <= low < x < high <= whole + 1: the reciprocal of the rest lies between the reciprocals
    rest = None if low == whole else 1 / (low - whole)
    return whole + 1 / simplest((1 / (high - whole), rest))


@njit
def _scan(low_p, low_q, high_p, high_q, first, limit):
    """The first divisor of first..limit with an integer strictly inside every interval; 0 if none."""
    for divisor in range(first, limit + 1):
        c = 0
        while c < len(low_p) and low_p[c] * divisor // low_q[c] + 1 < -(-high_p[c] * divisor // high_q[c]):
            c += 1
        if c == len(low_p):
            return divisor
    return 0


def smallest_shared_divisor(intervals: Sequence[Slopes]) -> int:
    """The smallest S with an integer strictly inside every interval * S; none may be empty.

    Divisors that work are no up-set, so they are scanned, narrowest interval first, up to 2**24.

    >>> smallest_shared_divisor([(Fraction(8, 27), Fraction(3, 10)), (Fraction(13, 23), Fraction(11, 19))])
    37
    """
    bounded = sorted(
        ((low, high) for low, high in intervals if low is not None and high is not None),
        key=lambda ends: ends[1] - ends[0],
    )
    first = max((simplest(ends).denominator for ends in bounded), default=1)
    parts = [[low.numerator, low.denominator, high.numerator, high.denominator] for low, high in bounded]
    largest = max((abs(x) for part in parts for x in part), default=0)
    columns: Any = np.array(parts, np.int64).reshape(-1, 4).T if largest < 1 << 38 else list(zip(*parts, strict=True))
    scan: Any = _scan if largest < 1 << 38 else _scan.py_func
    found = int(scan(*columns, first, MAX_DIVISOR))
    if not found:
        raise ValueError(
            f"smallest_shared_divisor: intervals={len(intervals)} of them share no divisor {first}..{MAX_DIVISOR}; "
            "share a shift instead"
        )
    return found
