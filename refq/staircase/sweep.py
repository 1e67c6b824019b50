"""Every accumulator, one by one: the check that needs no theorem about monotone maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from refq.arguments import Real
from refq.dispatch import KERNELS, fastest
from refq.formats import INT8, IntFormat
from refq.parameters import prepare
from refq.rules import FixedScale, Rule

BLOCK = 2048
CHUNK = 1 << 20


@njit
def _count_chunk(code_a, a, code_b, b, first):
    """Differences on first..first + CHUNK - 1, a block at a time: three short loops, each vectorized."""
    left, right = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    total = 0
    for start in range(first, first + CHUNK, BLOCK):
        for i in range(BLOCK):
            left[i] = code_a(np.int64(np.int32(start + i)), a)
        for i in range(BLOCK):
            right[i] = code_b(np.int64(np.int32(start + i)), b)
        for i in range(BLOCK):
            total += left[i] != right[i]
    return total


@njit(parallel=True)
def _count(code_a, a, code_b, b):
    total = 0
    for chunk in prange(4096):
        total += _count_chunk(code_a, a, code_b, b, -2147483648 + chunk * CHUNK)
    return total


def count_differences(
    left: Rule | str,
    right: Rule | str,
    scale: Real | FixedScale,
    *,
    zero_point: int = 0,
    fmt: IntFormat = INT8,
) -> int:
    """On how many of the 2**32 accumulators two rules differ, counted one by one on all cores (some 3 s).

    Equals `difference(staircase(left, ...), staircase(right, ...)).count`, which takes a millisecond.
    Raises ValueError as `requantize` does, and where a rule is not defined on all of int32.
    """
    sides: list[Any] = []
    for rule in (left, right):
        prepared, (low, high) = prepare(rule, scale, zero_point, fmt, "count_differences")
        if low > -(1 << 31) or high < (1 << 31) - 1:
            raise ValueError(f"count_differences: {rule} is defined on {low}..{high} only; use difference instead")
        sides += [fastest(prepared), KERNELS[prepared.arithmetic][1](prepared.table, 0, prepared.qmin)]
    return int(_count(*sides))
