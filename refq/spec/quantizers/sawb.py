"""SAWB, statistics-aware weight binning: alpha from two moments, then the nearest level of a grid.

Choi et al. 2018/2019 (arXiv 1807.06964), as in released code. Alpha is a float64 of
stated operations; a decision takes it, and the weight, as the exact rational it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

from refq.formats import Rounding
from refq.spec.rounding import HALF, round_to_integer


def moments(values: Sequence[float]) -> tuple[float, float]:
    """(E w**2, E|w|): exact sums rounded once to float64, each divided by the count in float64.

    >>> moments([-3.0, -1.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0])
    (8.5, 2.25)
    """
    squares, magnitudes = sum(Fraction(w) ** 2 for w in values), sum(abs(Fraction(w)) for w in values)
    return float(squares) / len(values), float(magnitudes) / len(values)


def sawb_alpha(values: Sequence[float], rms: float, mean: float) -> float:
    """rms * sqrt(E w**2) + mean * E|w|, a float64 each step; may be negative.

    >>> sawb_alpha([-3.0, -1.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0], 3.12, -2.064)
    4.452284955958669
    """
    square, magnitude = moments(values)
    return rms * sqrt(square) + mean * magnitude


def positive_alpha(alpha: float, values: Sequence[float], negative: str) -> float:
    """What `max` and `absolute` make of an alpha that is not above 0.

    >>> positive_alpha(-0.5, [1.0, -2.0], "max"), positive_alpha(-0.5, [1.0, -2.0], "absolute")
    (2.0, 0.5)
    """
    if alpha > 0:
        return alpha
    return max(abs(w) for w in values) if negative == "max" else abs(alpha)


def _clip(w: Fraction, low: Fraction | int, high: Fraction | int) -> Fraction:
    return min(max(w, Fraction(low)), Fraction(high))


def even_level(w: Fraction, alpha: Fraction, bits: int, rounding: Rounding) -> int:
    """i = round((2**bits - 1) * (clip(w / alpha, -1, 1) / 2 + 1/2)), worth alpha * (2 i / (2**bits - 1) - 1).

    >>> [even_level(Fraction(w), Fraction(9, 2), 2, Rounding.TIES_EVEN) for w in (-5, -3, 0, 3, 4)]
    [0, 0, 2, 2, 3]
    """
    return round_to_integer((2**bits - 1) * (_clip(w / alpha, -1, 1) * HALF + HALF), rounding)


def zero_code(w: Fraction, alpha: Fraction, bits: int, rounding: Rounding) -> int:
    """round(clip(w, -alpha, alpha) / (alpha / m)), m = 2**(bits - 1) - 1: 0 is a level.

    >>> [zero_code(Fraction(w), Fraction(4), 2, Rounding.TIES_EVEN) for w in (-9, -2, 0, 2, 3)]
    [-1, 0, 0, 0, 1]
    """
    return round_to_integer(_clip(w, -alpha, alpha) * (2 ** (bits - 1) - 1) / alpha, rounding)


def shifted_code(w: Fraction, alpha: Fraction, bits: int, rounding: Rounding) -> int:
    """clip(round(w / (2 alpha / (2**bits - 1)))) to two's complement: the even grid moved by half a step.

    >>> [shifted_code(Fraction(w), Fraction(3), 2, Rounding.TIES_EVEN) for w in (-9, -3, -1, 0, 1, 2, 9)]
    [-2, -2, 0, 0, 0, 1, 1]
    """
    half = 1 << (bits - 1)
    return max(-half, min(half - 1, round_to_integer(w * (2**bits - 1) / (2 * alpha), rounding)))


def full_code(w: Fraction, alpha: Fraction, bits: int, rounding: Rounding) -> int:
    """clip(round(w / (alpha / 2**(bits - 1)))) to two's complement: -alpha is the lowest level.

    >>> [full_code(Fraction(w), Fraction(4), 2, Rounding.TIES_EVEN) for w in (-9, -3, -1, 0, 1, 2, 9)]
    [-2, -2, 0, 0, 0, 1, 1]
    """
    half = 1 << (bits - 1)
    return max(-half, min(half - 1, round_to_integer(w * half / alpha, rounding)))


def sawb_gradient(w: float, upstream: float, alpha: float, outside: str) -> float:
    """Straight through; `zero` stops it where |w| > alpha, `pass` nowhere.

    >>> [sawb_gradient(w, 0.5, 2.0, "zero") for w in (2.0, -2.5)], sawb_gradient(-2.5, 0.5, 2.0, "pass")
    ([0.5, 0.0], 0.5)
    """
    return upstream if outside == "pass" or abs(w) <= alpha else 0.0
