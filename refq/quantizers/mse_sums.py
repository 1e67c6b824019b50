"""Sums for the exact minimum-MSE search: in pairs of float64 where bounds suffice, in integers where they do not.

Magnitudes are sorted. `Stairs` says which codes they can take: code j is start + spacing * j, reached at
s * (start + spacing * (j - 1/2)), j = 1..cuts. Steps s have at most 36 significant bits, so that every cut is a float64
without rounding (17 + 36 = 53 bits), and every comparison is exact. Magnitudes are 0 or 2**-400..2**400, so that no
product here over- or underflows.
"""

from __future__ import annotations

from fractions import Fraction
from math import frexp
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK = 16
SPLIT = 134217729.0
"""2**27 + 1: Veltkamp's constant."""
FLUSH = 1 << 24
"""Values a time: 2**24 * 3 * 2**36 < 2**63."""
LOWEST = 1100
EXPONENTS = 2200
"""Rows of a table: float64 exponents are -1073..1024."""
MANTISSA = 2.0**54


class Stairs(NamedTuple):
    """The codes of one side of a grid: start 0 spacing 1, or start 1 spacing 2; how many cuts."""

    start: int
    spacing: int
    cuts: int


@njit(nogil=True)
def plus(hi, lo, x):
    """(hi, lo) + x, relative error at most 2**-103 for numbers of one sign (Knuth's two-sum, then renormalized)."""
    total = hi + x
    back = total - hi
    low = lo + ((hi - (total - back)) + (x - back))
    result = total + low
    return result, low - (result - total)


@njit(nogil=True)
def product(x, y):
    """x * y as an exact pair (Dekker)."""
    a = SPLIT * x
    xh = a - (a - x)
    b = SPLIT * y
    yh = b - (b - y)
    hi = x * y
    return hi, (((xh * yh - hi) + xh * (y - yh)) + (x - xh) * yh) + (x - xh) * (y - yh)


@njit(nogil=True)
def block_sums(x):
    """(2, blocks + 1): the sum, as a pair, of all values from block b on."""
    blocks = (x.size + BLOCK - 1) // BLOCK
    sums = np.zeros((2, blocks + 1))
    hi, lo = 0.0, 0.0
    for b in range(blocks - 1, -1, -1):
        for i in range(min(x.size, (b + 1) * BLOCK) - 1, b * BLOCK - 1, -1):
            hi, lo = plus(hi, lo, np.float64(x[i]))
        sums[0, b], sums[1, b] = hi, lo
    return sums


@njit(nogil=True)
def first_at_least(x, cut, low):
    """The smallest i >= low with x[i] >= cut, all below low being smaller."""
    high, jump = low, 1
    while high < x.size and x[high] < cut:
        low, high, jump = high + 1, high + jump, jump * 2
    high = min(high, x.size)
    while low < high:
        middle = (low + high) >> 1
        if x[middle] < cut:
            low = middle + 1
        else:
            high = middle
    return low


@njit(nogil=True)
def moments(x, sums, start, spacing, cuts, s):
    """A = sum(c x) as a pair and B = sum(c * c), c the code of x at step s."""
    n, k, b = x.size, 0, start * start * x.size
    hi, lo = start * sums[0, 0], start * sums[1, 0]
    for j in range(1, cuts + 1):
        k = first_at_least(x, s * (start + spacing * (j - 0.5)), k)
        if k == n:
            break
        block = (k + BLOCK - 1) // BLOCK
        more, less = sums[0, block], sums[1, block]
        for i in range(min(n, block * BLOCK) - 1, k - 1, -1):
            more, less = plus(more, less, np.float64(x[i]))
        hi, lo = plus(hi, lo, spacing * more)
        lo += spacing * less
        b += spacing * (2 * start + spacing * (2 * j - 1)) * (n - k)
    return hi, lo, b


@njit(nogil=True)
def places(x, start, spacing, cuts, s):
    """How many values lie below each cut."""
    counts, k = np.full(cuts, x.size, np.int64), 0
    for j in range(1, cuts + 1):
        k = first_at_least(x, s * (start + spacing * (j - 0.5)), k)
        counts[j - 1] = k
        if k == x.size:
            break
    return counts


@njit(nogil=True)
def add_linear(x, start, spacing, counts, first, table):
    """Adds code * x to integer sums by the exponent of x, x in three parts of 18 bits.

    counts: of `places`; first: the place of x[0] among all values.
    """
    j = 0
    for i in range(x.size):
        while j < counts.size and first + i >= counts[j]:
            j += 1
        fraction, exponent = frexp(np.float64(x[i]))
        mantissa, code = np.int64(fraction * MANTISSA), start + spacing * j
        at = table[exponent + LOWEST]
        at[0] += code * (mantissa & 262143)
        at[1] += code * ((mantissa >> 18) & 262143)
        at[2] += code * (mantissa >> 36)


@njit(nogil=True)
def add_squares(x, table):
    """Adds x * x to integer sums by the exponent of x, in five parts of 18 bits."""
    for i in range(x.size):
        fraction, exponent = frexp(np.float64(x[i]))
        mantissa = np.int64(fraction * MANTISSA)
        top, middle, low = mantissa >> 36, (mantissa >> 18) & 262143, mantissa & 262143
        at = table[exponent + LOWEST]
        at[0] += low * low
        at[1] += 2 * low * middle
        at[2] += middle * middle + 2 * low * top
        at[3] += 2 * middle * top
        at[4] += top * top


def _folded(table: NDArray[np.int64], power: int) -> Fraction:
    """Part p of a row weighs 2**(18 p), the row 2**(exponent - 54) to the power."""
    total = Fraction(0)
    for row in np.flatnonzero(table.any(axis=1)):
        mantissa = sum(int(part) << (18 * at) for at, part in enumerate(table[row]))
        total += mantissa * Fraction(2) ** (power * (int(row) - LOWEST - 54))
    return total


def exact_moments(x: NDArray[Any], stairs: Stairs, s: float) -> tuple[Fraction, int]:
    """A = sum(c x) and B = sum(c * c) at step s.

    >>> exact_moments(np.array([1.0, 2.0, 4.0, 8.0]), Stairs(0, 1, 1), 6.0)
    (Fraction(12, 1), 2)
    """
    counts, a = places(x, *stairs, s), Fraction(0)
    for first in range(0, x.size, FLUSH):
        table = np.zeros((EXPONENTS, 3), np.int64)
        add_linear(x[first : first + FLUSH], stairs.start, stairs.spacing, counts, first, table)
        a += _folded(table, 1)
    held = np.diff(np.concatenate(([0], counts, [x.size])))
    return a, sum(int(n) * (stairs.start + stairs.spacing * j) ** 2 for j, n in enumerate(held))


def exact_squares(x: NDArray[Any]) -> Fraction:
    """sum(x * x) of a flat array.

    >>> exact_squares(np.array([3.0, 2.0**-60])) == 9 + Fraction(1, 2**120)
    True
    """
    total = Fraction(0)
    for first in range(0, x.size, FLUSH):
        table = np.zeros((EXPONENTS, 5), np.int64)
        add_squares(np.abs(x[first : first + FLUSH]), table)
        total += _folded(table, 2)
    return total
