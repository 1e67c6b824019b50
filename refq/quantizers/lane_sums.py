"""Sums of magnitudes and of squares that are exact, then rounded once: the order of the elements does not matter.

A sum is gathered in 256 lanes a block, each an unevaluated pair high + low (Knuth's TwoSum, Dekker's product). What the
pairs lose is bounded; where that could change the float64 the sum rounds to, exact arithmetic decides.
"""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.quantizers.mse_sums import exact_squares

LANES = 256
BLOCK = 1024 * LANES
LOST = 2.0**-80
"""More than the pairs lose of the sum. m = 1024 terms a lane, S their sum: low has 2 m parts of at most 2**-53 S each,
so an addition to it loses at most 2 m 2**-106 S, and 2 m of them at most 4 m**2 2**-106 S = 2**-84 S."""
SMALLEST_SUM = 2.0**-800
"""From here on what squares lose below the smallest float64, some 2**-1074 each, is within LOST as well."""
LARGEST = 2.0**400
"""Of a value: squares of more would overflow in sums."""
SPLIT = 134217729.0
"""2**27 + 1: cuts a float64 into halves of 26 bits, whose products are exact."""


def _terms_onto_lanes(term: Any) -> Any:
    """A kernel `add(x, high, low)`: term(value), exact in float64, onto lanes."""

    @njit(nogil=True)
    def add(x, high, low):
        """Few arrays a loop, or LLVM gives up telling them apart and does not vectorize."""
        for start in range(0, x.size, LANES):
            row = x[start : start + LANES]
            for j in range(row.size):
                a, h = term(np.float64(row[j])), high[j]
                total = h + a
                part = total - h
                low[j] += (h - (total - part)) + (a - part)
                high[j] = total

    return add


@njit(nogil=True)
def _magnitude(value):
    """|value|."""
    return abs(value)


@njit(nogil=True)
def _square(value):
    """Exact in float64 for what was a float32."""
    return value * value


_magnitudes, _narrow_squares = _terms_onto_lanes(_magnitude), _terms_onto_lanes(_square)


@njit(nogil=True)
def _squares(x, high, low):
    """Squares of float64 as product and its rounding error, onto lanes."""
    for start in range(0, x.size, LANES):
        row = x[start : start + LANES]
        for j in range(row.size):
            a, h = row[j], high[j]
            c = SPLIT * a
            head = c - (c - a)
            tail = a - head
            p = a * a
            rest = ((head * head - p) + 2.0 * head * tail) + tail * tail
            total = h + p
            part = total - h
            low[j] += ((h - (total - part)) + (p - part)) + rest
            high[j] = total


def _decided(x: NDArray[Any], add: Any) -> float | None:
    """The float64 nearest to the sum, if what was lost cannot change it."""
    pairs = np.zeros((-(-x.size // BLOCK), 2, LANES))
    for b, (high, low) in enumerate(pairs):
        add(x[b * BLOCK : (b + 1) * BLOCK], high, low)
    terms = pairs.ravel().tolist()
    total = fsum(terms)
    if total < SMALLEST_SUM:
        return None
    below, above = fsum([*terms, -LOST * total]), fsum([*terms, LOST * total])
    return below if below == above else None


def magnitude_and_square_sums(x: NDArray[Any]) -> tuple[float, float]:
    """The float64 nearest to sum |x| and to sum x**2; x float32 or float64 of at most LARGEST, any shape.

    >>> magnitude_and_square_sums(np.array([1.0, -(2.0**-53), 2.0**-53]))
    (1.0000000000000002, 1.0)
    >>> sum([1.0, 2.0**-53, 2.0**-53])
    1.0
    """
    flat = np.ascontiguousarray(x).reshape(-1)
    squares = _decided(flat, _narrow_squares if x.dtype == np.float32 else _squares)
    magnitudes = _decided(flat, _magnitudes)
    return (
        fsum(np.abs(flat).tolist()) if magnitudes is None else magnitudes,
        float(exact_squares(flat)) if squares is None else squares,
    )
