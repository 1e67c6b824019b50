"""Whole one-bit products from subset sums: blocks of 512 columns, rows in turn."""

from __future__ import annotations

import numpy as np
from numba import njit

from refq.products.blocks import add_block
from refq.products.subsets import (
    LONGEST,
    LOW_SLICES,
    MOST_SLICES,
    TABLE_WORDS,
    WORDS,
    count_word,
    read_counters,
    subset_table,
)

ROWS = 64
"""Rows whose counters stay in cache while the tables run over the depth: 64 KiB."""
ROW_WORDS = MOST_SLICES * WORDS
SCRATCH = TABLE_WORDS + ROWS * ROW_WORDS
"""Words that a call of `subset_product` works in."""
PASS = LONGEST // 64
"""Words of the depth that the counters hold."""


@njit(nogil=True)
def _count_rows(left, right, table, counters, row, rows, column, start, stop, slices):
    """counters = the counts of left[row : row + rows] against 512 columns over words start..stop - 1 of the depth."""
    stride, flat = right.shape[1], right.reshape(-1)
    counters[: rows * ROW_WORDS] = 0
    for w in range(start, stop):
        subset_table(flat, w * 64 * stride + column, stride, table)
        for i in range(rows):
            count_word(left[row + i, w], table, counters, i * ROW_WORDS, slices)


@njit(nogil=True)
def subset_product(left, right, weights, base, row_sums, row_weights, out, scratch, i0, i1, j0, j1):
    """As the kernel of `tile_product`, for rows i0..i1 - 1 and column blocks j0..j1 - 1 of 512.

    left (planes, M, words): bit planes along the depth. right (planes, 64 * words, WORDS * blocks): bit planes along
    the columns, rows past the depth 0. scratch: SCRATCH words of the caller's own, on a boundary of 64 bytes.
    """
    table, counters = scratch[:TABLE_WORDS], scratch[TABLE_WORDS:]
    numbers = np.empty((1, 512), np.int32)
    words = left.shape[2]
    for j in range(j0, j1):
        for row in range(i0, i1, ROWS):
            rows = min(ROWS, i1 - row)
            for p in range(left.shape[0]):
                for q in range(right.shape[0]):
                    for start in range(0, words, PASS):
                        stop = min(start + PASS, words)
                        slices = LOW_SLICES
                        while (64 * (stop - start)) >> slices:
                            slices += 1
                        _count_rows(left[p], right[q], table, counters, row, rows, j * WORDS, start, stop, slices)
                        first = p == 0 and q == 0 and start == 0
                        for i in range(rows):
                            read_counters(counters, i * ROW_WORDS, numbers)
                            add_block(out, numbers, row + i, 512 * j, weights[p, q], first, base, row_sums, row_weights)
