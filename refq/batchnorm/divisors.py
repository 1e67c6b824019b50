"""The smallest divisor of one channel, and the smallest one that several channels can share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import numpy as np
from numba import njit

from refq.batchnorm.slopes import Slopes

MAX_DIVISOR, PYTHON_DIVISOR = 1 << 32, 1 << 22


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
def _walk(low_p, low_q, high_p, high_q, first, limit):
    """The first divisor of first..limit with an integer inside every interval low_p / low_q..high_p / high_q.

    Walks over the multipliers of interval 0: far fewer than divisors, and few divisors belong to each.
    low_p[0] > 0; returns 0 if there is none.
    """
    multiplier = low_p[0] * first // low_q[0] + 1
    while True:
        start = multiplier * high_q[0] // high_p[0] + 1
        if start > limit:
            return 0
        end = -(-multiplier * low_q[0] // low_p[0]) - 1
        for divisor in range(max(start, first), min(end, limit) + 1):
            c = 1
            while c < len(low_p) and low_p[c] * divisor // low_q[c] + 1 < -(-high_p[c] * divisor // high_q[c]):
                c += 1
            if c == len(low_p):
                return divisor
        multiplier += 1


def _positive(slopes: Slopes) -> tuple[Fraction, Fraction] | None:
    """The interval turned to slopes >= 0; None where every divisor has an integer inside."""
    low, high = slopes
    if low is None or high is None or low < 0 < high:
        return None
    return (low, high) if high > 0 else (-high, -low)


def smallest_shared_divisor(intervals: Sequence[Slopes]) -> int:
    """The smallest S with an integer strictly inside every interval * S; none may be empty.

    Divisors that work are no up-set, so they are tried one by one, the narrowest interval first, up to 2**32:
    some 10 s for 64 channels. Raises ValueError beyond.

    >>> smallest_shared_divisor([(Fraction(8, 27), Fraction(3, 10)), (Fraction(13, 23), Fraction(11, 19))])
    37
    """
    for place, (low, high) in enumerate(intervals):
        if low is not None and high is not None and low >= high:
            raise ValueError(f"smallest_shared_divisor: intervals[{place}]=({low}, {high}) is empty; leave it out")
    bounded = [ends for ends in map(_positive, intervals) if ends is not None]
    first = max((simplest(ends).denominator for ends in bounded), default=1)
    # an interval that starts at 0 takes every divisor from its own smallest on
    bounded = sorted((ends for ends in bounded if ends[0] > 0), key=lambda ends: ends[1] - ends[0])
    if not bounded:
        return first
    ratios = ((low.numerator, low.denominator, high.numerator, high.denominator) for low, high in bounded)
    columns = list(zip(*ratios, strict=True))
    fits = max(map(max, columns)) < 1 << 62 and max(*columns[0], *columns[2]) * MAX_DIVISOR < 1 << 62
    # on Python's integers only as far as takes a few seconds
    walk, last = (_walk, MAX_DIVISOR) if fits else (_walk.py_func, PYTHON_DIVISOR)
    found = int(walk(*(np.array(column) if fits else column for column in columns), first, last))
    if not found:
        raise ValueError(
            f"smallest_shared_divisor: intervals={len(intervals)} of them share no divisor {first}..{last}; "
            "share a shift instead"
        )
    return found
