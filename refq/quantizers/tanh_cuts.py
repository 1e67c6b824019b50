"""Where DoReFa's weight levels begin: cuts of the real function tanh, certain to the last bit on every machine.

tanh of NumPy, of the C library and of a GPU differ in the last bits, and NumPy's with the processor; none decides here.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import inf, nextafter

from refq.quantizers.quantizer import first_float

SMALLEST = 5e-324
LINEAR = 2.0**-35
LARGE = 1000.0
DIGITS = 50


def tanh_cuts(maximum: float, bits: int) -> list[float]:
    """The smallest float64 of each level 1..n: tanh(w) / tanh(maximum) >= p / n, p = 2 level - 1 - n, n = 2**bits - 1.

    maximum >= 0 and finite, bits >= 2. Zero is a tie and belongs to the upper, even level. There is no other tie:
    tanh(w) n = p tanh(maximum) would be a vanishing sum of exponentials of distinct algebraic numbers, against
    Lindemann-Weierstrass. So a cut is no float, and the cut of -p is minus the float before that of p.
    maximum 0 is taken as its limit, the smallest float.

    >>> tanh_cuts(1.0, 2)
    [-0.5596658123591997, 0.0, 0.5596658123591998]
    """
    n = (1 << bits) - 1
    above = [_first_beyond(p, n, max(maximum, SMALLEST)) for p in range(2, n, 2)]
    return [-nextafter(cut, 0.0) + 0.0 for cut in reversed(above)] + [0.0, *above]


def _first_beyond(p: int, n: int, m: float) -> float:
    """The smallest float64 w with tanh(w) >= (p / n) tanh(m), 0 < p < n < 2**16, m > 0.

    The real bound lies in ((1 - m**2 / 3) m p / n, m p / n): atanh(c tanh m) is convex in c, and at least c tanh m. For
    m <= 2**-35 no float lies in between: the distance of one from m p / n is a multiple of its unit over n, a share of
    2**-69 at least.
    """
    if m <= LINEAR:
        return first_float(Fraction(m) * p / n, True)
    digits = DIGITS
    while True:
        value, slack = _bound(p, n, min(m, LARGE), digits), Decimal(10) ** (3 - digits)
        near = float(value)
        distance = Context(prec=digits).subtract(Decimal(near), value)
        if abs(distance) > slack:
            return near if distance > 0 else nextafter(near, inf)
        digits *= 2


@lru_cache(maxsize=4)
def _decay(m: float, digits: int) -> Decimal:
    return Context(prec=digits).exp(Decimal(-2.0 * m))


def _bound(p: int, n: int, m: float, digits: int) -> Decimal:
    """atanh((p / n) tanh m) = ln((a + b E) / (b + a E)) / 2, a = n + p, b = n - p, E = exp(-2 m), to 10**(3 - digits).

    exp and ln of `decimal` are correctly rounded. Seven roundings of 5 * 10**-digits each, E used twice, and those of
    the logarithm, which is below 12, of its half and of a difference from it make less than that. m above 1000 is
    taken as 1000: E < 10**-868.
    """
    context = Context(prec=digits)
    e, a, b = _decay(m, digits), Decimal(n + p), Decimal(n - p)
    top = context.add(a, context.multiply(b, e))
    bottom = context.add(b, context.multiply(a, e))
    return context.divide(context.ln(context.divide(top, bottom)), Decimal(2))
