"""Exact products of integer matrices, by the fastest path that is proved exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.accumulation import Accumulator, parse_accumulator
from refq.arguments import integer, per_column
from refq.channels import ACC_LIMIT
from refq.products.accumulators import accumulate, finish
from refq.products.choice import Choice, check_follows, in_order
from refq.products.memory import empty
from refq.products.operands import Operand, operand
from refq.products.prepared import WAYS_OUT, Prepared, exact_product, prepared
from refq.products.problem import PATHS


def prepare(rhs: Any, *, rhs_format: object = None, rhs_zero_point: Any = 0) -> Prepared:
    """The right operand of `gemm`, to be packed once and used many times.

    rhs: (K, N) integers, or BitPlanes of its columns, (N, K). The array must not change afterwards.
    Arguments and errors as in `gemm`.

    >>> weights = prepare([[1, 2], [3, 4]])
    >>> gemm([[1, 1]], weights), gemm([[0, -1]], weights)
    (array([[4, 6]]), array([[-3, -4]]))
    """
    return prepared("prepare", rhs, rhs_format, rhs_zero_point)


def right_of(rhs: Any, rhs_format: object, zero_point: Any) -> Prepared:
    """The right operand, prepared now or before."""
    if not isinstance(rhs, Prepared):
        return prepared("gemm", rhs, rhs_format, zero_point)
    if rhs_format is not None or not isinstance(zero_point, int) or zero_point:
        raise ValueError("gemm: rhs is prepared and has its format and zero point; pass them to prepare")
    return rhs


def _new(dtype: Any, shape: tuple[int, int]) -> NDArray[Any]:
    """An array for the result."""
    if dtype not in ("int64", "int32", np.int64, np.int32):
        raise ValueError(f"gemm: dtype={dtype!r} is no dtype of sums; legal: 'int64', 'int32'")
    return empty(shape, dtype)


def _given(out: Any, dtype: Any, shape: tuple[int, int], operands: dict[str, Any]) -> NDArray[Any]:
    """The caller's array for the result, checked."""
    if not isinstance(out, np.ndarray) or out.dtype not in WAYS_OUT:
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(f"gemm: out is {kind}; pass an array of int64 {shape}, or int32")
    if dtype is not None and out.dtype != dtype:
        raise ValueError(f"gemm: out is {out.dtype}, dtype={dtype!r}; pass one of the two")
    if out.shape != shape:
        raise ValueError(f"gemm: out has shape {out.shape}; pass {shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("gemm: out is not C-contiguous and writeable; pass np.empty(shape, np.int64)")
    for name, array in operands.items():
        if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
            raise ValueError(f"gemm: out shares memory with {name}; pass another array")
    return out


def _in_order(left: Operand, right: Prepared, zero_point: int, bias: Any, rule: Accumulator) -> NDArray[np.int64]:
    """The products added up in the order and the registers of a rule."""
    left.check()
    sides = ("lhs", left.span, (zero_point, zero_point)), ("rhs", right.operand.span, right.zero_range)
    for name, span, zeros in sides:
        largest = span.reach(*zeros)
        if largest > ACC_LIMIT:
            raise ValueError(
                f"gemm: {name} less its zero point can be {largest}, outside int64; declare a narrower format"
            )
    x = left.values().astype(np.int64) - zero_point
    y = right.operand.values().T.astype(np.int64) - right.zero_points
    return accumulate("gemm", x, y, rule, bias)


def _by_rule(
    left: Operand, right: Prepared, zero_point: int, bias: Any, rule: Accumulator, path: str, out: NDArray[Any]
) -> Choice:
    """Fills out with what a rule makes of the sums."""
    fmt, limits = rule.outer.fmt, np.iinfo(out.dtype)
    if fmt.qmin < limits.min or fmt.qmax > limits.max:
        raise ValueError(
            f"gemm: accumulator={rule.name} ends in {fmt.name}, wider than {out.dtype}; pass dtype='int64'"
        )
    if not rule.only_end:
        out[:] = _in_order(left, right, zero_point, bias, rule)
        return in_order(rule)
    sums = empty(out.shape, np.int64)
    choice = exact_product(left, right, zero_point, bias, path, sums)
    out[:] = finish("gemm", sums, rule)
    return choice


def gemm(
    lhs: Any,
    rhs: Any,
    *,
    lhs_format: object = None,
    rhs_format: object = None,
    lhs_zero_point: int = 0,
    rhs_zero_point: Any = 0,
    bias: Any = None,
    accumulator: Accumulator | str = "exact",
    path: str = "auto",
    explain: bool = False,
    out: NDArray[Any] | None = None,
    dtype: Any = None,
) -> Any:
    """sum over k of (lhs[i, k] - lhs_zero_point) * (rhs[k, j] - rhs_zero_point[j]) + bias[j], exact.

    lhs: (M, K) integers or BitPlanes. rhs: (K, N) integers, BitPlanes of its columns (N, K), or `prepare(rhs)`.
    lhs_format, rhs_format: what the values are, 'int4', 'uint2', 'bipolar', 'odd2', an IntFormat or Encoding; without
    one, the dtype up to 16 bits and the actual range of wider ones. rhs_zero_point, bias: one number or one a column.
    accumulator: 'exact', or a rule of `refq.accumulation.ACCUMULATORS`, applied to the terms of that sum in order.
    path: 'auto' or a member of `PATHS`; every path gives the same integers. dtype: 'int64', or 'int32' where the sums
    are proved to fit, which halves what is written. out: an array (M, N) of either to write to.

    Returns (M, N) integers; with explain=True a pair of them and the `Choice` made. Raises TypeError for kinds,
    ValueError for shapes, values outside the format (with the place of the first), a path that is not exact for these
    operands, sums that could leave the dtype, and sums that a rule of ERROR refuses.

    >>> gemm([[1, 2], [3, 4]], [[5], [6]], lhs_zero_point=1)
    array([[ 6],
           [28]])
    >>> formats = {"lhs_format": "bipolar", "rhs_format": "bipolar"}
    >>> product, choice = gemm([[1, -1, 1]], [[1], [1], [-1]], **formats, path="popcount", explain=True)
    >>> product, choice.reason
    (array([[-1]]), 'asked for; 1 products of bit planes, counts of at most 3')
    >>> gemm([[255, 255]], [[127], [127]], accumulator="pairs16")
    array([[32767]])
    """
    right = right_of(rhs, rhs_format, rhs_zero_point)
    left = operand("gemm", "lhs", lhs, lhs_format)
    if left.shape[1] != right.operand.shape[1]:
        raise ValueError(
            f"gemm: lhs {left.shape} and rhs {right.operand.shape[::-1]} do not match; pass (M, K) and (K, N)"
        )
    if not left.shape[1]:
        raise ValueError(f"gemm: lhs {left.shape} has depth 0, a sum of no products; pass at least one column")
    if path != "auto" and path not in PATHS:
        raise ValueError(f"gemm: path={path!r} is no path; legal: auto, {', '.join(PATHS)}")
    columns = right.operand.shape[0]
    zero_point = integer("gemm", "lhs_zero_point", lhs_zero_point, -ACC_LIMIT, ACC_LIMIT)
    start = None if bias is None else per_column("gemm", "bias", bias, columns, -ACC_LIMIT, ACC_LIMIT)
    shape, rule = (left.shape[0], columns), parse_accumulator(accumulator)
    if out is None:
        result = _new("int64" if dtype is None else dtype, shape)
    else:
        result = _given(out, dtype, shape, {"lhs": lhs, "rhs": right.operand.given, "bias": bias})
    check_follows("gemm", path, rule)
    if rule.keeps_sums:
        choice = exact_product(left, right, zero_point, start, path, result)
    else:
        choice = _by_rule(left, right, zero_point, start, rule, path, result)
    return (result, choice) if explain else result
