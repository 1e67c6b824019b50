"""DoReFa-Net (Zhou et al. 2016, arXiv 1606.06160, sections 2.2-2.6): weights, activations and gradients, one by one.

tanh is the real function, not a library's: it is enclosed by rationals until the level is certain.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from refq.formats import Rounding
from refq.spec.rounding import round_to_integer

HALF = Fraction(1, 2)
FAR = 64


def quantize_k(real: Fraction, bits: int) -> int:
    """The level of a number of [0, 1]: round((2**bits - 1) real), ties to even. Section 2.2.

    >>> [quantize_k(Fraction(i, 6), 2) for i in range(7)]
    [0, 0, 1, 2, 2, 2, 3]
    """
    return round_to_integer((2**bits - 1) * real, Rounding.TIES_EVEN)


def activation_level(x: float, bits: int) -> int:
    """The level of clip(x, 0, 1). Section 2.4.

    >>> [activation_level(x, 2) for x in (-1.0, 0.5, 0.51, 9.0)]
    [0, 2, 2, 3]
    """
    return quantize_k(max(Fraction(0), min(Fraction(x), Fraction(1))), bits)


def tanh_between(x: Fraction, terms: int) -> tuple[Fraction, Fraction]:
    """(low, high) with low <= tanh(x) <= high, x >= 0: two neighbouring convergents of Lambert's continued fraction.

    tanh x = x / (1 + x^2 / (3 + x^2 / (5 + ...))): all terms are positive, so the convergents lie on both sides in
    turn. Beyond 64, 1 - 2 e^(-2 x) > 1 - 2^(1 - 2 floor x) is closer than any level asks for.

    >>> low, high = tanh_between(Fraction(1), 8)
    >>> float(low), float(high)
    (0.7615941559557585, 0.761594155955765)
    """
    if x > FAR:
        return 1 - Fraction(1, 2 ** (2 * min(floor(x), terms * FAR) - 1)), Fraction(1)
    ends = sorted(_convergent(x, depth) for depth in (terms, terms + 1))
    return ends[0], ends[1]


def _convergent(x: Fraction, depth: int) -> Fraction:
    tail = Fraction(2 * depth - 1)
    for odd in range(2 * depth - 3, 0, -2):
        tail = odd + x * x / tail
    return x / tail


def weight_level(w: float, maximum: float, bits: int) -> int:
    """round(n (tanh(w) / (2 tanh(maximum)) + 1/2)), n = 2**bits - 1, bits >= 2, |w| <= maximum > 0. Section 2.3.

    No level but that of w = 0 and of w = +-maximum is a tie (Lindemann-Weierstrass), so the ends agree at last.

    >>> [weight_level(w, 1.0, 2) for w in (-1.0, -0.56, -0.55, 0.0, 0.55, 0.56, 1.0)]
    [0, 0, 1, 2, 2, 3, 3]
    """
    x, m, n = Fraction(w), Fraction(maximum), 2**bits - 1
    if x == 0 or abs(x) == m:
        return quantize_k((HALF * (x > 0) - HALF * (x < 0)) + HALF, bits)
    terms = 8
    while True:
        low, high = _ratio_between(abs(x), m, terms)
        ends = (low, high) if x > 0 else (-high, -low)
        levels = {round_to_integer(n * (end / 2 + HALF), Rounding.TIES_EVEN) for end in ends}
        if len(levels) == 1:
            return levels.pop()
        terms *= 2


def _ratio_between(x: Fraction, m: Fraction, terms: int) -> tuple[Fraction, Fraction]:
    (low, high), (least, most) = tanh_between(x, terms), tanh_between(m, terms)
    return low / most, high / least


def one_bit(w: float) -> int:
    """sign(w), and +1 for zero. Section 2.3 with the code's rule for zero."""
    return 1 if w >= 0 else -1


def gradient_level(g: float, maximum: float, u: float, bits: int) -> int:
    """round(n clip(g / (2 maximum) + 1/2 + u / n, 0, 1)), |u| <= 1/2; g / maximum is 0 for maximum = 0. Section 2.5.

    >>> [gradient_level(0.25, 1.0, u, 2) for u in (-0.5, -0.25, 0.0, 0.25, 0.5)]
    [1, 2, 2, 2, 2]
    """
    n = 2**bits - 1
    share = Fraction(g) / (2 * Fraction(maximum)) if maximum else Fraction(0)
    noisy = share + HALF + Fraction(u) / n
    return quantize_k(max(Fraction(0), min(noisy, Fraction(1))), bits)


def gradient_value(level: int, maximum: Fraction, bits: int) -> Fraction:
    """2 maximum (level / n - 1/2)."""
    return 2 * maximum * (Fraction(level, 2**bits - 1) - HALF)
