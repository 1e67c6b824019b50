"""round(x), round(x / 2**shift), and narrowing to a format, written from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor

from refq.formats import IntFormat, Overflow, Rounding

HALF = Fraction(1, 2)

# What an inexact value does: 0 stays at the floor, 1 goes up. Arguments: floor, is the value negative.
_DIRECTED: dict[Rounding, Callable[[int, bool], int]] = {
    Rounding.FLOOR: lambda below, negative: 0,
    Rounding.CEIL: lambda below, negative: 1,
    Rounding.TOWARD_ZERO: lambda below, negative: int(negative),
    Rounding.AWAY_FROM_ZERO: lambda below, negative: int(not negative),
    Rounding.JAM: lambda below, negative: int(below % 2 == 0),
}
# What a tie does, for the rules that otherwise go to the nearest.
_TIE: dict[Rounding, Callable[[int, bool], int]] = {
    Rounding.TIES_EVEN: lambda below, negative: below % 2,
    Rounding.TIES_AWAY: lambda below, negative: int(not negative),
    Rounding.TIES_UP: lambda below, negative: 1,
    Rounding.TIES_DOWN: lambda below, negative: 0,
    Rounding.TIES_TOWARD_ZERO: lambda below, negative: int(negative),
    Rounding.TIES_ODD: lambda below, negative: int(below % 2 == 0),
}


def round_to_integer(value: Fraction, rounding: Rounding) -> int:
    """round(value) to an integer under the named rule.

    >>> [round_to_integer(Fraction(n, 2), Rounding.TIES_AWAY) for n in (-5, -1, 1, 5)]
    [-3, -1, 1, 3]
    >>> [round_to_integer(Fraction(n, 2), Rounding.TIES_UP) for n in (-5, -1, 1, 5)]
    [-2, 0, 1, 3]
    """
    below = floor(value)
    rest = value - below
    if rest == 0:
        return below
    if rounding in _DIRECTED:
        return below + _DIRECTED[rounding](below, value < 0)
    if rest == HALF:
        return below + _TIE[rounding](below, value < 0)
    return below + (rest > HALF)


def shift_right(x: int, shift: int, rounding: Rounding) -> int:
    """round(x / 2**shift); shift >= 0 in bits.

    >>> shift_right(-3, 1, Rounding.TIES_AWAY), shift_right(-3, 1, Rounding.TIES_UP)
    (-2, -1)
    """
    if shift < 0:
        raise ValueError(f"shift_right: shift={shift} is negative; use a left shift")
    return round_to_integer(Fraction(x, 1 << shift), rounding)


def narrow(x: int, fmt: IntFormat, overflow: Overflow) -> int:
    """x brought into the format; WRAP keeps the low `bits` bits.

    >>> from refq.formats import INT8
    >>> narrow(200, INT8, Overflow.SATURATE), narrow(200, INT8, Overflow.WRAP)
    (127, -56)
    """
    if fmt.qmin <= x <= fmt.qmax:
        return x
    if overflow == Overflow.SATURATE:
        return max(fmt.qmin, min(x, fmt.qmax))
    if overflow == Overflow.ERROR:
        raise ValueError(f"narrow: x={x} is outside {fmt.name} {fmt.qmin}..{fmt.qmax}")
    if fmt.narrow_range:
        raise ValueError(f"narrow: overflow=WRAP has no meaning for {fmt.name}; saturate instead")
    low = x % (1 << fmt.bits)
    return low - (1 << fmt.bits) if low > fmt.qmax else low
