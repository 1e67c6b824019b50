"""Sums of the rows of an array of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
