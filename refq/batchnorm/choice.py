"""Which integers an open interval of slopes leaves, and which of them is cheapest in hardware."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from typing import TypeVar

from refq.batchnorm.slopes import Biases, Slopes

Number = TypeVar("Number", int, Fraction)
Ends = tuple[Number | None, Number | None]


def is_empty(slopes: Slopes) -> bool:
    """Whether no slope lies strictly inside."""
    low, high = slopes
    return low is not None and high is not None and low >= high


def integers_inside(slopes: Slopes, divisor: int) -> Biases:
    """The integers strictly inside slopes * divisor: first..last, None unbounded, first > last none.

    >>> integers_inside((Fraction(8, 27), Fraction(3, 10)), 64), integers_inside((Fraction(8, 27), Fraction(3, 10)), 32)
    ((19, 19), (10, 9))
    """
    low, high = slopes
    # floor(low * divisor) + 1 and ceil(high * divisor) - 1, without a gcd
    first = None if low is None else low.numerator * divisor // low.denominator + 1
    last = None if high is None else -(-high.numerator * divisor // high.denominator) - 1
    return first, last


def some(found: Biases) -> bool:
    """Whether a range first..last, None unbounded, holds any integer."""
    first, last = found
    return first is None or last is None or first <= last


def min_shift(slopes: Slopes) -> int:
    """The smallest K with an integer strictly inside slopes * 2**K; the interval must not be empty.

    >>> min_shift((Fraction(8, 27), Fraction(3, 10)))
    6
    """
    low, high = slopes
    if low is None or high is None:
        return 0
    # at 2**most the interval is longer than 1; an integer inside at K is one at K + 1, doubled
    most = int(1 / (high - low)).bit_length()
    return bisect_left(range(most), True, key=lambda shift: some(integers_inside(slopes, 1 << shift)))


def mirror(ends: Ends[Number]) -> Ends[Number]:
    """The interval of the negated values."""
    first, last = ends
    return (None if last is None else -last), (None if first is None else -first)


def fewest_bits(first: int | None, last: int | None) -> tuple[int, int]:
    """Those integers of first..last whose magnitude has the fewest bits, as a range; None is unbounded.

    >>> fewest_bits(5, 12), fewest_bits(-9, None), fewest_bits(-20, -3)
    ((5, 7), (0, 0), (-3, -3))
    """
    if (first is None or first <= 0) and (last is None or last >= 0):
        return 0, 0
    if first is None or first < 0:
        low, high = fewest_bits(*mirror((first, last)))
        return -high, -low
    most = (1 << first.bit_length()) - 1
    return first, most if last is None else min(last, most)


def roundest(least: int | None, most: int | None) -> int:
    """The integer of least..most with the most trailing zero bits; where a side is unbounded the one nearest 0.

    >>> roundest(-708, -705), roundest(5, 9), roundest(None, -3), roundest(-2, 9)
    (-708, 8, -3, 0)
    """
    if (least is None or least <= 0) and (most is None or most >= 0):
        return 0
    if least is None or most is None:
        return most if least is None else least  # type: ignore[return-value]
    if least < 0:
        return -roundest(-most, -least)
    shift = ((least - 1) ^ most).bit_length() - 1
    return most >> shift << shift


def trailing_zeros(value: int) -> int:
    """Trailing zero bits; 0 has more than any other.

    >>> trailing_zeros(12) < trailing_zeros(8) < trailing_zeros(0)
    True
    """
    return (value & -value).bit_length() if value else 1 << 30
