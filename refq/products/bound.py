"""A product whose every argument but the left operand is fixed: what a layer does batch after batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import per_column
from refq.channels import ACC_LIMIT
from refq.products.gemm import gemm, right_of
from refq.products.memory import empty
from refq.products.operands import BY_DTYPE, Operand, operand
from refq.products.prepared import MOST_PLANS, Prepared, follow, plan_for, with_bias

Product = Callable[[Any], NDArray[Any]]


def _step(left: Operand, right: Prepared, zero_point: int, bias: Any, path: str, dtype: Any) -> Product:
    """The product for arrays of this shape and dtype, all arguments checked."""
    shape, span = left.shape, left.span
    plan = plan_for(shape[0], span, right, zero_point, path, np.dtype(dtype))
    columns = right.operand.shape[0]
    base = with_bias(plan, None if bias is None else per_column("gemm", "bias", bias, columns, -ACC_LIMIT, ACC_LIMIT))

    def step(lhs: NDArray[Any]) -> NDArray[Any]:
        out = empty((shape[0], columns), dtype)
        follow(plan, Operand("gemm", "lhs", lhs, shape, span), base, out)
        return out

    return step


def bind(
    rhs: Any,
    *,
    lhs_format: object = None,
    rhs_format: object = None,
    lhs_zero_point: int = 0,
    rhs_zero_point: Any = 0,
    bias: Any = None,
    path: str = "auto",
    dtype: Any = None,
) -> Product:
    """A function of lhs that returns `gemm(lhs, rhs, ...)` with these arguments.

    It looks at the arguments once for each shape and dtype of lhs, which takes most of the time of a small product.
    rhs and bias must not change afterwards. Arguments, results and errors as in `gemm`, some of them at the first call.

    >>> layer = bind([[1, 2], [3, 4]], bias=[10, 20])
    >>> layer([[1, 1]]), layer(np.array([[0, 1]], np.int8))
    (array([[14, 26]]), array([[13, 24]]))
    """
    right, steps = right_of(rhs, rhs_format, rhs_zero_point), dict[Any, Product]()

    def product(lhs: Any) -> NDArray[Any]:
        plain = type(lhs) is np.ndarray and lhs.flags.c_contiguous and lhs.dtype.isnative
        if plain and (step := steps.get((lhs.shape, lhs.dtype))) is not None:
            return step(lhs)
        result: NDArray[Any] = gemm(
            lhs, right, lhs_format=lhs_format, lhs_zero_point=lhs_zero_point, bias=bias, path=path, dtype=dtype
        )
        # without a format, the range of a wide dtype is that of the values
        if plain and (lhs_format is not None or lhs.dtype in BY_DTYPE) and len(steps) < MOST_PLANS:
            left = operand("gemm", "lhs", lhs, lhs_format)
            steps[lhs.shape, lhs.dtype] = _step(left, right, int(lhs_zero_point), bias, path, result.dtype)
        return result

    return product
