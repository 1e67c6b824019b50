"""Exact sums of matrix products in batches, shapes broadcast as `numpy.matmul` does.

y[..., i, j] = sum over k of (a[..., i, k] - za[i]) (b[..., k, j] - zb[j])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer_array
from refq.products.bound import bind

FLOAT64_EXACT = 1 << 53
"""Below it every integer is a float64, so a float64 product of matrices whose partial sums stay below is exact."""

Sums = Callable[[NDArray[Any]], NDArray[np.int64]]


def _zeros(name: str, value: Any, count: int) -> NDArray[np.int64]:
    zeros = integer_array("matmul", name, value).astype(np.int64)
    if zeros.shape not in ((), (count,)):
        raise ValueError(f"matmul: {name} has shape {zeros.shape}; pass one number or one a line, ({count},)")
    return zeros


def _reach(values: NDArray[Any]) -> int:
    return max(-int(values.min()), int(values.max())) if values.size else 0


def product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a product of arrays of these shapes; ValueError where `numpy.matmul` has none.

    >>> product_shape((2, 1, 3, 4), (5, 4, 6)), product_shape((4,), (4, 6))
    ((2, 5, 3, 6), (6,))
    """
    if not a or not b:
        raise ValueError(f"matmul: shapes {a} and {b}; a number has no rows, pass at least one dimension each")
    if a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise ValueError(f"matmul: shapes {a} and {b} do not match; the last of a must be the last but one of b")
    try:
        lead = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ValueError(f"matmul: shapes {a} and {b} do not broadcast in front of their matrices") from None
    return (*lead, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _stacked(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values, not codes, (..., M, K) and (..., K, N), by the fastest numpy product that is exact."""
    most = a.shape[-1] * _reach(a) * _reach(b)
    if most < FLOAT64_EXACT:
        exact: NDArray[np.int64] = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
        return exact
    if most >= 1 << 63:
        raise ValueError(f"matmul: sums could be {most}, outside int64; pass narrower codes")
    sums: NDArray[np.int64] = np.matmul(a, b)
    return sums


def matmul_sums(a: Any, b: Any, *, a_zero_point: Any = 0, b_zero_point: Any = 0) -> NDArray[np.int64]:
    """Sums of (a - a_zero_point) * (b - b_zero_point), int64.

    a: (..., M, K), b: (..., K, N), or one dimension of K each, integer dtypes; leading dimensions broadcast.
    a_zero_point: one number or one a row, (M,); b_zero_point: one number or one a column, (N,).
    Equals `refq.spec.layers.matmuls.matmul`. TypeError for kinds; ValueError for shapes, and where sums could leave
    int64. Source: ONNX MatMulInteger, QLinearMatMul; TFLite BATCH_MATMUL.

    >>> matmul_sums([[1, 2]], [[3], [4]], a_zero_point=1, b_zero_point=[2])
    array([[2]])
    """
    left, right = integer_array("matmul", "a", a), integer_array("matmul", "b", b)
    shape = product_shape(left.shape, right.shape)
    rows = left[None] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    za = _zeros("a_zero_point", a_zero_point, rows.shape[-2])
    zb = _zeros("b_zero_point", b_zero_point, columns.shape[-1])
    return _stacked(rows.astype(np.int64) - za[..., None], columns.astype(np.int64) - zb).reshape(shape)


def bind_matmul(
    b: NDArray[Any],
    *,
    a_zero_point: int = 0,
    b_zero_point: Any = 0,
    a_format: str | None = None,
    b_format: str | None = None,
) -> Sums:
    """A function of a (..., M, K) that returns `matmul_sums(a, b)` for one matrix b (K, N), which is packed once.

    b must not change afterwards. a_format, b_format: such as "int4" for narrower codes.

    >>> bind_matmul(np.array([[3], [4]]), a_zero_point=1)(np.array([[1, 2]], np.int8))
    array([[4]])
    """
    depth, columns = b.shape
    zeros = _zeros("b_zero_point", b_zero_point, columns)
    product = None
    if depth and columns:
        product = bind(
            np.ascontiguousarray(b), lhs_format=a_format, rhs_format=b_format, lhs_zero_point=int(a_zero_point),
            rhs_zero_point=zeros,
        )  # fmt: skip

    def sums(a: NDArray[Any]) -> NDArray[np.int64]:
        shape = product_shape(a.shape, b.shape)
        if product is None or not a.size:
            return np.zeros(shape, np.int64)
        return product(np.ascontiguousarray(a).reshape(-1, depth)).reshape(shape)

    return sums
