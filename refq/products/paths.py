"""The ways to compute a product, each exact under its own bound; `refq.products.choice` picks one.

A path is made ready for a right operand and what the left values may be; it then runs on any such left operand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.affine import Affine, modulo_int64
from refq.products.bitplanes import packed
from refq.products.blocks import tile_product
from refq.products.memory import aligned, read_only
from refq.products.operands import Operand, Span
from refq.products.panels import column_panels, panels, word_panels
from refq.products.rows import add_weighted_row
from refq.products.subset_blocks import SCRATCH, subset_product
from refq.products.threads import share
from refq.products.tile import Inner, popcount_inner

Run = Callable[[Operand, Affine, NDArray[np.int64], float], None]


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


def _tiles(inner: Inner, most: int, theirs: Any, weights: Any) -> Callable[[Any, Affine, Any, float], None]:
    """The product of panels, those of the longer side shared between threads."""
    product, columns = tile_product(inner), theirs.shape[1]

    def run(ours: Any, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        rows = ours.shape[1]
        if columns >= rows:
            share(lambda j, end: product(ours, theirs, weights, most, *sums, out, 0, rows, j, end), columns, seconds)
        else:
            share(lambda i, end: product(ours, theirs, weights, most, *sums, out, i, end, 0, columns), rows, seconds)

    return run


def popcount(span: Span, right: Operand) -> Ready:
    """And + popcount of every pair of planes. A lane of 64 bits never overflows."""
    inner = popcount_inner()
    theirs = right.once(inner, lambda: word_panels(right.planes().words, inner.columns))
    tiles = _tiles(inner, 1 << 50, theirs, _plane_weights(span, right.span))

    def run(left: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        tiles(panels(read_only(left.planes().words), inner.rows), sums, out, seconds)

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

    def run(left: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        ours = read_only(left.planes().words)
        rows = ours.shape[1]

        def part(i: int, i_end: int, j: int, j_end: int) -> None:
            subset_product(ours, theirs, weights, *sums, out, aligned((SCRATCH,), np.uint64), i, i_end, j, j_end)

        if blocks > 1:
            share(lambda j, end: part(0, rows, j, end), blocks, seconds)
        else:
            share(lambda i, end: part(i, end, 0, blocks), rows, seconds)

    return Ready(*_plane_offsets(span, right.span), run)


def offset_into(span: Span, low: int, high: int) -> int | None:
    """What to take from every value so that it lies in low..high: 0, half the range (one bit flips), or any number."""
    half = (high - low + 1) // 2
    for offset in (0, -half if low == 0 else half, span.low - low):
        if low <= span.low - offset and span.high - offset <= high:
            return offset
    return None


def dot_offsets(inner: Inner, left: Span, right: Span) -> tuple[int | None, int | None]:
    """(a, b) for the operand types of the inner product: uint8 x int8 for four a lane, int16 x int16 for two."""
    if inner.depth == 4:
        return offset_into(left, 0, 255), offset_into(right, -128, 127)
    return offset_into(left, -(1 << 15), (1 << 15) - 1), offset_into(right, -(1 << 15), (1 << 15) - 1)


def dot_chunk(inner: Inner, left: Span, right: Span) -> int:
    """Cells that an int32 lane sums without overflow, offsets taken; 0 where an operand or one cell does not fit."""
    a, b = dot_offsets(inner, left, right)
    if a is None or b is None:
        return 0
    reach = max(a - left.low, left.high - a) * max(b - right.low, right.high - b) * inner.depth
    return ((1 << 31) - 1) // max(reach, 1)


def _codes(values: NDArray[Any], offset: int, inner: Inner) -> tuple[NDArray[Any], int]:
    """values - offset as uint8 or uint16 modulo their size, and the bit that has to be flipped in them yet."""
    dtype = np.dtype(np.uint8 if inner.depth == 4 else np.uint16)
    if values.dtype.itemsize == dtype.itemsize:
        return values.view(dtype), 1 << (8 * dtype.itemsize - 1) if offset else 0
    return (values.astype(np.int64) - modulo_int64(offset) if offset else values).astype(dtype), 0


def _left_panels(values: NDArray[Any], offset: int, inner: Inner) -> NDArray[Any]:
    """In tile order, 0 past the depth."""
    codes, flip = _codes(values, offset, inner)
    if codes.shape[1] % inner.depth:
        # a flipped padding is 0
        padding = np.full((len(codes), -codes.shape[1] % inner.depth), flip, codes.dtype)
        codes = np.concatenate([codes, padding], axis=1)
    words = read_only(codes.view(np.uint32)[None])
    return panels(words, inner.rows, flip * (0x01010101 if inner.depth == 4 else 0x00010001))


def _right_panels(values: NDArray[Any], offset: int, inner: Inner) -> NDArray[Any]:
    codes, flip = _codes(values.T, offset, inner)
    return column_panels(np.ascontiguousarray(codes), inner.columns, flip)


def dot(inner: Inner, span: Span, right: Operand) -> Ready:
    """The integer dot product of the processor, in chunks that its 32-bit lanes hold."""
    a, b = (offset or 0 for offset in dot_offsets(inner, span, right.span))
    theirs = right.once(inner, lambda: _right_panels(right.values(), b, inner))
    tiles = _tiles(inner, dot_chunk(inner, span, right.span), theirs, np.ones((1, 1), np.int64))

    def run(left: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        tiles(_left_panels(left.values(), a, inner), sums, out, seconds)

    return Ready(a, b, run)


def exact_depth(left: Span, right: Span, digits: int) -> int:
    """The depth whose sums of |products| stay within 2**digits, so that such floats hold every partial sum."""
    return (1 << digits) // max(left.largest * right.largest, 1)


def _start(sums: Affine, out: NDArray[np.int64]) -> None:
    out[:] = sums.base
    if sums.row_weights.size:
        out += np.multiply.outer(sums.row_sums, sums.row_weights)


def blas(dtype: Any, span: Span, right: Operand) -> Ready:
    """Float products of NumPy over pieces of the depth in which every partial sum is an integer the float holds."""
    depth = right.shape[1]
    piece = min(exact_depth(span, right.span, np.finfo(dtype).nmant + 1), depth)
    theirs = right.once(dtype, lambda: np.ascontiguousarray(right.values().T, dtype))

    def run(left: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        ours, product = left.values().astype(dtype), np.empty(out.shape, dtype)
        _start(sums, out)
        for first in range(0, depth, piece):
            np.matmul(ours[:, first : first + piece], theirs[first : first + piece], out=product)
            np.add(out, product, out=out, casting="unsafe", dtype=np.int64)

    return Ready(0, 0, run)


@njit(nogil=True)
def _add_products(left, right, out, i0, i1):
    """out[i] += left[i] . right modulo 2**64; left (M, K), right (K, N), int64."""
    for i in range(i0, i1):
        for k in range(left.shape[1]):
            at = i * out.shape[1]
            add_weighted_row(out, at, out.shape[1], out, at, right, k * out.shape[1], left[i, k])


def plain(span: Span, right: Operand) -> Ready:
    """A loop in int64."""
    theirs = right.once(np.int64, lambda: np.array(right.values().T, np.int64, order="C"))

    def run(left: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
        ours = np.array(left.values(), np.int64, order="C")
        _start(sums, out)
        share(lambda start, stop: _add_products(ours, theirs, out, start, stop), len(ours), seconds)

    return Ready(0, 0, run)
