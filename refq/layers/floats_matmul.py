"""Float32 matrix products and Gemm in named orders of summation."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.layers.floats_exact import finite
from refq.layers.floats_mlas import mlas_product
from refq.layers.floats_sums import PLAIN, add_floats, narrow_floats, numpy_matmul, plain_product

MATMUL_RULES = ("mlas_avx512", "mlas_avx512_packed", *PLAIN)
"""The orders of `float_matmul` and `float_gemm`."""


def float_matmul(a: NDArray[Any], b: NDArray[Any], rule: str) -> NDArray[Any]:
    """a @ b of float32 with NumPy's broadcasting, in the order of one of `MATMUL_RULES`.

    "mlas_avx512": ONNX Runtime on x86-64 with AVX-512, one thread; "mlas_avx512_packed": the same where b is a
    constant matrix of the model. There the order depends on how many rows a has: one matrix b takes the rows of all
    matrices of a at once, a vector b each by itself.

    >>> float_matmul(np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32), "mlas_avx512").tolist()
    [[11.0]]
    """
    if rule == "numpy_matmul":
        return numpy_matmul(a, b)
    if b.ndim == 1:
        rows = _stacks(np.atleast_2d(a)[..., None, :], b[:, None], rule)[..., 0, 0]
        return rows[0] if a.ndim == 1 else rows
    if a.ndim == 1:
        return _stacks(a[None], b, rule)[..., 0, :]
    if a.ndim >= b.ndim and prod(b.shape[:-2]) == 1:
        flat = _product(a.reshape(prod(a.shape[:-1]), a.shape[-1]), b.reshape(b.shape[-2:]), rule)
        return flat.reshape(*a.shape[:-1], b.shape[-1])
    return _stacks(a, b, rule)


def _stacks(a: NDArray[Any], b: NDArray[Any], rule: str) -> NDArray[Any]:
    """One matrix after the other."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left, right = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    result = np.zeros((*batch, a.shape[-2], b.shape[-1]), np.float32)
    for place in np.ndindex(batch):
        result[place] = _product(left[place], right[place], rule)
    return result


def _product(a: NDArray[Any], b: NDArray[Any], rule: str) -> NDArray[Any]:
    start = np.zeros((a.shape[0], b.shape[1]), np.float32)
    if rule.startswith("mlas"):
        return mlas_product(a, b, start, packed=rule == "mlas_avx512_packed")
    return plain_product(a, b, start, rule)


def float_gemm(
    a: NDArray[Any], b: NDArray[Any], c: NDArray[Any] | None, rule: str,
    transposed: tuple[bool, bool] = (False, False), alpha: float = 1, beta: float = 1,
) -> NDArray[Any]:  # fmt: skip
    """alpha * (a' @ b') + beta * c of float32 matrices, ' for transposed ones; alpha and beta are rounded to float32.

    c is None or broadcasts to the result. rule: one of `MATMUL_RULES`. Under the plain orders alpha, beta and the last
    sum are float32 operations of their own; under "float64" and "exact" only the result is rounded.
    """
    left, right = a.T if transposed[0] else a, b.T if transposed[1] else b
    shape = (left.shape[0], right.shape[1])
    start = np.zeros(shape, np.float32) if c is None else np.broadcast_to(c, shape).astype(np.float32)
    weight = np.float32(0 if c is None else beta)
    if rule.startswith("mlas"):
        packed = rule == "mlas_avx512_packed"
        return mlas_product(left, right, start, float(weight), alpha, transposed, packed)
    if rule in ("exact", "float64") and not (alpha == 1 and weight in (0, 1)):
        return _scaled(left, right, start, np.float32(alpha), weight, rule)
    if rule in ("exact", "float64"):
        return plain_product(left, right, start * weight, rule)
    product = plain_product(left, right, np.zeros(shape, np.float32), rule)
    with np.errstate(all="ignore"):
        scaled = product * np.float32(alpha)
        return scaled if c is None else add_floats(scaled, start * weight)


def _scaled(
    a: NDArray[Any], b: NDArray[Any], start: NDArray[Any], alpha: np.float32, beta: np.float32, rule: str
) -> NDArray[Any]:
    """float64 in its own arithmetic; "exact" by integer products of alpha * a, which are wider than a float64."""
    if rule == "float64":
        sums = np.zeros(start.shape, np.float64)
        for k in range(a.shape[1]):
            sums += a[:, k : k + 1].astype(np.float64) * b[k].astype(np.float64)
        return narrow_floats(np.float64(alpha) * sums + np.float64(beta) * start)
    finite("float_gemm", a=a, b=b, c=start)
    left, right, last = (np.vectorize(Fraction, otypes=[object])(x.astype(np.float64)) for x in (a, b, start))
    total = Fraction(float(alpha)) * (left @ right) + Fraction(float(beta)) * last
    nearest: NDArray[Any] = np.vectorize(nearest_float, otypes=[np.float32])(total)
    return nearest


def nearest_float(value: Fraction) -> np.float32:
    """The float32 nearest to a rational, ties to even, subnormals included.

    >>> float(nearest_float(Fraction(16777217))), float(nearest_float(Fraction(1, 1 << 150)))
    (16777216.0, 0.0)
    """
    value = Fraction(value)
    if value == 0:
        return np.float32(0)
    size = value.numerator.bit_length() - value.denominator.bit_length()
    if abs(value) < Fraction(2) ** size:
        size -= 1
    unit = Fraction(2) ** max(size - 23, -149)
    return np.float32(float(round(value / unit) * unit))
