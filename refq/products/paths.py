"""The ways to compute a product, each exact under its own bound; `refq.products.choice` picks one.

A path is made ready for a right operand and what the left values may be; it then runs on any such left operand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.affine import Affine
from refq.products.bitplanes import packed
from refq.products.blocks import GROUP, tile_product
from refq.products.cells import dot_chunk, dot_offsets, left_words, right_panels
from refq.products.inner import Inner, popcount_inner
from refq.products.memory import aligned, read_only
from refq.products.operands import Operand, Span
from refq.products.panels import word_panels
from refq.products.rows import add_weighted_row
from refq.products.subset_blocks import SCRATCH, subset_product
from refq.products.threads import parts, share

Run = Callable[[Operand, Affine, NDArray[Any], float], None]


class Ready(NamedTuple):
    """What the path takes from left and right values, and run(left, sums, out, seconds): out = sums + raw product."""

    left_offset: int
    right_offset: int
    run: Run


def _plane_weights(left: Span, right: Span) -> NDArray[np.int64]:
    """weight[p] * weight[q]."""
    columns = [np.array(span.encoding.plane_weights if span.encoding else (), np.int64) for span in (left, right)]
    return np.outer(*columns)


def _plane_offsets(left: Span, right: Span) -> tuple[int, int]:
    """The values of codes whose bits are all 0."""
    first, second = (span.encoding.offset if span.encoding else 0 for span in (left, right))
    return first, second


def _tiles(inner: Inner, most: int, theirs: Any, weights: Any) -> Callable[[Any, Any, Affine, Any, float], None]:
    """The product of left words and right panels, shared between threads by rows if each has a group of them."""
    product, columns = tile_product(inner), theirs.shape[1]

    def run(ours: Any, flip: Any, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        fixed = (ours, flip, theirs, weights, most, *sums, out)
        rows, ranges = -(-ours.shape[1] // inner.rows), parts(seconds)
        if ranges == 1:
            product(*fixed, 0, rows, 0, columns)
        elif columns == 1 or ours.shape[1] >= GROUP * ranges:
            share(lambda i, end: product(*fixed, i, end, 0, columns), rows, seconds)
        else:
            share(lambda j, end: product(*fixed, 0, rows, j, end), columns, seconds)

    return run


def popcount(span: Span, right: Operand) -> Ready:
    """And + popcount of every pair of planes. A lane of 64 bits never overflows."""
    inner = popcount_inner()
    theirs = right.once(inner, lambda: word_panels(right.planes().words, inner.columns))
    tiles = _tiles(inner, 1 << 50, theirs, _plane_weights(span, right.span))

    def run(left: Operand, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        tiles(read_only(left.planes().words), np.uint64(0), sums, out, seconds)

    return Ready(*_plane_offsets(span, right.span), run)


def _column_planes(right: Operand) -> NDArray[np.uint64]:
    """Bit planes along the columns, (planes, 64 * words, 8 * blocks): depth and columns padded with zeros."""
    assert right.span.encoding is not None
    words = packed(right.function, right.name, right.values().T, right.span.encoding).words
    bits, depth, columns = words.shape
    out = aligned((bits, -(-depth // 64) * 64, -(-columns // 8) * 8), np.uint64)
    out[:] = 0
    out[:, :depth, :columns] = words
    return out


def subsets(span: Span, right: Operand) -> Ready:
    """Sums of subsets looked up, for every pair of planes."""
    theirs = right.once("columns", lambda: _column_planes(right))
    weights, blocks = _plane_weights(span, right.span), theirs.shape[2] // 8

    def run(left: Operand, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        ours = read_only(left.planes().words)
        rows = ours.shape[1]

        def part(i: int, i_end: int, j: int, j_end: int) -> None:
            subset_product(ours, theirs, weights, *sums, out, aligned((SCRATCH,), np.uint64), i, i_end, j, j_end)

        if blocks > 1:
            share(lambda j, end: part(0, rows, j, end), blocks, seconds)
        else:
            share(lambda i, end: part(i, end, 0, blocks), rows, seconds)

    return Ready(*_plane_offsets(span, right.span), run)


def dot(inner: Inner, span: Span, right: Operand) -> Ready:
    """The integer dot product of the processor, in chunks that its 32-bit lanes hold."""
    a, b = (offset or 0 for offset in dot_offsets(inner, span, right.span))
    theirs = right.once(inner, lambda: right_panels(right.values(), b, inner))
    tiles = _tiles(inner, dot_chunk(inner, span, right.span), theirs, np.ones((1, 1), np.int64))

    def run(left: Operand, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        tiles(*left_words(left.values(), a, inner), sums, out, seconds)

    return Ready(a, b, run)


def exact_depth(left: Span, right: Span, digits: int) -> int:
    """The depth whose sums of |products| stay within 2**digits, so that such floats hold every partial sum."""
    return (1 << digits) // max(left.largest * right.largest, 1)


def _start(sums: Affine, out: NDArray[Any]) -> None:
    out[:] = sums.base
    if sums.row_weights.size:
        out += np.multiply.outer(sums.row_sums, sums.row_weights)


def blas(dtype: Any, span: Span, right: Operand) -> Ready:
    """Float products of NumPy over pieces of the depth in which every partial sum is an integer the float holds."""
    depth = right.shape[1]
    piece = min(exact_depth(span, right.span, np.finfo(dtype).nmant + 1), depth)
    theirs = right.once(dtype, lambda: np.ascontiguousarray(right.values().T, dtype))

    def run(left: Operand, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        ours, product = left.values().astype(dtype), np.empty(out.shape, dtype)
        _start(sums, out)
        for first in range(0, depth, piece):
            np.matmul(ours[:, first : first + piece], theirs[first : first + piece], out=product)
            np.add(out, product, out=out, casting="unsafe", dtype=np.int64)

    return Ready(0, 0, run)


@njit(nogil=True)
def _add_products(left, right, out, i0, i1):
    """out[i] += left[i] . right modulo the size of out; left (M, K), right (K, N), int64."""
    for i in range(i0, i1):
        for k in range(left.shape[1]):
            at = i * out.shape[1]
            add_weighted_row(out, at, out.shape[1], out, at, right, k * out.shape[1], left[i, k])


def plain(span: Span, right: Operand) -> Ready:
    """A loop in int64."""
    theirs = right.once(np.int64, lambda: np.array(right.values().T, np.int64, order="C"))

    def run(left: Operand, sums: Affine, out: NDArray[Any], seconds: float) -> None:
        ours = np.array(left.values(), np.int64, order="C")
        _start(sums, out)
        share(lambda start, stop: _add_products(ours, theirs, out, start, stop), len(ours), seconds)

    return Ready(0, 0, run)
