"""Where an exactly rounded line crosses each level: rational thresholds, no search and no float.

round(y) >= k holds from a boundary on: y >= b_k or y > b_k, and that is all a rounding rule is.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from refq.formats import IntFormat, Rounding

_NEAREST_INCLUSIVE: dict[Rounding, Callable[[int], bool]] = {
    Rounding.TIES_EVEN: lambda k: k % 2 == 0,
    Rounding.TIES_ODD: lambda k: k % 2 == 1,
    Rounding.TIES_AWAY: lambda k: k > 0,
    Rounding.TIES_TOWARD_ZERO: lambda k: k <= 0,
    Rounding.TIES_UP: lambda k: True,
    Rounding.TIES_DOWN: lambda k: False,
}
# Directed rules: does level k start at k itself (True), or just after k - 1 (False)?
_STARTS_AT_LEVEL: dict[Rounding, Callable[[int], bool]] = {
    Rounding.FLOOR: lambda k: True,
    Rounding.CEIL: lambda k: False,
    Rounding.TOWARD_ZERO: lambda k: k > 0,
    Rounding.AWAY_FROM_ZERO: lambda k: k <= 0,
    Rounding.JAM: lambda k: k % 2 == 0,
}


def boundary(rounding: Rounding, level: int) -> tuple[int, bool]:
    """(2 b, inclusive) such that round(y) >= level iff y >= b (inclusive) or y > b.

    >>> boundary(Rounding.TIES_EVEN, 1), boundary(Rounding.FLOOR, 1)
    ((1, False), (2, True))
    """
    if rounding in _NEAREST_INCLUSIVE:
        return 2 * level - 1, _NEAREST_INCLUSIVE[rounding](level)
    return (2 * level, True) if _STARTS_AT_LEVEL[rounding](level) else (2 * level - 2, False)


@lru_cache(maxsize=64)
def boundaries(rounding: Rounding, first: int, last: int) -> tuple[tuple[int, bool], ...]:
    """The boundary of every level first..last: the same for all channels of a layer.

    >>> boundaries(Rounding.FLOOR, 1, 2)
    ((2, True), (4, True))
    """
    return tuple(boundary(rounding, level) for level in range(first, last + 1))


def thresholds(scale: Fraction, rounding: Rounding, offset_before: int, offset_after: int, fmt: IntFormat) -> list[int]:
    """min{x : round(x * scale + offset_before) + offset_after >= j} for j = qmin+1..qmax; scale > 0.

    >>> from refq.formats import IntFormat
    >>> thresholds(Fraction(1, 4), Rounding.TIES_EVEN, 0, 0, IntFormat(2))
    [-5, -2, 3]
    """
    inverse = 1 / (2 * scale)
    out = []
    for twice, inclusive in boundaries(rounding, fmt.qmin + 1 - offset_after, fmt.qmax - offset_after):
        numerator = (twice - 2 * offset_before) * inverse.numerator
        # ceil when the boundary itself belongs to the level, else the next integer above it
        out.append(-(-numerator // inverse.denominator) if inclusive else numerator // inverse.denominator + 1)
    return out
