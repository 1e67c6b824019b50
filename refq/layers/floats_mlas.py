"""The orders in which ONNX Runtime's MLAS sums float32 products on x86-64 with AVX-512 and FMA, on one thread.

Source: onnxruntime core/mlas/lib/sgemm.cpp, convolve.cpp, x86_64/FgemmKernelAvx512FCommon.h, SgemmKernelM1Avx.S,
SgemmKernelM1TransposeBAvx.S. Which order an output gets depends on the shape of the whole product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.layers.floats_sums import blocks, fused, fused_chains

PACKED_DEPTH = 256
"""Depth of the blocks where the right-hand matrix is a constant, packed when the model is loaded."""


@njit(nogil=True)
def quartets(a, b, c, first):
    """One row times b, c += a @ b: products and sums rounded, 4 (then 2, then 1) at a time, their sum added to c."""
    k = 0
    while k < a.size:
        left = a.size - k
        width = 4 if left >= 4 else 2 if left >= 2 else 1
        for column in range(c.size):
            total = a[k] * b[k, column]
            for j in range(1, width):
                total = total + a[k + j] * b[k + j, column]
            c[column] = total + (np.float32(0) if first and k == 0 else c[column])
        k += width


@njit(nogil=True)
def gather_lanes(lanes, column, columns):
    """The sum of 8 lanes: columns in groups of 4, then 2, then 1, each group with its own tree."""
    if column < columns // 4 * 4:
        low = ((lanes[0] + lanes[1]) + lanes[2]) + lanes[3]
        return low + (((lanes[4] + lanes[5]) + lanes[6]) + lanes[7])
    if column < columns // 2 * 2:
        return ((lanes[0] + lanes[2]) + (lanes[4] + lanes[6])) + ((lanes[1] + lanes[3]) + (lanes[5] + lanes[7]))
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))


@njit(nogil=True)
def lanes_of_8(a, b, c, first):
    """One row times b (columns, depth), c += b @ a: products rounded and summed on lanes k mod 8."""
    lanes = np.zeros(8, np.float32)
    for column in range(c.size):
        lanes[:] = 0
        for k in range(a.size):
            lanes[k % 8] = lanes[k % 8] + a[k] * b[column, k]
        total = gather_lanes(lanes, column, c.size)
        c[column] = total + (np.float32(0) if first else c[column])


def strides(columns: int, depth: int, widen: bool = True) -> tuple[int, int]:
    """Columns and depth of a panel: 128 x 128, stretched one way where the other is short.

    >>> strides(1000, 20), strides(20, 1000), strides(20, 1000, widen=False)
    ((512, 32), (32, 512), (128, 128))
    """
    wide, deep = 128, 128
    if columns >= depth:
        while deep // 2 >= depth:
            wide, deep = wide * 2, deep // 2
    elif widen:
        while wide > 16 and wide // 2 >= columns:
            wide, deep = wide // 2, deep * 2
    return wide, deep


def mlas_product(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], beta: float = 0, alpha: float = 1,
    transposed: tuple[bool, bool] = (False, False), packed: bool = False, steps: tuple[int, int] | None = None,
) -> NDArray[Any]:  # fmt: skip
    """alpha * (a @ b) + beta * c for float32 a (rows, depth), b (depth, columns), c (rows, columns), as MLAS orders it.

    transposed: whether a and b lie transposed in memory. packed: b is a constant of the model. steps: elements from
    one row of b and of c to the next, where they are parts of wider matrices.
    """
    factor, weight = np.float32(alpha), np.float32(beta)
    if weight not in (0, 1):
        c = c * weight
    result = np.array(c, np.float32, order="C")
    if a.shape[1] == 0 or result.size == 0:
        return result if weight != 0 else np.zeros_like(result)
    if packed:
        _chains(a, b, result, PACKED_DEPTH, factor, weight == 0)
    elif not _vector(a, b, result, transposed, steps, (float(factor), float(weight))):
        depth = strides(b.shape[1], a.shape[1], widen=not transposed[0])[1]
        _chains(a, b, result, depth, factor, weight == 0)
    return result


def _chains(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], size: int, alpha: Any, first: Any) -> None:
    fused_chains(np.ascontiguousarray(a), np.ascontiguousarray(b), c, blocks(a.shape[1], size), alpha, bool(first))


def _vector(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], transposed: tuple[bool, bool],
    steps: tuple[int, int] | None, factors: tuple[float, float],
) -> bool:  # fmt: skip
    """One row, or one column of a contiguous b: computed into c without fused operations; False for other shapes."""
    alpha, beta = factors
    if alpha != 1 or beta not in (0, 1):
        return False
    if a.shape[0] == 1 and not transposed[0]:
        _row(a[0], b, c.reshape(-1), transposed[1], beta == 0)
        return True
    natural = (a.shape[1] if transposed[1] else b.shape[1], b.shape[1])
    if b.shape[1] == 1 and (natural if steps is None else steps) == (1, 1):
        _row(b[:, 0], a.T, c.reshape(-1), not transposed[0], beta == 0)
        return True
    return False


def _row(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], across: bool, first: bool) -> None:
    if across:
        lanes_of_8(np.ascontiguousarray(a), np.ascontiguousarray(b.T), c, first)
    else:
        quartets(np.ascontiguousarray(a), np.ascontiguousarray(b), c, first)


def mlas_patches(weights: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """weights (filters, depth) @ columns (depth, places) of one image and group, in panels as MlasConv cuts them."""
    filters, depth = weights.shape
    places = columns.shape[1]
    result = np.zeros((filters, places), np.float32)
    if filters > places:
        return mlas_product(weights, columns, result)
    wide, deep = strides(places, depth)
    for n in range(0, places, wide):
        part = result[:, n : n + wide]
        steps = (part.shape[1], places)
        for k in range(0, depth, deep):
            panel = columns[k : k + deep, n : n + wide]
            part[:] = mlas_product(weights[:, k : k + deep], panel, part, beta=float(k > 0), steps=steps)
    return result


@njit(nogil=True)
def seven_by_seven(x, w, inside, c):
    """Depthwise 7 x 7 with stride 2: w (2, 49), x (49, places), c (2, places) = w @ x with fused operations.

    Where inside, the whole kernel lies in the image: a lane for each kernel column, then their tree. Else one chain.
    """
    lanes = np.zeros(8, np.float32)
    for place in range(c.shape[1]):
        for row in range(2):
            lanes[:] = 0
            for k in range(49):
                lane = k % 7 if inside[place] else 0
                lanes[lane] = fused(x[k, place], w[row, k], lanes[lane])
            pairs = (lanes[0] + lanes[4]) + (lanes[2] + lanes[6])
            c[row, place] = pairs + ((lanes[1] + lanes[5]) + lanes[3])
