"""PACT (Choi et al. 2018, arXiv 1805.06085, section 3): clip at a learned alpha, quantize, and what flows back."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import fsum

from refq.formats import Rounding
from refq.spec.rounding import round_to_integer


def clipped(x: Fraction, alpha: Fraction) -> Fraction:
    """(|x| - |x - alpha| + alpha) / 2. Equation 1.

    >>> [str(clipped(Fraction(x), Fraction(2))) for x in (-1, 1, 3)]
    ['0', '1', '2']
    """
    return (abs(x) - abs(x - alpha) + alpha) / 2


def code(x: float, alpha: Fraction, bits: int, rounding: Rounding = Rounding.TIES_EVEN) -> int:
    """round(y (2**bits - 1) / alpha), y = clip(x, 0, alpha).

    >>> [code(x, Fraction(2), 2) for x in (-1.0, 0.3, 0.4, 1.0, 5.0)]
    [0, 0, 1, 2, 3]
    """
    return round_to_integer(clipped(Fraction(x), alpha) * (2**bits - 1) / alpha, rounding)


def input_gradient(x: float, alpha: float, upstream: float, ends: str = "paper") -> float:
    """What reaches x: upstream inside, 0 outside.

    The ends: `paper` 0 <= x < alpha, `inclusive` 0 <= x <= alpha, `open` 0 < x < alpha.
    """
    inside = 0 < x < alpha or (x == 0 and ends != "open") or (x == alpha and ends == "inclusive")
    return upstream if inside else 0.0


def alpha_share(x: float, alpha: float, plus_bits: int | None = None) -> float:
    """d y_q / d alpha of one number: 1 from alpha on, else 0; with PACT+ (round(z) - z) / n inside, z = x n / alpha.

    >>> alpha_share(0.75, 1.5, 2), alpha_share(0.75, 1.5), alpha_share(1.5, 1.5)
    (0.16666666666666666, 0.0, 1.0)
    """
    if x >= alpha:
        return 1.0
    if plus_bits is None or x < 0:
        return 0.0
    n = 2**plus_bits - 1
    share: float = (code(x, Fraction(alpha), plus_bits) - x * n / alpha) / n
    return share


def alpha_gradient(xs: Sequence[float], alpha: float, upstream: Sequence[float], plus_bits: int | None = None) -> float:
    """The float nearest to the exact sum of the float products upstream * share.

    >>> alpha_gradient([0.5, 1.0, 2.0], 1.0, [4.0, 0.25, 0.5])
    0.75
    """
    return fsum(u * alpha_share(x, alpha, plus_bits) for x, u in zip(xs, upstream, strict=True))
