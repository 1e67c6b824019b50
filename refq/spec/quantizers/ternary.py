"""Ternary weights (Li & Liu 2016, arXiv 1605.04711, section 2): the rule of thumb and the exact least squares."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def threshold(weights: Sequence[float], factor: Fraction = Fraction(7, 10)) -> Fraction:
    """factor * mean |w|. The paper has 0.7.

    >>> threshold([-3.0, 0.0, 1.0])
    Fraction(14, 15)
    """
    return factor * sum((abs(Fraction(w)) for w in weights), Fraction(0)) / len(weights)


def code(w: float, delta: Fraction) -> int:
    """+1 beyond delta, -1 beyond -delta, else 0: delta itself is 0."""
    return (Fraction(w) > delta) - (Fraction(w) < -delta)


def scale(weights: Sequence[float], delta: Fraction) -> Fraction:
    """The mean of those |w| that are beyond delta, 0 if none is.

    >>> scale([-3.0, 0.0, 1.0, 0.5], Fraction(1, 2))
    Fraction(2, 1)
    """
    kept = [abs(Fraction(w)) for w in weights if abs(Fraction(w)) > delta]
    return sum(kept, Fraction(0)) / max(len(kept), 1)


def squared_error(weights: Sequence[float], delta: Fraction, alpha: Fraction) -> Fraction:
    """sum (w - alpha code(w))**2."""
    return sum(((Fraction(w) - alpha * code(w, delta)) ** 2 for w in weights), Fraction(0))


def least_squares(weights: Sequence[float]) -> tuple[Fraction, Fraction]:
    """(delta, alpha) of the smallest squared error; of equal ones that with the fewest non-zeros. delta = alpha / 2.

    Every set that a threshold can keep is tried, the smallest first.

    >>> least_squares([1.0, -1.0, 0.25, 0.125])
    (Fraction(1, 2), Fraction(1, 1))
    """
    magnitudes = sorted({abs(Fraction(w)) for w in weights}, reverse=True)
    deltas = magnitudes[1:] + [magnitudes[-1] / 2] * (magnitudes[-1] > 0)
    tried = [(delta, scale(weights, delta)) for delta in deltas]
    if not tried:
        return Fraction(0), Fraction(0)
    alpha = min(tried, key=lambda pair: squared_error(weights, *pair))[1]
    return alpha / 2, alpha
