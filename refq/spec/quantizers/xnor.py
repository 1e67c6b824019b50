"""XNOR-Net and BWN weights (Rastegari et al. 2016, arXiv 1603.05279, section 3.1): signs and one scale."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def scale(weights: Sequence[float]) -> Fraction:
    """The mean of |w|: the alpha that minimises sum (w - alpha b)**2 with b the signs.

    >>> scale([-3.0, 0.0, 1.0, 2.0])
    Fraction(3, 2)
    """
    return sum((abs(Fraction(w)) for w in weights), Fraction(0)) / len(weights)


def sign(w: float) -> int:
    """+1 for w >= 0, else -1.

    >>> sign(-0.0), sign(-5e-324)
    (1, -1)
    """
    return 1 if w >= 0 else -1
