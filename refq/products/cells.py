"""Values for the dot products of the processor: what is taken from them so that they fit, and cells of words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.products.affine import modulo_int64
from refq.products.inner import Inner
from refq.products.memory import read_only
from refq.products.operands import Span
from refq.products.panels import column_panels


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


CODES: dict[int, tuple[np.dtype[Any], int]] = {4: (np.dtype(np.uint8), 1), 2: (np.dtype(np.uint16), 2)}
"""The type of the values in a cell of so many, and its bytes."""


def _codes(values: NDArray[Any], offset: int, inner: Inner) -> tuple[NDArray[Any], int]:
    """values - offset as uint8 or uint16 modulo their size, and the bit that has to be flipped in them yet."""
    dtype, size = CODES[inner.depth]
    if values.itemsize == size:
        return values.view(dtype), 1 << (8 * size - 1) if offset else 0
    return (values.astype(np.int64) - modulo_int64(offset) if offset else values).astype(dtype), 0


FLIPS = {0: np.uint32(0), 0x80: np.uint32(0x80808080), 0x8000: np.uint32(0x80008000)}
"""The same flipped bit in every value of a cell."""


def left_words(values: NDArray[Any], offset: int, inner: Inner) -> tuple[NDArray[Any], Any]:
    """(1, rows, cells) words, and their bits that have to be flipped yet; 0 past the depth."""
    codes, flip = _codes(values, offset, inner)
    if codes.shape[1] % inner.depth:
        # a flipped padding is 0
        padding = np.full((len(codes), -codes.shape[1] % inner.depth), flip, codes.dtype)
        codes = np.concatenate([codes, padding], axis=1)
    return read_only(codes.view(np.uint32)[None]), FLIPS[flip]


def right_panels(values: NDArray[Any], offset: int, inner: Inner) -> NDArray[Any]:
    """(columns, depth) values in tile order."""
    codes, flip = _codes(values.T, offset, inner)
    return column_panels(np.ascontiguousarray(codes), inner.columns, flip)
