"""Whole products from register tiles: operands into tile order, blocks of the result, edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.tile import Inner, register_tile


@njit(nogil=True)
def _fill_panels(words, flip, out, first, last):
    """out[p, panel, cell, r] = words[p, panel * rows + r, cell] ^ flip, panels first..last - 1; rows past the end 0."""
    rows = out.shape[3]
    for p in range(out.shape[0]):
        for panel in range(first, last):
            start, target = panel * rows, out[p, panel]
            there = min(rows, words.shape[1] - start)
            for cell in range(target.shape[0]):
                for r in range(there):
                    target[cell, r] = words[p, start + r, cell] ^ flip
                for r in range(there, rows):
                    target[cell, r] = 0


def panels(words: NDArray[Any], rows: int, flip: int = 0) -> NDArray[Any]:
    """Words (planes, count, cells), uint32 or uint64, in tile order: (planes, panels, cells, rows)."""
    planes, count, cells = words.shape
    out = np.empty((planes, -(-count // rows), cells, rows), words.dtype)
    _fill_panels(words, words.dtype.type(flip), out, 0, out.shape[1])
    return out


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


def column_panels(values: NDArray[Any], columns: int, flip: int) -> NDArray[np.uint32]:
    """Values (depth, count), uint8 or uint16, as cells of 4 bytes in tile order: (1, panels, cells, columns)."""
    depth, count = values.shape
    out = np.zeros((-(-count // columns), -(-depth * values.itemsize // 4), columns), np.uint32)
    _fill_columns(values, values.dtype.type(flip), out)
    return out[None]


@njit(nogil=True)
def _set_row(target, source, weight, base, weights, total):
    for c in range(target.size):
        target[c] = base[c] + total * weights[c] + weight * np.int64(source[c])


@njit(nogil=True)
def add_row(target, source, weight):
    """target += weight * source, int64 modulo 2**64."""
    for c in range(target.size):
        target[c] += weight * np.int64(source[c])


@njit(nogil=True)
def add_block(out, block, row, column, weight, first, base, row_sums, row_weights):
    """out[row.., column..] += weight * block, clipped at the edges.

    `first`: out is not read, the block goes on top of base[j] + row_sums[i] * row_weights[j].
    int64 modulo 2**64: the caller has proved that the final sum fits. Rows are functions of their own, on slices,
    so that LLVM sees few enough arrays to make vectors of them.
    """
    stop = min(column + block.shape[1], out.shape[1])
    for r in range(min(block.shape[0], out.shape[0] - row)):
        target = out[row + r, column:stop]
        if first:
            _set_row(target, block[r], weight, base[column:stop], row_weights[column:stop], row_sums[row + r])
        else:
            add_row(target, block[r], weight)


@cache
def tile_product(inner: Inner) -> Any:
    """A kernel `product(left, right, weights, chunk, base, row_sums, row_weights, out, i0, i1, j0, j1)`.

    left (planes, panels, cells, rows), right (planes, panels, cells, columns): tile order, cells >= 1.
    out (M, N) int64: base[j] + row_sums[i] * row_weights[j] + sum over p, q of weights[p, q] * left[p] . right[q],
    for left panels i0..i1 - 1 and right panels j0..j1 - 1. A lane sums `chunk` cells, which must not overflow it.
    """
    tile = register_tile(inner)
    rows, columns = inner.rows, inner.columns
    lane = np.int64 if inner.lane.width == 64 else np.int32

    @njit(nogil=True)
    def product(left, right, weights, chunk, base, row_sums, row_weights, out, i0, i1, j0, j1):
        block = np.empty((rows, columns), lane)
        cells = left.shape[2]
        for j in range(j0, j1):
            for start in range(0, cells, chunk):
                for i in range(i0, i1):
                    for p in range(left.shape[0]):
                        for q in range(right.shape[0]):
                            tile(left[p, i, start:], right[q, j, start:], min(chunk, cells - start), block)
                            first = start == 0 and p == 0 and q == 0
                            add_block(
                                out, block, i * rows, j * columns, weights[p, q], first, base, row_sums, row_weights
                            )

    return product
