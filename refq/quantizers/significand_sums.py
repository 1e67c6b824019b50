"""Sums of floats without rounding: a mean that decides a threshold must not depend on the order of addition."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK = 1 << 20
EXPONENTS = 2047


@njit(nogil=True)
def _collect(bits, low, high):
    """Adds the significands of float64 bit patterns, by exponent field, in parts of 32 and 21 bits.

    Both parts fit int64 for up to 2**31 numbers. value = significand * 2**(field - 1075), field 1 for subnormals.
    """
    for b in bits:
        field, significand = (b >> 52) & 2047, b & 0xFFFFFFFFFFFFF
        if field:
            significand |= 1 << 52
        else:
            field = 1
        if b < 0:
            significand = -significand
        low[field] += significand & 0xFFFFFFFF
        high[field] += significand >> 32


def exact_sum(values: NDArray[Any]) -> Fraction:
    """The sum of finite float32 or float64 numbers, up to 2**31 of them; 0 of none.

    >>> exact_sum(np.array([1e308, 1.0, 1e308, -1e308, -1e308]))
    Fraction(1, 1)
    """
    low, high = np.zeros(EXPONENTS, np.int64), np.zeros(EXPONENTS, np.int64)
    flat = values.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        _collect(flat[start : start + BLOCK].astype(np.float64).view(np.int64), low, high)
    used = np.flatnonzero(low | high)
    total = sum((int(low[f]) + (int(high[f]) << 32)) << int(f) for f in used)
    return Fraction(total) / (1 << 1075)


def absolute_sum(values: NDArray[Any]) -> Fraction:
    """The sum of the magnitudes.

    >>> absolute_sum(np.array([-0.5, 0.25]))
    Fraction(3, 4)
    """
    flat = values.reshape(-1)
    parts = (exact_sum(np.abs(flat[start : start + BLOCK])) for start in range(0, flat.size, BLOCK))
    return sum(parts, Fraction(0))
