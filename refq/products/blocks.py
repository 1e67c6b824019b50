"""Whole products from register tiles: pieces that stay in cache, blocks of the result, edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from refq.products.inner import Inner
from refq.products.panels import row_panels
from refq.products.rows import add_row, add_weighted_row
from refq.products.tile import register_tiles

GROUP = 128
"""Rows that are put into tile order together, and whose sums wait together: they stay in the second cache."""
NEAR = 64 << 10
"""Bytes of a right panel that stay near while the left panels of a group run over them."""


@njit(nogil=True)
def add_block(out, row, rows, column, columns, block, source, weight, fresh, sums):
    """out[row.., column..] += weight * rows x columns lanes at block[source:], clipped at the edges of out.

    sums = (base, row_sums, row_weights). `fresh`: out is not read, the block goes on top of base[j] + row_sums[i] *
    row_weights[j]; no row_weights: all 0. Modulo 2**32 or 2**64, as out has it: it is proved that the final sum fits.
    """
    base, row_sums, row_weights = sums
    width = min(columns, out.shape[1] - column)
    for r in range(min(rows, out.shape[0] - row)):
        at, place = (row + r) * out.shape[1] + column, source + r * columns
        if fresh and row_weights.size == 0:
            if weight == 1:
                add_row(out, at, width, base, column, block, place)
            else:
                add_weighted_row(out, at, width, base, column, block, place, weight)
            continue
        if fresh:
            add_weighted_row(out, at, width, base, column, row_weights, column, row_sums[row + r])
        add_weighted_row(out, at, width, out, at, block, place, weight)


@cache
def tile_product(inner: Inner) -> Any:
    """A kernel `product(left, flip, right, weights, most, base, row_sums, row_weights, out, i0, i1, j0, j1)`.

    left (planes, M, cells): words as they lie, of which the bits of `flip` are flipped. right (planes, panels, cells,
    columns): tile order. cells >= 1.
    out (M, N): base[j] + row_sums[i] * row_weights[j] + sum over p, q of weights[p, q] * left[p] . right[q],
    for left panels i0..i1 - 1 and right panels j0..j1 - 1. A lane sums `most` cells without overflow.
    """
    to_blocks, to_result = register_tiles(inner)
    fill = row_panels(inner.lane.width, inner.rows)
    rows, columns = inner.rows, inner.columns
    size, vectors, line = rows * columns, inner.vectors, columns // inner.vectors
    lane = np.dtype(np.int64 if inner.lane.width == 64 else np.int32)
    group, near = max(GROUP // rows, 1), max(NEAR // (64 * inner.vectors), 1)

    @njit(nogil=True)
    def panel(lefts, a, rights, b, cells, reach, most, blocks, weight, fresh, sums, out, i0, i1, j):
        """out (+)= weight * left panels i0..i1 - 1 (from lane a, one a block) times right panel j (from lane b)."""
        step, held, column = cells * rows, 0, j * columns
        plain = weight == 1 and sums[2].size == 0 and column + columns <= out.shape[1]
        for k in range(0, cells, reach):
            piece = min(reach, cells - k)
            keep, held = min(held, 1), held + piece
            full = k + piece == cells or held + reach > most
            at = b + k * columns
            for i in range(i0, i1):
                mine, block, row = a + (i - i0) * step + k * rows, (i - i0) * size, i * rows
                # the next piece of the right operand lies behind this one
                ahead = at + piece * columns + i % vectors * piece * line
                places = (mine, mine + step, at, ahead, piece, block, keep)
                if full and fresh and plain and row + rows <= out.shape[0]:
                    to_result(
                        lefts, rights, blocks, places, out, sums[0], (row * out.shape[1] + column, out.shape[1], column)
                    )
                    continue
                to_blocks(lefts, rights, blocks, places)
                if full:
                    # the stores drain while the next tile computes
                    add_block(out, row, rows, column, columns, blocks, block, weight, fresh, sums)
            if full:
                held, fresh = 0, False

    @njit(nogil=True)
    def product(left, flip, right, weights, most, base, row_sums, row_weights, out, i0, i1, j0, j1):
        """The kernel: groups of left panels whose blocks wait together, over all right panels."""
        rights, cells, sums = right.reshape(-1), left.shape[2], (base, row_sums, row_weights)
        count, reach = min(group, i1 - i0), min(near, most)
        blocks, lefts = np.empty(count * size, lane), np.empty(left.shape[0] * count * cells * rows, left.dtype)
        for i in range(i0, i1, group):
            end = min(i + group, i1)
            fill(left, flip, lefts, i, end)
            for j in range(j0, j1):
                for p in range(left.shape[0]):
                    a = p * (end - i) * cells * rows
                    for q in range(right.shape[0]):
                        b, fresh = (q * right.shape[1] + j) * cells * columns, p == 0 and q == 0
                        w = weights[p, q]
                        panel(lefts, a, rights, b, cells, reach, most, blocks, w, fresh, sums, out, i, end, j)

    return product
