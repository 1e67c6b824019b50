"""Layers that move values: padding, cutting, joining, and blocks between space and batch.

Nothing is computed, so any dtype goes in and the same comes out, except where codes of another scale are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat

Pairs = Sequence[tuple[int, int]]


def pad(x: NDArray[Any], pads: Pairs, value: int | float) -> NDArray[Any]:
    """x with (before, after) more places along each dimension, all holding `value`.

    Source: TFLite PAD and PADV2, ONNX Pad (constant).

    >>> pad(np.array([[1, 2]], np.int8), ((0, 0), (1, 2)), -7)
    array([[-7,  1,  2, -7, -7]], dtype=int8)
    """
    if len(pads) != x.ndim or any(n < 0 for ends in pads for n in ends):
        raise ValueError(f"pad: pads={tuple(pads)} for rank {x.ndim}; pass (before, after) >= 0 a dimension")
    result = np.full([b + n + a for (b, a), n in zip(pads, x.shape, strict=True)], value, x.dtype)
    result[tuple(slice(b, b + n) for (b, _), n in zip(pads, x.shape, strict=True))] = x
    return result


def cut(x: NDArray[Any], begin: Sequence[int], end: Sequence[int], step: Sequence[int]) -> NDArray[Any]:
    """The places range(begin, end, step) of each dimension; the end of a negative step may be -1, before the first.

    Source: TFLite SLICE and STRIDED_SLICE, ONNX Slice, once their numbers are resolved.

    >>> cut(np.arange(6), [4], [-1], [-2])
    array([4, 2, 0])
    """
    if not len(begin) == len(end) == len(step) == x.ndim:
        raise ValueError(f"cut: begin={tuple(begin)}, end={tuple(end)}, step={tuple(step)} for rank {x.ndim}")
    for axis, (b, e, s) in enumerate(zip(begin, end, step, strict=True)):
        if s == 0 or not all(
            0 <= place < x.shape[axis] for place in range(b, e, s)[:: max(len(range(b, e, s)) - 1, 1)]
        ):
            raise ValueError(f"cut: range({b}, {e}, {s}) leaves dimension {axis} of size {x.shape[axis]}")
    slices = (slice(b, None if s < 0 and e < 0 else e, s) for b, e, s in zip(begin, end, step, strict=True))
    empty = any(not range(b, e, s) for b, e, s in zip(begin, end, step, strict=True))
    if empty:
        return np.empty([len(range(b, e, s)) for b, e, s in zip(begin, end, step, strict=True)], x.dtype)
    return np.ascontiguousarray(x[tuple(slices)])


def split(x: NDArray[Any], axis: int, sizes: Sequence[int]) -> tuple[NDArray[Any], ...]:
    """Parts of x that follow each other along an axis.

    >>> [part.tolist() for part in split(np.arange(5), 0, (2, 3))]
    [[0, 1], [2, 3, 4]]
    """
    if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
        raise ValueError(f"split: sizes={tuple(sizes)} do not make {x.shape[axis]}, the size of dimension {axis}")
    parts = np.split(x, np.cumsum(sizes)[:-1].tolist(), axis)
    return tuple(np.ascontiguousarray(part) for part in parts)


def space_to_batch(x: NDArray[Any], block: Sequence[int], pads: Pairs, value: int, samples: int = 1) -> NDArray[Any]:
    """x (batch, spatial..., rest...) padded and cut into blocks: place (i, j) of every block goes to one batch.

    Batch (i * block_w + j) * batch + b holds those of sample b; rows of `samples` models follow each other, each
    computed as it would be alone. Source: TFLite SPACE_TO_BATCH_ND.

    >>> space_to_batch(np.arange(4).reshape(1, 4), (2,), ((0, 0),), 0)
    array([[0, 2],
           [1, 3]])
    """
    if len(block) != len(pads) or len(block) >= x.ndim or min(block) < 1:
        raise ValueError(f"space_to_batch: block={tuple(block)}, pads={tuple(pads)} for shape {x.shape}")
    rest = x.ndim - 1 - len(block)
    full = pad(x, ((0, 0), *pads, *((0, 0),) * rest), value)
    if x.shape[0] % samples or any(n % b for n, b in zip(full.shape[1:], block, strict=False)):
        raise ValueError(f"space_to_batch: {full.shape} is no multiple of samples={samples} and block={tuple(block)}")
    count = len(block)
    pairs = [size for n, b in zip(full.shape[1:], block, strict=False) for size in (n // b, b)]
    parts = full.reshape(samples, x.shape[0] // samples, *pairs, *full.shape[1 + count :])
    inner, outer = [3 + 2 * i for i in range(count)], [2 + 2 * i for i in range(count)]
    moved = parts.transpose(0, *inner, 1, *outer, *range(2 + 2 * count, parts.ndim))
    return moved.reshape(-1, *(pairs[2 * i] for i in range(count)), *full.shape[1 + count :])


def batch_to_space(x: NDArray[Any], block: Sequence[int], crops: Pairs, samples: int = 1) -> NDArray[Any]:
    """The inverse of `space_to_batch`: batches back to the places of their blocks, then crops cut off.

    Source: TFLite BATCH_TO_SPACE_ND.

    >>> batch_to_space(np.array([[0, 2], [1, 3]]), (2,), ((0, 1),))
    array([[0, 1, 2]])
    """
    count, all_blocks = len(block), int(np.prod(block))
    if count != len(crops) or count >= x.ndim or min(block) < 1 or x.shape[0] % (samples * all_blocks):
        raise ValueError(f"batch_to_space: block={tuple(block)}, crops={tuple(crops)} for shape {x.shape}")
    batch = x.shape[0] // (samples * all_blocks)
    parts = x.reshape(samples, *block, batch, *x.shape[1:])
    spatial = [axis for i in range(count) for axis in (count + 2 + i, 1 + i)]
    moved = parts.transpose(0, count + 1, *spatial, *range(2 * count + 2, parts.ndim))
    sizes = [n * b for n, b in zip(x.shape[1:], block, strict=False)]
    full = moved.reshape(samples * batch, *sizes, *x.shape[1 + count :])
    cuts = (slice(before, n - after) for (before, after), n in zip(crops, sizes, strict=True))
    return np.ascontiguousarray(full[(slice(None), *cuts)])


def stacked(arrays: Sequence[NDArray[Any]], declared: Sequence[int]) -> list[NDArray[Any]]:
    """Arrays of as many samples each; those of one sample, such as constants, are repeated.

    declared: the rows of one sample of each.
    """
    samples = max((a.shape[0] // rows for a, rows in zip(arrays, declared, strict=True) if rows), default=1)
    pairs = zip(arrays, declared, strict=True)
    return [np.tile(a, (samples, *(1,) * (a.ndim - 1))) if samples > 1 and len(a) == rows else a for a, rows in pairs]


def rescale_affine(
    codes: NDArray[Any], scales: tuple[np.float32, np.float32], zeros: tuple[int, int], fmt: IntFormat
) -> NDArray[Any]:
    """Codes of one scale as codes of another: round(float32(code * s) + b) + zero point, ties away.

    scales, zeros: of the input and of the output. s = scale_in * float32(1 / scale_out), b = -zero_in * s, every
    step rounded to float32. Source: TFLite ConcatenationWithScaling (uint8).

    >>> rescale_affine(np.array([0, 1, 2], np.uint8), (np.float32(0.5), np.float32(1)), (1, 7), IntFormat(8, False))
    array([6, 7, 8], dtype=uint8)
    """
    scale = np.float32(scales[0] * np.float32(np.float32(1) / scales[1]))
    bias = np.float32(np.float32(-zeros[0]) * scale)
    return _stored(codes.astype(np.float32) * scale + bias, zeros[1], fmt, even=False).astype(codes.dtype)


def rescale_dequantized(
    codes: NDArray[Any], scales: tuple[np.float32, np.float32], zeros: tuple[int, int], fmt: IntFormat, even: bool
) -> NDArray[Any]:
    """Codes dequantized and quantized again in float32: round((code - zero_in) * scale_in / scale_out) + zero_out.

    Source: ONNX Runtime QLinearConcat, whose table of 256 codes is made so (ties even).

    >>> x = np.array([0, 1, 2], np.uint8)
    >>> rescale_dequantized(x, (np.float32(0.5), np.float32(1)), (1, 7), IntFormat(8, False), True)
    array([7, 7, 7], dtype=uint8)
    """
    real = (codes.astype(np.int64) - zeros[0]).astype(np.float32) * scales[0]
    return _stored(real / scales[1], zeros[1], fmt, even).astype(codes.dtype)


def _stored(value: NDArray[np.float32], zero: int, fmt: IntFormat, even: bool) -> NDArray[np.float64]:
    """Rounded to the nearest integer, the zero point added, inside the format; float64 holds all of it exactly."""
    wide = value.astype(np.float64)
    rounded = np.rint(wide) if even else np.copysign(np.floor(np.abs(wide) + 0.5), wide)
    result: NDArray[np.float64] = np.clip(rounded + zero, fmt.qmin, fmt.qmax)
    return result
