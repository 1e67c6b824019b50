"""Zero points and offsets as one affine correction of a raw product.

A path multiplies u = x - a and s = y - b, which fit its instruction. The product asked for is

    sum (x - zx)(y - zy) = sum u s + da * sum s + db * sum u + K da db        da = a - zx, db = b - zy

with zy, and so db, one a column. Everything is added modulo 2**64; the result was proved to fit int64, so it is exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.operands import Operand


class Affine(NamedTuple):
    """base[j] + row_sums[i] * row_weights[j], int64, to be added to the raw product; no row_weights: all 0."""

    base: NDArray[np.int64]
    row_sums: NDArray[np.int64]
    row_weights: NDArray[np.int64]


@njit(nogil=True)
def _sum_octets(rows, flip, out):
    """out[i] = the sum of rows[i] ^ flip; rows: uint8, at most 2**23 a row."""
    for i in range(rows.shape[0]):
        total = np.int32(0)
        for octet in rows[i]:
            total += np.int32(octet ^ flip)
        out[i] = total


def row_sums(values: NDArray[Any]) -> NDArray[np.int64]:
    """The sum of each row modulo 2**64; rows of bytes in a kernel, for NumPy widens them first."""
    if values.dtype.itemsize > 1 or values.shape[1] > 1 << 23 or not values.flags.c_contiguous:
        total: NDArray[np.int64] = values.sum(axis=1, dtype=np.int64)
        return total
    out = np.empty(values.shape[0], np.int64)
    signed = values.dtype.kind == "i"
    _sum_octets(values.view(np.uint8), np.uint8(128 * signed), out)
    out -= 128 * signed * values.shape[1]
    return out


def column_part(
    right: Operand, a: int, b: int, zx: int, zy: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(base, row_weights) for u = x - a, s = y - b; zy: one zero point a column."""
    depth, da, db = right.shape[1], a - zx, b - zy
    if not da:
        return np.zeros(len(zy), np.int64), db
    sums = right.once("sums", lambda: row_sums(right.values()))
    return da * (sums - depth * b + depth * db), db
