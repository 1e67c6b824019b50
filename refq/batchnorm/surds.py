"""Integers nearest to p + q * sqrt(v), and the power of two nearest to a root: both exact, without a float."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt


def nearest(offset: Fraction, factor: Fraction, square: Fraction) -> int:
    """The integer nearest to offset + factor * sqrt(square), ties to even; square >= 0.

    The floor of what lies 1/2 above, from one integer root.

    >>> nearest(Fraction(0), Fraction(10), Fraction(2)), nearest(Fraction(1, 2), Fraction(1), Fraction(1))
    (14, 2)
    """
    radicand = factor * factor * square
    common = 2 * offset.denominator * radicand.denominator
    whole = int(radicand * common * common)
    root = isqrt(whole)
    exact = root * root == whole
    numerator = int((offset + Fraction(1, 2)) * common) + (root if factor >= 0 else -root - (not exact))
    found, rest = divmod(numerator, common)
    return found - (found & 1) if exact and rest == 0 else found


def round_log2(square: Fraction) -> int:
    """round(log2(sqrt(square))), ties to even, from the place of the leading bit; square > 0.

    >>> [round_log2(Fraction(s)) for s in (1, 2, 3, 8, 9)]
    [0, 0, 1, 2, 2]
    """
    p, q = square.as_integer_ratio()
    e = p.bit_length() - q.bit_length()
    p, q = p << max(-e, 0), q << max(e, 0)
    e -= p < q  # 2**e <= square < 2**(e + 1)
    r = (e + 1) // 2
    return r - (r & 1) if e & 1 and p == q else r
