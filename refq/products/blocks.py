"""Whole products from register tiles: pieces that stay in cache, blocks of the result, edges."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit

from refq.products.rows import add_row, add_weighted_row
from refq.products.tile import Inner, register_tile

GROUP = 128
"""Rows whose sums wait together: their left operand stays in the second cache."""
NEAR = 64 << 10
"""Bytes of a right panel that stay near while the left panels of a group run over them."""


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
    size, vectors, line = rows * columns, inner.vectors, columns // inner.vectors
    lane = np.int64 if inner.lane.width == 64 else np.int32
    group, near = max(GROUP // rows, 1), max(NEAR // (64 * inner.vectors), 1)

    @njit(nogil=True)
    def panel(lefts, a, rights, b, cells, reach, most, blocks, weight, fresh, base, row_sums, row_weights, out, i0, j):
        """out (+)= weight * left panels i0.. (from lane a, one a block) times right panel j (from lane b)."""
        flat, step, held = blocks.reshape(-1), cells * rows, 0
        for k in range(0, cells, reach):
            piece = min(reach, cells - k)
            keep, held = min(held, 1), held + piece
            full = k + piece == cells or held + reach > most
            at = b + k * columns
            for i in range(blocks.shape[0]):
                mine = a + i * step + k * rows
                # the next piece of the right operand lies behind this one
                ahead = at + piece * columns + i % vectors * piece * line
                tile(lefts, mine, mine + step, rights, at, ahead, piece, flat, i * size, keep)
                if full:
                    # the stores drain while the next tile computes
                    row = (i0 + i) * rows
                    add_block(out, blocks[i], row, j * columns, weight, fresh, base, row_sums, row_weights)
            if full:
                held, fresh = 0, False

    @njit(nogil=True)
    def product(left, right, weights, most, base, row_sums, row_weights, out, i0, i1, j0, j1):
        """The kernel: groups of left panels whose blocks wait together, over all right panels."""
        sums = np.empty((min(group, i1 - i0), rows, columns), lane)
        lefts, rights, cells = left.reshape(-1), right.reshape(-1), left.shape[2]
        reach = min(near, most)
        for i in range(i0, i1, group):
            blocks = sums[: min(group, i1 - i)]
            for j in range(j0, j1):
                for p in range(left.shape[0]):
                    a = (p * left.shape[1] + i) * cells * rows
                    for q in range(right.shape[0]):
                        b = (q * right.shape[1] + j) * cells * columns
                        w, fresh = weights[p, q], p == 0 and q == 0
                        panel(
                            lefts,
                            a,
                            rights,
                            b,
                            cells,
                            reach,
                            most,
                            blocks,
                            w,
                            fresh,
                            base,
                            row_sums,
                            row_weights,
                            out,
                            i,
                            j,
                        )

    return product
