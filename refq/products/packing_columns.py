"""Bit planes along the first of two axes, without transposing the values: it is the bits that are transposed.

    values (depth, columns)         one plane, a word a line           transposed
    d = 0    c0 c1 c2 ... c63       bit c of word d: of value d, c     bit d of word c: 64 values of column c
    d = 1    c0 c1 c2 ... c63  ->   64 words of 64 bits           ->   out[plane, c, word of d]
    ...

A transposed copy of 4096 x 1024 bytes takes 14 ms, as every write meets the same cache set; this takes 1 for one plane.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from refq.products.packing import lanes_hit


@njit
def _transpose_bits(square):
    """square: 64 words. Swaps blocks of 32 x 32 bits, then of 16 x 16, ... (Warren, Hacker's Delight, 7-3)."""
    size, keep = 32, np.uint64(0xFFFFFFFF)
    while size > 0:
        shift = np.uint64(size)
        for at in range(0, 64, 2 * size):
            above, below = square[at : at + size], square[at + size : at + 2 * size]
            for k in range(size):
                moved = ((above[k] >> shift) ^ below[k]) & keep
                below[k] ^= moved
                above[k] ^= moved << shift
        size //= 2
        keep ^= keep << np.uint64(size)


@njit
def _hit_lines(values, at, columns, add, mask, square):
    """square[d] = the word of 64 values from at + d * columns on; a load that would leave the array starts earlier."""
    for d in range(square.size):
        place = at + d * columns
        inside = min(place, values.size - 64)
        square[d] = lanes_hit(values, inside, add, mask) >> np.uint64(place - inside)


@njit(nogil=True)
def pack_columns(values, depth, columns, start, stop, lanes, out):
    """Fill out[:, start:stop] of (bits, columns, words); True if a value of those columns is illegal.

    values: 1-D C-contiguous uint8, uint16 or uint32, at least 64, `depth` lines of `columns` values each.
    out: uint64, words = ceil(depth / 64); padding bits become 0. Threads may share the columns.
    """
    square = np.empty(64, np.uint64)
    hits = np.uint64(0)
    for first in range(start, stop, 64):
        width = min(64, stop - first)
        valid = ~np.uint64(0) >> np.uint64(64 - width)
        for w in range(out.shape[2]):
            at, lines = 64 * w * columns + first, min(64, depth - 64 * w)
            _hit_lines(values, at, columns, lanes.shift, lanes.illegal, square[:lines])
            for d in range(lines):
                hits |= square[d] & valid
            for b in range(out.shape[0]):
                _hit_lines(values, at, columns, lanes.add, lanes.first << b, square[:lines])
                square[lines:] = 0
                _transpose_bits(square)
                for k in range(width):
                    out[b, first + k, w] = square[k]
    return hits != 0
