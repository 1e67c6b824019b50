"""Exact sums of floats: a long fixed-point accumulator, divided by a count and rounded once to float32.

Source of the idea: U. Kulisch, a long accumulator holds any sum of products without rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LIMBS = 22
LOWEST = 384
"""Limb i weighs 2**(32 * i - LOWEST). Products of float32 lie in 2**-298..2**256; 2**30 of them stay below 2**288."""


@njit(nogil=True)
def put(limbs, place, value):
    """Adds value * 2**(place - LOWEST), |value| < 2**27."""
    word = value << (place & 31)
    limbs[place >> 5] += word & 0xFFFFFFFF
    limbs[(place >> 5) + 1] += word >> 32


@njit(nogil=True)
def add_float(limbs, value):
    """Adds a finite float64 of 0 or 2**-298..2**257, as products of two float32 are."""
    fraction, exponent = math.frexp(value)
    integer = np.int64(fraction * 9007199254740992.0)
    put(limbs, exponent - 53 + LOWEST, integer & 0x7FFFFFF)
    put(limbs, exponent - 26 + LOWEST, integer >> 27)


@njit(nogil=True)
def make_positive(limbs):
    """Carries into digits 0..2**32 - 1; negates a negative sum; True where it was negative."""
    carry = np.int64(0)
    for i in range(LIMBS):
        total = limbs[i] + carry
        limbs[i] = total & 0xFFFFFFFF
        carry = total >> 32
    if carry >= 0:
        return False
    carry = np.int64(1)
    for i in range(LIMBS):
        total = (limbs[i] ^ 0xFFFFFFFF) + carry
        limbs[i] = total & 0xFFFFFFFF
        carry = total >> 32
    return True


@njit(nogil=True)
def divide(limbs, count):
    """Floor of the digits by count < 2**31; True where a rest remains."""
    rest = np.int64(0)
    for i in range(LIMBS - 1, -1, -1):
        total = (rest << 32) | limbs[i]
        limbs[i] = total // count
        rest = total % count
    return rest != 0


@njit(nogil=True)
def bit(limbs, place):
    """One binary digit."""
    return (limbs[place >> 5] >> (place & 31)) & 1


@njit(nogil=True)
def round_limbs(limbs, count):
    """The sum / count, rounded once to float32, ties to even, subnormals included; clears the accumulator."""
    negative = make_positive(limbs)
    rest = divide(limbs, count)
    top = LIMBS * 32 - 1
    while top >= 0 and bit(limbs, top) == 0:
        top -= 1
    last = max(top - 23, LOWEST - 149)
    significand = 0
    for place in range(top, last - 1, -1):
        significand = significand * 2 + bit(limbs, place)
    half = bit(limbs, last - 1)
    for place in range(last - 1):
        rest = rest or bit(limbs, place) == 1
    limbs[:] = 0
    significand += half & (np.int64(rest) | (significand & 1))
    value = math.ldexp(np.float64(significand), last - LOWEST)
    return np.float32(-value if negative else value)


@njit(nogil=True)
def exact_products(a, b, start, counts):
    """(start + a @ b) / counts for float32 (rows, depth), (depth, columns), (rows, columns) and int64 (rows,)."""
    result = np.empty_like(start)
    limbs = np.zeros(LIMBS, np.int64)
    for row in range(start.shape[0]):
        for column in range(start.shape[1]):
            add_float(limbs, np.float64(start[row, column]))
            for k in range(a.shape[1]):
                add_float(limbs, np.float64(a[row, k]) * np.float64(b[k, column]))
            result[row, column] = round_limbs(limbs, counts[row])
    return result


def exact_means(values: NDArray[Any], counts: NDArray[np.int64]) -> NDArray[Any]:
    """Sum of each row of float32 (rows, depth) over its count int64 (rows,), rounded once."""
    ones = np.ones((values.shape[1], 1), np.float32)
    start = np.zeros((values.shape[0], 1), np.float32)
    found: NDArray[Any] = exact_products(values, ones, start, counts)[:, 0]
    return found


def finite(op: str, **arrays: NDArray[Any]) -> None:
    """Exact sums know no infinities: ValueError where an array has one or a NaN."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"{op}: argument={name} holds a value that is not finite; the rule exact needs finite ones"
            )
