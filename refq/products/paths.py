"""The ways to compute a product, each exact under its own bound; `refq.products.choice` picks one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.encodings import Encoding
from refq.products.affine import Affine
from refq.products.bitplanes import packed
from refq.products.blocks import panels, tile_product
from refq.products.operands import Operand, Span
from refq.products.subset_blocks import SCRATCH, aligned_words, subset_product
from refq.products.threads import share
from refq.products.tile import Inner, popcount_inner


def plane_weights(left: Encoding, right: Encoding) -> NDArray[np.int64]:
    """weight[p] * weight[q]."""
    return np.outer(np.array(left.plane_weights, np.int64), np.array(right.plane_weights, np.int64))


def _tiles(inner: Inner, chunk: int, left: Any, right: Any, weights: Any, sums: Affine, out: Any, seconds: float) -> None:
    """Panels of the longer side shared between threads."""
    product, rows, columns = tile_product(inner), left.shape[1], right.shape[1]

    def by_columns(start: int, stop: int) -> None:
        product(left, right, weights, chunk, *sums, out, 0, rows, start, stop)

    def by_rows(start: int, stop: int) -> None:
        product(left, right, weights, chunk, *sums, out, start, stop, 0, columns)

    share(*((by_columns, columns) if columns >= rows else (by_rows, rows)), seconds)


def popcount(left: Operand, right: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
    """And + popcount of every pair of planes. A lane of 64 bits never overflows."""
    inner = popcount_inner()
    ours = panels(left.planes().words, inner.rows)
    theirs = right.once(inner, lambda: panels(right.planes().words, inner.columns))
    weights = plane_weights(left.planes().encoding, right.planes().encoding)
    _tiles(inner, 1 << 10, ours, theirs, weights, sums, out, seconds)


def _column_planes(right: Operand) -> NDArray[np.uint64]:
    """Bit planes along the columns, (planes, 64 * words, 8 * blocks): depth and columns padded with zeros."""
    planes = packed(right.function, right.name, right.values().T, right.span.encoding)
    bits, depth, words = planes.words.shape
    out = np.zeros((bits, -(-depth // 64) * 64, -(-words // 8) * 8), np.uint64)
    out[:, :depth, :words] = planes.words
    return out


def subsets(left: Operand, right: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
    """Sums of subsets looked up, for every pair of planes."""
    ours, theirs = left.planes().words, right.once("columns", lambda: _column_planes(right))
    weights = plane_weights(left.planes().encoding, right.span.encoding)
    rows, blocks = ours.shape[1], theirs.shape[2] // 8

    def by_columns(start: int, stop: int) -> None:
        subset_product(ours, theirs, weights, *sums, out, aligned_words(SCRATCH), 0, rows, start, stop)

    def by_rows(start: int, stop: int) -> None:
        subset_product(ours, theirs, weights, *sums, out, aligned_words(SCRATCH), start, stop, 0, blocks)

    share(*((by_columns, blocks) if blocks > 1 else (by_rows, rows)), seconds)


def offset_into(span: Span, low: int, high: int) -> int | None:
    """What to take from every value so that it lies in low..high: 0, half the range (one flipped bit), or as it comes."""
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
    """Cells that an int32 lane sums without overflow, offsets taken; 0 where an operand does not fit or one cell could."""
    a, b = dot_offsets(inner, left, right)
    if a is None or b is None:
        return 0
    reach = max(a - left.low, left.high - a) * max(b - right.low, right.high - b) * inner.depth
    return min(((1 << 31) - 1) // max(reach, 1), 2048 // inner.depth)


def _cells(values: NDArray[Any], offset: int, inner: Inner) -> tuple[NDArray[np.uint32], int]:
    """(1, rows, cells) words of 4 bytes of values - offset, the depth padded with zeros, and what to flip in them yet."""
    rows, depth = values.shape
    dtype = np.dtype(np.int8 if inner.depth == 4 else np.int16)
    flip = 0
    if values.dtype.itemsize == dtype.itemsize:
        flip = offset and (0x80808080 if inner.depth == 4 else 0x80008000)
    else:
        values = (values.astype(np.int64) - offset if offset else values).astype(dtype)
    if depth % inner.depth:
        values = np.concatenate([values, np.zeros((rows, -depth % inner.depth), values.dtype)], axis=1)
    return values.view(np.uint32)[None], flip


def _dot_panels(values: NDArray[Any], offset: int, inner: Inner, rows: int) -> NDArray[Any]:
    words, flip = _cells(values, offset, inner)
    return panels(words, rows, flip)


def dot(
    inner: Inner, left: Operand, right: Operand, sums: Affine, out: NDArray[np.int64], seconds: float, a: int, b: int
) -> None:
    """The integer dot product of the processor, in chunks that its 32-bit lanes hold."""
    ours = _dot_panels(left.values(), a, inner, inner.rows)
    theirs = right.once(inner, lambda: _dot_panels(right.values(), b, inner, inner.columns))
    chunk = dot_chunk(inner, left.span, right.span)
    _tiles(inner, chunk, ours, theirs, np.ones((1, 1), np.int64), sums, out, seconds)


def exact_depth(left: Span, right: Span, digits: int) -> int:
    """The depth whose sums of |products| stay within 2**digits, so that floats of that precision hold every partial sum."""
    return (1 << digits) // max(left.largest * right.largest, 1)


def blas(dtype: Any, left: Operand, right: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
    """Float products of NumPy over pieces of the depth in which every partial sum is an integer the float holds."""
    piece = min(exact_depth(left.span, right.span, np.finfo(dtype).nmant + 1), left.shape[1])
    ours = left.values().astype(dtype)
    theirs = right.once(dtype, lambda: np.ascontiguousarray(right.values().T, dtype))
    _start(sums, out)
    product = np.empty(out.shape, dtype)
    for first in range(0, left.shape[1], piece):
        np.matmul(ours[:, first : first + piece], theirs[first : first + piece], out=product)
        np.add(out, product, out=out, casting="unsafe", dtype=np.int64)


@njit(nogil=True)
def _add_products(left, right, out, i0, i1):
    """out[i] += left[i] . right modulo 2**64; left (M, K), right (K, N), int64."""
    for i in range(i0, i1):
        for k in range(left.shape[1]):
            x = left[i, k]
            for j in range(out.shape[1]):
                out[i, j] += x * right[k, j]


def _start(sums: Affine, out: NDArray[np.int64]) -> None:
    np.multiply.outer(sums.row_sums, sums.row_weights, out=out)
    out += sums.base


def plain(left: Operand, right: Operand, sums: Affine, out: NDArray[np.int64], seconds: float) -> None:
    """A loop in int64."""
    ours = np.array(left.values(), np.int64, order="C")
    theirs = right.once(np.int64, lambda: np.array(right.values().T, np.int64, order="C"))
    _start(sums, out)
    share(lambda start, stop: _add_products(ours, theirs, out, start, stop), len(ours), seconds)
