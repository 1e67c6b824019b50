"""Whole products from register tiles: operands into tile order, blocks of the result, edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.memory import empty
from refq.products.rows import add_row, add_weighted_row
from refq.products.tile import Inner, register_tile

GROUP = 128
"""Rows whose sums wait together: their left operand stays in the second cache."""
NEAR = 16 << 10
"""Bytes of a right panel that stay in the first cache while the left panels of a group run over them."""


@njit(nogil=True)
def _fill_columns(values, flip, out):
    """out[panel, cell, c]: values[cell * depth + d, panel * columns + c] ^ flip, lowest bytes first, d in turn."""
    bits = 8 * values.itemsize
    depth, columns = 32 // bits, out.shape[2]
    for panel in range(out.shape[0]):
        start, stop = panel * columns, min((panel + 1) * columns, values.shape[1])
        for k in range(values.shape[0]):
            _or_row(out[panel, k // depth, : stop - start], values[k, start:stop], flip, np.uint32(bits * (k % depth)))


@njit(nogil=True)
def _or_row(target, source, flip, shift):
    for c in range(target.size):
        target[c] |= np.uint32(source[c] ^ flip) << shift


def word_panels(words: NDArray[Any], columns: int) -> NDArray[Any]:
    """Words (planes, count, cells) in tile order: (planes, panels, cells, columns), 0 past the end."""
    planes, count, cells = words.shape
    out = empty((planes, -(-count // columns), cells, columns), words.dtype)
    out[:] = 0
    for panel in range(out.shape[1]):
        part = words[:, panel * columns : (panel + 1) * columns]
        out[:, panel, :, : part.shape[1]] = part.transpose(0, 2, 1)
    return out


def column_panels(values: NDArray[Any], columns: int, flip: int) -> NDArray[np.uint32]:
    """Values (depth, count), uint8 or uint16, as cells of 4 bytes in tile order: (1, panels, cells, columns)."""
    depth, count = values.shape
    out = empty((-(-count // columns), -(-depth * values.itemsize // 4), columns), np.uint32)
    out[:] = 0
    _fill_columns(values, values.dtype.type(flip), out)
    return out[None]


@njit(nogil=True)
def add_block(out, block, row, column, weight, fresh, base, row_sums, row_weights):
    """out[row.., column..] += weight * block, clipped at the edges; out, block: C-contiguous.

    `fresh`: out is not read, the block goes on top of base[j] + row_sums[i] * row_weights[j]; no row_weights: all 0.
    int64 modulo 2**64: the caller has proved that the final sum fits.
    """
    width = min(block.shape[1], out.shape[1] - column)
    for r in range(min(block.shape[0], out.shape[0] - row)):
        at, source = (row + r) * out.shape[1] + column, r * block.shape[1]
        if fresh and row_weights.size == 0:
            if weight == 1:
                add_row(out, at, width, base, column, block, source)
            else:
                add_weighted_row(out, at, width, base, column, block, source, weight)
            continue
        if fresh:
            add_weighted_row(out, at, width, base, column, row_weights, column, row_sums[row + r])
        add_weighted_row(out, at, width, out, at, block, source, weight)


@cache
def tile_product(inner: Inner) -> Any:
    """A kernel `product(left, right, weights, most, base, row_sums, row_weights, out, i0, i1, j0, j1)`.

    left (planes, M, cells), right (planes, panels, cells, columns) in tile order, cells >= 1, M a multiple of rows.
    out (at least M, N) int64: base[j] + row_sums[i] * row_weights[j] + sum over p, q of weights[p, q] * left[p] . right[q],
    for left panels of `rows` i0..i1 - 1 and right panels j0..j1 - 1. A lane sums `most` cells without overflow.
    """
    tile = register_tile(inner)
    rows, columns = inner.rows, inner.columns
    size = rows * columns
    lane = np.int64 if inner.lane.width == 64 else np.int32
    group, near = max(GROUP // rows, 1), max(NEAR // (64 * inner.vectors), 1)

    @njit(nogil=True)
    def product(left, right, weights, most, base, row_sums, row_weights, out, i0, i1, j0, j1):
        blocks = np.empty((min(group, i1 - i0), rows, columns), lane)
        sums, lefts, rights = blocks.reshape(-1), left.reshape(-1), right.reshape(-1)
        count, cells = left.shape[1:]
        for first in range(i0, i1, group):
            last = min(first + group, i1)
            for j in range(j0, j1):
                for p in range(left.shape[0]):
                    for q in range(right.shape[0]):
                        fresh, held = p == 0 and q == 0, 0
                        for k in range(0, cells, near):
                            piece = min(near, cells - k)
                            keep, held = min(held, 1), held + piece
                            full = k + piece == cells or held + near > most
                            a, b = p * count * cells + k, ((q * right.shape[1] + j) * cells + k) * columns
                            for i in range(first, last):
                                s = i - first
                                tile(lefts, a + i * rows * cells, cells, rights, b, piece, sums, s * size, keep)
                                if full:
                                    # the stores drain while the next tile computes
                                    at, w = (i * rows, j * columns), weights[p, q]
                                    add_block(out, blocks[s], *at, w, fresh, base, row_sums, row_weights)
                            if full:
                                held, fresh = 0, False

    return product
