"""Matrix products of integers with zero points, one sum at a time. Python ints; standard library only.

    y[i][j] = sum over k of (a[i][k] - za[i]) (b[k][j] - zb[j])

Source: ONNX MatMulInteger (operator text, opset 10): a zero point a row of a, a column of b.
"""

from __future__ import annotations

from collections.abc import Sequence

Matrix = Sequence[Sequence[int]]


def matmul(a: Matrix, b: Matrix, za: Sequence[int], zb: Sequence[int]) -> list[list[int]]:
    """One product of matrices.

    >>> matmul([[1, 2]], [[3], [4]], [1], [2])
    [[2]]
    """
    columns = range(len(zb))
    return [
        [sum((x - z) * (b[k][j] - zb[j]) for k, x in enumerate(row)) for j in columns]
        for row, z in zip(a, za, strict=True)
    ]


def adjoint(matrix: Matrix) -> list[list[int]]:
    """Rows for columns (TFLite BATCH_MATMUL adj_x, adj_y).

    >>> adjoint([[1, 2], [3, 4]])
    [[1, 3], [2, 4]]
    """
    return [list(column) for column in zip(*matrix, strict=True)]


def wrapped(value: int, bits: int = 32) -> int:
    """What a register of two's complement holds of a sum.

    >>> wrapped(2**31), wrapped(-(2**31) - 1)
    (-2147483648, 2147483647)
    """
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
