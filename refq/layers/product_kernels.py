"""Kernels from flat sums to codes, channels innermost: short forms of `refq.pipeline` whose loops become vectors.

A table holds one column a value of a tile; a tile is some pixels with all their channels, so that the inner loop is
long whatever the number of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, uintp
from numpy.typing import NDArray

from refq.dispatch import fastest
from refq.pipeline import float32_plain, integer_plain
from refq.plans import FloatPlan, IntegerPlan, Plan

TILE = 256
"""Values of a tile, at least: the inner loop is then long, and the table lies in the first cache."""
VALUES_A_SECOND = 1e9
"""Estimate for the decision to share a layer among threads."""

_INTEGER = ("multiplier", "high", "high_add", "low", "low_add", "low_negative", "after", "qmin", "qmax")
_FLOAT = ("scale", "after", "qmin", "qmax")


@njit(nogil=True)
def integer_rows(acc, table, out):
    """`pipeline.integer_plain` without branches. A shift of 0 adds 0; |acc| <= Plan.acc_bound."""
    width = table.shape[1]
    for start in range(0, acc.size, width):
        for i in range(min(width, acc.size - start)):
            at, k = uintp(start + i), uintp(i)
            value = (acc[at] * table[0, k] + table[2, k]) >> table[1, k]
            value += table[4, k] + ((value >> 63) & table[5, k])
            out[at] = min(max((value >> table[3, k]) + table[6, k], table[7, k]), table[8, k])


@njit(nogil=True)
def float32_even_rows(acc, table, out):
    """`pipeline.float32_plain` for ties to even, all in float32: ends less the zero point are below 2**24."""
    width = table.shape[1]
    for start in range(0, acc.size, width):
        for i in range(min(width, acc.size - start)):
            at, k = uintp(start + i), uintp(i)
            value = np.rint(np.float32(acc[at]) * table[0, k])
            value = min(max(value, table[2, k] - table[1, k]), table[3, k] - table[1, k])
            out[at] = np.int32(value + table[1, k])


def rows_kernel(plan: Plan) -> Callable[..., None] | None:
    """The kernel for this plan, None where there is none."""
    plain = fastest(plan)
    if plain is integer_plain:
        whole: Callable[..., None] = integer_rows
        return whole
    if plain is not float32_plain or plan.qmax >= 1 << 22 or (plan.table[FloatPlan._fields.index("parity")] != 1).any():
        return None
    even: Callable[..., None] = float32_even_rows
    return even


def tiled(plan: Plan) -> NDArray[Any]:
    """The rows that the kernel of a plan reads, columns repeated to a tile's width."""
    single = plan.table.dtype == np.float64
    fields: tuple[str, ...] = FloatPlan._fields if single else IntegerPlan._fields
    rows = plan.table[[fields.index(name) for name in (_FLOAT if single else _INTEGER)]]
    times = -(-TILE // rows.shape[1])
    return np.ascontiguousarray(np.tile(rows, times).astype(np.float32 if single else np.int64))
