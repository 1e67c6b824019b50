"""Whole one-bit products from subset sums: blocks of 512 columns, rows in turn."""

from __future__ import annotations

import numpy as np
from numba import njit

from refq.products.adders import HIGH_SLICES, LOW_SLICES, WORDS
from refq.products.blocks import add_block
from refq.products.counters import MOST_WORDS, add_carry, read_counters
from refq.products.subsets import TABLE_WORDS, count_word, subset_table

ROWS = 256
"""Rows that share a table; their counters, 1792 bytes each, stay in the second cache."""
LOW_WORDS = 8 * WORDS
"""Words of the low counters of a row, and of a carry on its way up."""
LEVEL = (ROWS + 1) * WORDS
"""Words of a slice of all rows; one row more than that, so that the levels of a row lie in different cache sets."""
HIGH = TABLE_WORDS + ROWS * LOW_WORDS
SCRATCH = HIGH + 2 * (HIGH_SLICES + 1) * LEVEL
"""Words a call of `subset_product` works in: the table, low counters row by row, high ones level by level."""


@njit(nogil=True)
def _carry_up(scratch, rows, levels):
    """Add the carries of a word, at slice LOW_SLICES of each row's low counters, to what waits on `levels` levels."""
    for i in range(rows):
        carry = TABLE_WORDS + i * LOW_WORDS + LOW_SLICES * WORDS
        for level in range(levels):
            total = HIGH + 2 * level * LEVEL + i * WORDS
            out = HIGH + (2 * levels + 1) * LEVEL + i * WORDS if level == levels - 1 else carry
            add_carry(scratch, total, total + LEVEL, carry, out)


@njit(nogil=True)
def _count_rows(left, right, scratch, chosen, row, rows, column, start, stop):
    """Counters = the counts of left[row : row + rows] against 512 columns over words start..stop - 1 of the depth."""
    stride, flat = right.shape[1], right.reshape(-1)
    scratch[TABLE_WORDS:] = 0
    for w in range(start, stop):
        subset_table(flat, w * 64 * stride + column, stride, scratch)
        for i in range(rows):
            chosen[i] = left[row + i, w]
        levels = 0
        while (w - start) >> levels & 1:
            levels += 1
        # an even word's carry waits at once
        carry, step = (TABLE_WORDS + LOW_SLICES * WORDS, LOW_WORDS) if levels else (HIGH + LEVEL, WORDS)
        for i in range(rows):
            count_word(chosen[i], scratch, scratch, TABLE_WORDS + i * LOW_WORDS, carry + i * step)
        _carry_up(scratch, rows, levels)


@njit(nogil=True)
def subset_product(left, right, weights, base, row_sums, row_weights, out, scratch, i0, i1, j0, j1):
    """As the kernel of `tile_product`, for rows i0..i1 - 1 and column blocks j0..j1 - 1 of 512.

    left (planes, M, words): bit planes along the depth. right (planes, 64 * words, WORDS * blocks): bit planes along
    the columns, rows past the depth 0. scratch: SCRATCH words of the caller's own, on a boundary of 64 bytes.
    """
    numbers, chosen = np.empty(512, np.int32), np.empty(ROWS, np.uint64)
    words, sums = left.shape[2], (base, row_sums, row_weights)
    for j in range(j0, j1):
        for row in range(i0, i1, ROWS):
            rows = min(ROWS, i1 - row)
            for p in range(left.shape[0]):
                for q in range(right.shape[0]):
                    for start in range(0, words, MOST_WORDS):
                        stop = min(start + MOST_WORDS, words)
                        _count_rows(left[p], right[q], scratch, chosen, row, rows, j * WORDS, start, stop)
                        fresh, w = p == 0 and q == 0 and start == 0, weights[p, q]
                        for i in range(rows):
                            low, high = TABLE_WORDS + i * LOW_WORDS, HIGH + i * WORDS
                            read_counters(scratch, low, high, LEVEL, stop - start, numbers)
                            add_block(out, row + i, 1, 512 * j, 512, numbers, 0, w, fresh, sums)
