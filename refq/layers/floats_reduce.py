"""The order in which ONNX Runtime's ReduceMean sums float32 on x86-64: four routines, chosen by the axes.

Source: onnxruntime core/providers/cpu/reduction/reduction_ops.h; Eigen's vectorized sum with four lanes.
"""

from __future__ import annotations

from itertools import groupby
from math import prod
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.layers.floats_mlas import mlas_product


@njit(nogil=True)
def aligned_sums(rows, result):
    """The sum of each row of float32 (count, depth), which lie one after the other from an address aligned to 16 bytes.

    From the first aligned element on, two vectors of four in turn, their sum, one vector left over; then the lanes
    (0 + 2) + (1 + 3); then what stands before and after, one by one.
    """
    depth = rows.shape[1]
    lanes = np.zeros(8, np.float32)
    for row in range(rows.shape[0]):
        first = min(-(row * depth) % 4, depth)
        vectors = (depth - first) // 4
        if vectors == 0:
            first = 1
        last = first + 4 * vectors
        total = rows[row, 0]
        if vectors > 0:
            lanes[:] = 0
            for k in range(first, first + vectors // 2 * 8):
                lanes[(k - first) % 8] = lanes[(k - first) % 8] + rows[row, k]
            for lane in range(4):
                lanes[lane] = lanes[lane] + lanes[lane + 4]
            for k in range(first + vectors // 2 * 8, last):
                lanes[(k - first) % 4] = lanes[(k - first) % 4] + rows[row, k]
            total = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
            for k in range(first):
                total = total + rows[row, k]
        for k in range(last, depth):
            total = total + rows[row, k]
        result[row] = total


def reduced_sums(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """The sum of float32 over axes (0 or more, ascending), as ONNX Runtime orders it; the axes are dropped.

    >>> reduced_sums(np.arange(12, dtype=np.float32).reshape(3, 4), (0,)).tolist()
    [12.0, 15.0, 18.0, 21.0]
    """
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    if x.size == 0 or not axes:
        return np.zeros(shape, np.float32) if axes else x.copy()
    runs = [(reduced, [x.shape[i] for i in group]) for reduced, group in groupby(range(x.ndim), lambda i: i in axes)]
    sizes = [prod(run) for _, run in runs]
    kinds = "".join("R" if reduced else "K" for reduced, _ in runs)
    if (kinds, sizes[:1]) == ("KRK", [1]) or (kinds, sizes[1:2]) == ("RKR", [1]):
        kinds = "in order"
    return _BY_KIND.get(kinds, _in_order)(np.ascontiguousarray(x), sizes, axes).reshape(shape)


def _rows(x: NDArray[Any], sizes: list[int], axes: tuple[int, ...]) -> NDArray[Any]:
    result = np.empty(x.size // sizes[-1], np.float32)
    aligned_sums(x.reshape(-1, sizes[-1]), result)
    return result


def _downwards(x: NDArray[Any], sizes: list[int], axes: tuple[int, ...]) -> NDArray[Any]:
    rows = x.reshape(sizes[0], -1)
    total: NDArray[Any] = rows[0]
    for row in rows[1:]:
        total = total + row
    return total


def _middle(x: NDArray[Any], sizes: list[int], axes: tuple[int, ...]) -> NDArray[Any]:
    """A product with a row of ones."""
    ones, start = np.ones((1, sizes[1]), np.float32), np.zeros((1, sizes[2]), np.float32)
    return np.stack([mlas_product(ones, part, start) for part in x.reshape(sizes)])


def _outside(x: NDArray[Any], sizes: list[int], axes: tuple[int, ...]) -> NDArray[Any]:
    return _downwards(_rows(x, sizes, axes), sizes, axes)


def _in_order(x: NDArray[Any], sizes: list[int], axes: tuple[int, ...]) -> NDArray[Any]:
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = np.transpose(x, (*axes, *kept))
    return _downwards(moved, [prod(x.shape[axis] for axis in axes)], axes)


_BY_KIND = {"R": _rows, "KR": _rows, "RK": _downwards, "KRK": _middle, "RKR": _outside}
"""R: dimensions that are summed, K: that are kept, neighbours of one kind taken together.

KRK and RKR go in order where the first K is 1.
"""
