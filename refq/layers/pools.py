"""Windows over a tensor: sums, numbers of elements and maxima, for pools and means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[Any]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """The windows of a pool: one entry a spatial dimension in all fields.

    axes: the spatial dimensions of the array. padding: (before, after); output element o of a dimension reads
    o * stride - before + k * dilation for k < kernel, where that lies inside.
    """

    axes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How many windows there are along each spatial dimension of an array."""
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        rows = zip(self.axes, self.padding, reach, self.stride, strict=True)
        return tuple((shape[axis] + sum(pad) - span) // step + 1 for axis, pad, span, step in rows)


def output_shape(shape: tuple[int, ...], windows: Windows) -> tuple[int, ...]:
    """The shape of a pool's result.

    >>> output_shape((1, 5, 5, 3), Windows((1, 2), (2, 2), (2, 2), ((0, 1), (0, 1)), (1, 1)))
    (1, 3, 3, 3)
    """
    found = list(shape)
    for axis, size in zip(windows.axes, windows.sizes(shape), strict=True):
        if size < 1:
            raise ValueError(f"pool: dimension {axis} of {shape} is smaller than the window {windows.kernel}")
        found[axis] = size
    return tuple(found)


def _inside(start: int, stride: int, length: int, count: int) -> tuple[int, int]:
    """The results first..last-1 of `count` whose input start + o * stride lies in 0..length-1."""
    first = max(0, -(start // stride))
    last = min(count, (length - 1 - start) // stride + 1)
    return first, max(first, last)


def taps(shape: tuple[int, ...], windows: Windows) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each place of the window, rows first: the results that have it inside, and what they read there."""
    counts = windows.sizes(shape)
    for place in product(*(range(k) for k in windows.kernel)):
        results, reads = [slice(None)] * len(shape), [slice(None)] * len(shape)
        for d, axis in enumerate(windows.axes):
            stride = windows.stride[d]
            start = place[d] * windows.dilation[d] - windows.padding[d][0]
            first, last = _inside(start, stride, shape[axis], counts[d])
            results[axis] = slice(first, last)
            low = start + first * stride
            reads[axis] = slice(low, low + (last - first - 1) * stride + 1 if last > first else low, stride)
        yield tuple(results), tuple(reads)


def window_counts(shape: tuple[int, ...], windows: Windows, include_padding: bool = False) -> Ints:
    """How many elements each window divides by: those inside the array, or all; 1 in dimensions that are not spatial.

    >>> window_counts((1, 3, 1, 1), Windows((1, 2), (2, 1), (2, 1), ((0, 1), (0, 0)), (1, 1))).ravel()
    array([2, 1])
    """
    each = []
    for d, (axis, size) in enumerate(zip(windows.axes, windows.sizes(shape), strict=True)):
        starts = np.arange(size) * windows.stride[d] - windows.padding[d][0]
        reads = starts[:, None] + np.arange(windows.kernel[d]) * windows.dilation[d]
        inside = ((reads >= 0) & (reads < shape[axis])).sum(1)
        count = np.full(size, windows.kernel[d]) if include_padding else inside
        each.append(count.reshape([-1 if i == axis else 1 for i in range(len(shape))]))
    return np.asarray(reduce(np.multiply, each), np.int64)


def window_sums(x: Codes, windows: Windows) -> Ints:
    """The sum of the codes inside each window, padding adding nothing: int64, of `output_shape`.

    x: integer codes of at most 32 bits; the window may hold 2**31 of them.
    """
    whole = _one_window(x.shape, windows)
    if whole is not None:
        return np.asarray(x[whole].sum(axis=windows.axes, dtype=np.int64, keepdims=True), np.int64)
    narrow = prod(windows.kernel) <= (1 << 31) // (2 * max(abs(int(e)) for e in _ends(x)))
    total = np.zeros(output_shape(x.shape, windows), np.int32 if narrow else np.int64)
    for results, reads in taps(x.shape, windows):
        total[results] += x[reads]
    return total.astype(np.int64)


def _one_window(shape: tuple[int, ...], windows: Windows) -> tuple[slice, ...] | None:
    """What the only window of a picture reads, if there is one, all of it inside and without gaps."""
    if any(map(any, windows.padding)) or set(windows.sizes(shape)) != {1} or set(windows.dilation) != {1}:
        return None
    reads = [slice(None)] * len(shape)
    for axis, size in zip(windows.axes, windows.kernel, strict=True):
        reads[axis] = slice(0, size)
    return tuple(reads)


def _ends(x: Codes) -> tuple[int, int]:
    limits = np.iinfo(x.dtype)
    return int(limits.min), int(limits.max)


def window_maxima(x: Codes, windows: Windows) -> Codes:
    """The largest code inside each window, in x's dtype; padding never wins, an empty window gives the lowest code.

    >>> window_maxima(np.int8([[[[-5], [-9]]]]), Windows((1, 2), (1, 2), (1, 2), ((0, 0), (1, 1)), (1, 1))).ravel()
    array([-5, -9], dtype=int8)
    """
    whole = _one_window(x.shape, windows)
    if whole is not None:
        return np.asarray(x[whole].max(axis=windows.axes, keepdims=True), x.dtype)
    best = np.full(output_shape(x.shape, windows), _ends(x)[0], x.dtype)
    for results, reads in taps(x.shape, windows):
        np.maximum(best[results], x[reads], out=best[results])
    return best
