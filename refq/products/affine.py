"""Zero points and offsets as one affine correction of a raw product.

A path multiplies u = x - a and s = y - b, which fit its instruction. The product asked for is

    sum (x - zx)(y - zy) = sum u s + da * sum s + db * sum u + K da db        da = a - zx, db = b - zy

with zy, and so db, one a column. Everything is added modulo 2**64, or 2**32 if the result is int32; it was proved to
fit there, so it is exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refq.products.operands import Operand


class Affine(NamedTuple):
    """base[j] + row_sums[i] * row_weights[j], to be added to the raw product; no row_weights: all 0."""

    base: NDArray[Any]
    row_sums: NDArray[Any]
    row_weights: NDArray[Any]


def modulo_int64(number: int) -> int:
    """The residue modulo 2**64 that int64 holds.

    >>> modulo_int64(1 << 63), modulo_int64(-5)
    (-9223372036854775808, -5)
    """
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def column_part(
    right: Operand, a: int, b: int, zx: int, zy: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(base, row_weights) for u = x - a, s = y - b; zy: one zero point a column."""
    depth, da, db = right.shape[1], modulo_int64(a - zx), modulo_int64(b) - zy
    if not da:
        return np.zeros(len(zy), np.int64), db
    return da * (right.row_sums() - modulo_int64(depth * b) + depth * db), db
