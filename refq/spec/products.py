"""Products of integer matrices, one sum at a time. Python ints; standard library only.

    y[i, j] = bias[j] + sum over k of (x[i, k] - zx)(y[k, j] - zy[j])

ONNX MatMulInteger (operator text, opset 10), scalar left zero point; TFLite `reference_integer_ops/fully_connected.h`.
"""

from __future__ import annotations

from collections.abc import Sequence


def dot(xs: Sequence[int], ys: Sequence[int], zx: int = 0, zy: int = 0, bias: int = 0) -> int:
    """bias + sum (x - zx)(y - zy).

    >>> dot([1, 2], [3, 4], zx=1, bias=10)
    14
    """
    return bias + sum((x - zx) * (y - zy) for x, y in zip(xs, ys, strict=True))


def gemm(
    lhs: Sequence[Sequence[int]],
    rhs: Sequence[Sequence[int]],
    zx: int = 0,
    zy: Sequence[int] | None = None,
    bias: Sequence[int] | None = None,
) -> list[list[int]]:
    """Every row of lhs (M, K) with every column of rhs (K, N, at least one row).

    >>> gemm([[1, 2], [3, 4]], [[5], [6]], zx=1)
    [[6], [28]]
    """
    columns = list(zip(*rhs, strict=True))
    zy, bias = zy or [0] * len(columns), bias or [0] * len(columns)
    return [[dot(row, *sides) for sides in zip(columns, [zx] * len(columns), zy, bias, strict=True)] for row in lhs]
