"""exp and tanh of float32 as glibc's C library computes them on x86-64 (2.28 to 2.40): LiteRT calls these two.

exp is not always the correctly rounded value (0.06 % of arguments), tanh is up to 2 units of the last place off.

exp, in float64: x 32 / ln 2 = k + r, a cubic for 2**(r / 32), times 2**(k / 32), rounded to float32 at the end.
Source: Arm Optimized Routines expf.c.

tanh: t = expm1(2 |x|), then 1 - 2 / (t + 2), or with -2 |x| below 1: -t / (t + 2); each operation is a
float32 one. expm1(x) reduces x = k ln 2 + r, |r| <= ln 2 / 2, and takes a rational function of r in r**2 / 2.
Sources: fdlibm s_tanhf.c and s_expm1f.c by Sun Microsystems, in float32 by Ian Lance Taylor.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
ONE, TWO, HALF = np.float32(1), np.float32(2), np.float32(0.5)
LN2_HIGH = np.float32(90851 / 2**17)
"""ln 2 to 17 bits, from below, so that k times it is exact; the rest of it follows."""
LN2_LOW = np.float32(math.floor((math.log(2) - float(LN2_HIGH)) * 2**40) / 2**40)
"""The rest of ln 2, cut to 24 bits."""


STEPS = 32
PER_STEP = STEPS / math.log(2)
PER_STEP_HIGH = float(np.float32(PER_STEP))
CUBIC = (
    1.0,
    float.fromhex("0x1.62e42ff0c52d6p-1"),
    float.fromhex("0x1.ebfce50fac4f3p-3"),
    float.fromhex("0x1.c6af84b912394p-5"),
)
"""2**u for |u| <= 1 / 64, lowest power first: a minimax cubic, near 1, ln 2, (ln 2)**2 / 2, (ln 2)**3 / 6."""


def exp_glibc(x: Floats) -> Floats:
    """exp of float32 values: 0 below -103.97, infinite above 88.73.

    >>> exp_glibc(np.array([0, 1, -200], np.float32))
    array([1.       , 2.7182817, 0.       ], dtype=float32)
    """
    real = np.clip(x.astype(np.float64), -104.0, 89.0)
    k = np.rint(real * PER_STEP)
    # as a fused multiply-add: both products are exact, and so is the first difference
    u = ((real * PER_STEP_HIGH - k) + real * (PER_STEP - PER_STEP_HIGH)) / STEPS
    value = (CUBIC[3] * u + CUBIC[2]) * (u * u) + (CUBIC[1] * u + CUBIC[0])
    whole, part = np.divmod(k.astype(np.int64), STEPS)
    power = np.ldexp(np.array([2.0 ** (i / STEPS) for i in range(STEPS)])[part], whole)
    with np.errstate(over="ignore"):
        result: Floats = (value * power).astype(np.float32)
        return result


def _series() -> tuple[np.float32, ...]:
    """Coefficients of 6 / r ((e^r + 1) / (e^r - 1) - 2 / r) in r**2 / 2: -1/30, 1/630, ...

    6 / r (coth(r / 2) - 2 / r) = sum of 12 B_2n r**(2n-2) / (2n)!, n = 1, 2, ..., with the Bernoulli numbers B_2n.
    """
    bernoulli = [
        Fraction(1, 6),
        Fraction(-1, 30),
        Fraction(1, 42),
        Fraction(-1, 30),
        Fraction(5, 66),
        Fraction(-691, 2730),
    ]
    terms = [12 * b / math.factorial(2 * n) * 2 ** (n - 1) for n, b in enumerate(bernoulli, 1)]
    return tuple(np.float32(float(t)) for t in terms[1:])


COEFFICIENTS = _series()


def _core(r: Floats) -> tuple[Floats, Floats]:
    """(r**2 / 2, the correction e of expm1(r) = r - (r e - r**2 / 2))."""
    half = HALF * r
    square = r * half
    ratio: Floats = np.full_like(r, COEFFICIENTS[-1])
    for q in COEFFICIENTS[-2::-1]:
        ratio = q + square * ratio
    ratio = ONE + square * ratio
    t = np.float32(3) - ratio * half
    return square, square * ((ratio - t) / (np.float32(6) - r * t))


def _reduced(x: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """(k, r, what r lost) of x."""
    near = np.abs(x) < np.float32(1.5 * math.log(2))
    k = np.trunc(np.float32(1 / math.log(2)) * x + np.copysign(HALF, x)).astype(np.int64)
    k = np.where(np.abs(x) <= np.float32(0.5 * math.log(2)), 0, np.where(near, np.sign(x), k)).astype(np.int64)
    whole = k.astype(np.float32)
    high, low = x - whole * LN2_HIGH, whole * LN2_LOW
    r = high - low
    return k, r, (high - r) - low


def expm1_glibc(x: Floats) -> Floats:
    """exp(x) - 1 of float32 in -20..45, in glibc's float32 operations."""
    k, r, lost = _reduced(x)
    square, e = _core(r)
    plain = r - (r * e - square)
    e = (r * (e - lost) - lost) - square
    power = np.ldexp(ONE, k)
    minus = HALF * (r - e) - HALF
    plus = np.where(r < np.float32(-0.25), -TWO * (e - (r + HALF)), ONE + TWO * (r - e))
    large = (ONE - (e - r)) * power - ONE
    middle = ((ONE - np.ldexp(ONE, -k)) - (e - r)) * power
    high = ((r - (e + np.ldexp(ONE, -k))) + ONE) * power
    found = np.where(k < 23, middle, high)
    found = np.where((k <= -2) | (k > 56), large, found)
    found = np.where(k == 0, plain, np.where(k == -1, minus, np.where(k == 1, plus, found)))
    return np.where(np.abs(x) < np.float32(2.0**-25), x, found).astype(np.float32)


def tanh_glibc(x: Floats) -> Floats:
    """tanh of finite float32 values.

    >>> tanh_glibc(np.array([-0.5, 0, 30], np.float32))
    array([-0.46211717,  0.        ,  1.        ], dtype=float32)
    """
    size = np.abs(x)
    twice = TWO * np.minimum(size, np.float32(22))
    above = ONE - TWO / (expm1_glibc(twice) + TWO)
    t = expm1_glibc(-np.minimum(twice, TWO))
    below = -t / (t + TWO)
    found = np.where(size >= np.float32(22), ONE, np.where(size >= ONE, above, below))
    return np.copysign(np.where(size < np.float32(2.0**-55), size, found), x)
