"""The step of least squared error over a grid of codes: every assignment that occurs, in exact rationals.

E(s) = sum over x of the minimum over codes c of (x - c s)**2, s > 0 (docs/clipping.md). Between two neighbouring
breakpoints no value changes its code, and E is a parabola with minimum sum(x**2) - A**2 / B at s = A / B,
A = sum(c x), B = sum(c**2). For small tensors: as many parabolas as there are pairs of value and cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

GRIDS = {
    "int": lambda bits: range(-(1 << (bits - 1)), 1 << (bits - 1)),
    "zero": lambda bits: range(1 - (1 << (bits - 1)), 1 << (bits - 1)),
    "even": lambda bits: range(1 - (1 << bits), 1 << bits, 2),
    "unsigned": lambda bits: range(1 << bits),
}
"""The codes of each grid."""


def nearest(x: Fraction, step: Fraction, codes: Sequence[int]) -> int:
    """The code c with the smallest (x - c step)**2, of two the first.

    >>> nearest(Fraction(3), Fraction(2), range(-2, 2)), nearest(Fraction(-9), Fraction(2), range(-2, 2))
    (1, -2)
    """
    return min(codes, key=lambda c: (x - c * step) ** 2)


def squared_error(values: Sequence[Fraction], step: Fraction, codes: Sequence[int]) -> Fraction:
    """E(step).

    >>> squared_error([Fraction(3), Fraction(-9)], Fraction(2), range(-2, 2))
    Fraction(26, 1)
    """
    return sum(((x - nearest(x, step, codes) * step) ** 2 for x in values), Fraction(0))


def breakpoints(values: Sequence[Fraction], codes: Sequence[int]) -> list[Fraction]:
    """The steps > 0 at which a value lies halfway between two neighbouring codes.

    >>> breakpoints([Fraction(3)], range(-1, 3))
    [Fraction(2, 1), Fraction(6, 1)]
    """
    twice = [c + d for c, d in pairwise(codes) if c + d]
    return sorted({2 * x / t for x in values for t in twice if x * t > 0})


def minimum_mse(values: Sequence[Fraction], codes: Sequence[int]) -> tuple[Fraction, Fraction]:
    """(step, E(step)): the least E over all s > 0, of several the smallest step.

    Step 1, with its own error, where no step has a sum(c x) > 0: zeros, or values on the side without codes only.

    >>> minimum_mse([Fraction(x) for x in (1, 2, 4, 8)], range(-1, 2))
    (Fraction(6, 1), Fraction(13, 1))
    """
    ends = [Fraction(0), *breakpoints(values, codes)]
    inside = [(a + b) / 2 for a, b in pairwise(ends)] + [ends[-1] + 1]
    square = sum((x * x for x in values), Fraction(0))
    found = []
    for step in inside:
        chosen = [nearest(x, step, codes) for x in values]
        a = sum((c * x for c, x in zip(chosen, values, strict=True)), Fraction(0))
        b = sum(c * c for c in chosen)
        if a > 0:
            found.append((square - a * a / b, a / b))
    least, step = min(found, default=(squared_error(values, Fraction(1), codes), Fraction(1)))
    return step, least
