"""Float roundings by name, exp and tanh to many digits, and the float32 exp and tanh of glibc, on rationals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from math import factorial, floor

from refq.formats import Rounding
from refq.spec.floats import FLOAT32, FLOAT64, round_to_float
from refq.spec.rounding import round_to_integer

EVEN = Rounding.TIES_EVEN
DIGITS = 60


def f32(value: Fraction) -> Fraction:
    """One float32 rounding; a value too large stands for infinity."""
    try:
        return round_to_float(value, FLOAT32)
    except OverflowError:
        return Fraction(2) ** 200 * (1 if value > 0 else -1)


def f64(value: Fraction) -> Fraction:
    """One float64 rounding."""
    return round_to_float(value, FLOAT64)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


@cache
def exp(x: Fraction) -> Fraction:
    """e**x to 60 digits.

    >>> float(exp(Fraction(1)))
    2.718281828459045
    """
    with localcontext() as context:
        context.prec = DIGITS
        return Fraction(_decimal(x).exp())


def logistic(x: Fraction) -> Fraction:
    """1 / (1 + e**-x) to some 55 digits."""
    return 1 / (1 + exp(-x))


def tanh(x: Fraction) -> Fraction:
    """(1 - e**-2x) / (1 + e**-2x) to some 40 digits for x >= 2**-60."""
    e = exp(-2 * abs(x))
    return (1 - e) / (1 + e) * (1 if x >= 0 else -1)


@cache
def ln2() -> Fraction:
    """The natural logarithm of 2 to 60 digits."""
    with localcontext() as context:
        context.prec = DIGITS
        return Fraction(Decimal(2).ln())


@cache
def exp_libm(x: Fraction) -> Fraction:
    """exp of a float32 as glibc's expf: k = round(x 32 / ln 2), a cubic, a power of two; float64, then float32.

    >>> float(exp_libm(Fraction(1)))
    2.7182817459106445
    """
    if x < -104:
        return Fraction(0)
    c3, c2, c1 = (
        Fraction(float.fromhex(c)) for c in ("0x1.c6af84b912394p-5", "0x1.ebfce50fac4f3p-3", "0x1.62e42ff0c52d6p-1")
    )
    per_step = f64(32 / ln2())
    k = round_to_integer(x * per_step, EVEN)
    u = f64(x * per_step - k) / 32
    value = f64(f64(f64(c3 * u) + c2) * f64(u * u))
    value = f64(value + f64(f64(c1 * u) + 1))
    with localcontext() as context:
        context.prec = DIGITS
        power = f64(Fraction(Decimal(2) ** (Decimal(k % 32) / 32))) * Fraction(2) ** (k // 32)
    return f32(f64(value * power))


def _bernoulli(count: int) -> list[Fraction]:
    """B_2, B_4, ...: sum over k < n of binomial(n + 1, k) B_k = -(n + 1) B_n."""
    found = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        terms = (Fraction(factorial(n + 1), factorial(k) * factorial(n + 1 - k)) * found[k] for k in range(n))
        found.append(-sum(terms, Fraction(0)) / (n + 1))
    return found[2::2]


Q = [f32(12 * b * 2 ** (n - 1) / factorial(2 * n)) for n, b in enumerate(_bernoulli(6), 1)][1:]
"""The float32 coefficients of expm1: 12 B_2n 2**(n-1) / (2n)!, n = 2 to 6."""
HIGH = Fraction(90851, 2**17)
LOW = Fraction(floor((ln2() - HIGH) * 2**40), 2**40)


def _expm1_near(x: Fraction, lost: Fraction) -> tuple[Fraction, Fraction]:
    """(x**2 / 2, e) with expm1(x) = x - (x e - x**2 / 2)."""
    half = f32(x / 2)
    square = f32(x * half)
    ratio = Q[-1]
    for q in reversed(Q[:-1]):
        ratio = f32(q + f32(square * ratio))
    ratio = f32(1 + f32(square * ratio))
    t = f32(3 - f32(ratio * half))
    return square, f32(square * f32(f32(ratio - t) / f32(6 - f32(x * t))))


def _expm1_far(k: int, x: Fraction, e: Fraction) -> Fraction:
    """2**k (1 + expm1(x)) - 1 where expm1(x) = x - e, in the order of the C code for that k."""
    if k == -1:
        return f32(f32(x - e) / 2 - Fraction(1, 2))
    if k == 1:
        if x < Fraction(-1, 4):
            return -2 * f32(e - f32(x + Fraction(1, 2)))
        return f32(1 + 2 * f32(x - e))
    if k <= -2 or k > 56:
        return f32(f32(1 - f32(e - x)) * Fraction(2) ** k - 1)
    tiny, power = Fraction(1, 2**k), Fraction(2**k)
    if k < 23:
        return f32(f32(1 - tiny) - f32(e - x)) * power
    return f32(f32(x - f32(e + tiny)) + 1) * power


def expm1_libm(x: Fraction) -> Fraction:
    """expm1 of a float32 in -20..45 as glibc's expm1f."""
    if abs(x) < Fraction(1, 2**25):
        return x
    k = 0
    if abs(x) > f32(ln2() / 2):
        if abs(x) < f32(3 * ln2() / 2):
            k = 1 if x > 0 else -1
        else:
            moved = f32(f32(f32(1 / ln2()) * x) + Fraction(1 if x > 0 else -1, 2))
            k = round_to_integer(moved, Rounding.TOWARD_ZERO)
    high, low = f32(x - f32(k * HIGH)), f32(k * LOW)
    r = f32(high - low)
    lost = f32(f32(high - r) - low)
    square, e = _expm1_near(r, lost)
    if k == 0:
        return f32(r - f32(f32(r * e) - square))
    return _expm1_far(k, r, f32(f32(f32(r * f32(e - lost)) - lost) - square))


@cache
def tanh_libm(x: Fraction) -> Fraction:
    """tanh of a float32 as glibc's tanhf.

    >>> float(tanh_libm(Fraction(1, 2)))
    0.46211716532707214
    """
    size = abs(x)
    if size >= 22:
        found = Fraction(1)
    elif size < Fraction(1, 2**55):
        found = size
    elif size >= 1:
        found = f32(1 - f32(2 / f32(expm1_libm(2 * size) + 2)))
    else:
        t = expm1_libm(-2 * size)
        found = f32(-t / f32(t + 2))
    return found if x >= 0 else -found
