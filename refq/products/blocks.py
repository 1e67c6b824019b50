"""Whole products from register tiles: operands into tile order, blocks of the result, edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.memory import empty
from refq.products.rows import add_row, add_weighted_row
from refq.products.threads import share
from refq.products.tile import Inner, register_tile

GROUP = 128
"""Rows whose sums wait together: their left operand stays in the second cache."""
NEAR = 64 << 10
"""Bytes of a right panel that stay near while the left panels of a group run over them."""


CELL_SECONDS = 1e-9
"""To move a cell into tile order."""


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


@njit(nogil=True)
def _fill_panels(words, flip, out, first, last):
    """out[p, panel, cell, r] = words[p, panel * rows + r, cell] ^ flip, panels first..last - 1; rows past the end 0."""
    rows = out.shape[3]
    for p in range(out.shape[0]):
        for panel in range(first, last):
            for r in range(rows):
                if panel * rows + r < words.shape[1]:
                    _fill_row(out[p, panel, :, r], words[p, panel * rows + r], flip)
                else:
                    out[p, panel, :, r] = 0


@njit(nogil=True)
def _fill_row(target, source, flip):
    for cell in range(source.size):
        target[cell] = source[cell] ^ flip


def panels(words: NDArray[Any], rows: int, flip: int = 0) -> NDArray[Any]:
    """Words (planes, count, cells), uint32 or uint64, in tile order: (planes, panels, cells, rows), 0 past the end."""
    planes, count, cells = words.shape
    out, flips = empty((planes, -(-count // rows), cells, rows), words.dtype), words.dtype.type(flip)
    share(lambda first, last: _fill_panels(words, flips, out, first, last), out.shape[1], words.size * CELL_SECONDS)
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

    left (planes, panels, cells, rows), right (planes, panels, cells, columns): tile order, cells >= 1.
    out (M, N) int64: base[j] + row_sums[i] * row_weights[j] + sum over p, q of weights[p, q] * left[p] . right[q],
    for left panels i0..i1 - 1 and right panels j0..j1 - 1. A lane sums `most` cells without overflow.
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
        cells, reach = left.shape[2], min(near, most)
        step = cells * rows
        for first in range(i0, i1, group):
            last = min(first + group, i1)
            for j in range(j0, j1):
                for p in range(left.shape[0]):
                    for q in range(right.shape[0]):
                        fresh, held = p == 0 and q == 0, 0
                        for k in range(0, cells, reach):
                            piece = min(reach, cells - k)
                            keep, held = min(held, 1), held + piece
                            full = k + piece == cells or held + reach > most
                            a = (p * left.shape[1] * cells + k) * rows
                            b = ((q * right.shape[1] + j) * cells + k) * columns
                            for i in range(first, last):
                                s = i - first
                                tile(lefts, a + i * step, step, rights, b, piece, sums, s * size, keep)
                                if full:
                                    # the stores drain while the next tile computes
                                    at, w = (i * rows, j * columns), weights[p, q]
                                    add_block(out, blocks[s], *at, w, fresh, base, row_sums, row_weights)
                            if full:
                                held, fresh = 0, False

    return product
