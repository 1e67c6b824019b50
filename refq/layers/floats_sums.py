"""Sums of float32 products in named orders: fused or rounded products, whole or in blocks of the depth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from refq.layers.floats_exact import exact_products, finite


@intrinsic
def fused(typing_context, x, y, z):
    """x * y + z of float32, rounded once (IEEE 754 fusedMultiplyAdd)."""
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return signature, generate


@njit(nogil=True)
def fused_chains(a, b, c, ends, alpha, first):
    """c = alpha * sum where first, else c + alpha * sum, block by block of the depth; every sum starts at 0.

    Within a block one fused multiply-add a product, k ascending; the block is added to c by one more.
    """
    for block in range(ends.size - 1):
        for row in range(c.shape[0]):
            sums = np.zeros(c.shape[1], np.float32)
            for k in range(ends[block], ends[block + 1]):
                x = a[row, k]
                for column in range(sums.size):
                    sums[column] = fused(x, b[k, column], sums[column])
            for column in range(sums.size):
                fresh = first and block == 0
                c[row, column] = sums[column] * alpha if fresh else fused(sums[column], alpha, c[row, column])


@njit(nogil=True)
def rounded_chains(a, b, c):
    """c = a @ b, k ascending; each product and each sum rounded to float32."""
    for row in range(c.shape[0]):
        for column in range(c.shape[1]):
            c[row, column] = 0
        for k in range(a.shape[1]):
            x = a[row, k]
            for column in range(c.shape[1]):
                c[row, column] = c[row, column] + x * b[k, column]


@njit(nogil=True)
def wide_chains(a, b, c):
    """float64 c += a @ b, k ascending: products of float32 are exact in float64, each sum is rounded to it."""
    for row in range(c.shape[0]):
        for k in range(a.shape[1]):
            x = np.float64(a[row, k])
            for column in range(c.shape[1]):
                c[row, column] = c[row, column] + x * np.float64(b[k, column])


def blocks(depth: int, size: int) -> NDArray[np.int64]:
    """Where blocks of `size` of the depth begin, and the end.

    >>> blocks(300, 128)
    array([  0, 128, 256, 300])
    """
    return np.append(np.arange(0, depth, size), depth).astype(np.int64)


def plain_product(a: NDArray[Any], b: NDArray[Any], start: NDArray[Any], rule: str) -> NDArray[Any]:
    """a @ b + start for float32 (rows, depth), (depth, columns) and start (rows, columns), in a plain order.

    "float32_fma_ascending", "float32_fma_blocks128", "float32_sequential": the sum, then + start in float32.
    "float64": the sum and start in float64, rounded once. "exact": everything exact, rounded once. "numpy_matmul":
    whatever the installed NumPy's BLAS does, then + start.

    >>> x = np.array([[1e8, 1, -1e8]], np.float32)
    >>> ones = np.ones((3, 1), np.float32)
    >>> [float(plain_product(x, ones, np.zeros((1, 1), np.float32), r)[0, 0]) for r in ("float32_sequential", "exact")]
    [0.0, 1.0]
    """
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if rule == "exact":
        finite("product", a=a, b=b, start=start)
        found: NDArray[Any] = exact_products(a, b, np.ascontiguousarray(start), np.ones(a.shape[0], np.int64))
        return found
    if rule == "float64":
        wide = np.zeros((a.shape[0], b.shape[1]), np.float64)
        wide_chains(a, b, wide)
        return narrow_floats(wide + start)
    return add_floats(_sum(a, b, rule), start)


def _sum(a: NDArray[Any], b: NDArray[Any], rule: str) -> NDArray[Any]:
    if rule == "numpy_matmul":
        return numpy_matmul(a, b)
    sums = np.zeros((a.shape[0], b.shape[1]), np.float32)
    if rule == "float32_sequential":
        rounded_chains(a, b, sums)
        return sums
    size = {"float32_fma_ascending": max(a.shape[1], 1), "float32_fma_blocks128": 128}[rule]
    fused_chains(a, b, sums, blocks(a.shape[1], size), np.float32(1), True)
    return sums


def numpy_matmul(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """a @ b as the installed NumPy computes it, without a warning where it overflows."""
    with np.errstate(all="ignore"):
        product: NDArray[Any] = np.matmul(a, b)
        return product


def narrow_floats(values: NDArray[Any]) -> NDArray[Any]:
    """float64 rounded to float32, infinities where it overflows."""
    with np.errstate(over="ignore"):
        result: NDArray[Any] = values.astype(np.float32)
        return result


def add_floats(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """a + b, each sum rounded once to float32; IEEE infinities and NaN without a warning."""
    with np.errstate(all="ignore"):
        total: NDArray[Any] = np.add(a, b, dtype=np.float32)
        return total


PLAIN = ("float32_fma_ascending", "float32_fma_blocks128", "float32_sequential", "float64", "exact", "numpy_matmul")
"""The orders of `plain_product`."""
