"""Bounds of the sums of a convolution.

With X = max|x - zx|, the padding value included, and v = w - zw, no partial sum of filter o leaves X sum |v[o]| +
|bias[o]|, whatever the order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import INT64
from refq.products.conv_operands import Operands


def _spread(array: NDArray[Any], zeros: list[int]) -> int:
    """max|value - zero| over all pairs."""
    if not array.size:
        return 0
    low, high = int(array.min()), int(array.max())
    return max(abs(end - zero) for end in (low, high) for zero in zeros)


def _input_reach(task: Operands) -> int:
    """max|x - zx| over the values that are there and the padding value."""
    seen = _spread(task.codes, [task.input_zero_point])
    return max(seen, abs(task.pad - task.input_zero_point)) if task.geometry.padded else seen


def check_sums(task: Operands) -> None:
    """Refuse sums that could leave int64."""
    depth, bias = task.geometry.depth, 0 if task.bias is None else _spread(task.bias, [0])
    if task.codes.itemsize <= 2 and task.weights.itemsize <= 2 and (depth << 32) + bias <= INT64.qmax:
        return
    zeros = np.asarray(task.weight_zero_point)
    x, v = _input_reach(task), _spread(task.weights, [int(zeros.min()), int(zeros.max())] if zeros.size else [])
    reach = x * v * depth + bias
    if reach > INT64.qmax:
        raise ValueError(
            f"conv: sums of {depth} products up to {x} * {v} and a bias up to {bias} could reach {reach}, "
            "outside int64; narrow the operands or split the channels"
        )


def shifted_weights(task: Operands) -> tuple[NDArray[np.int64], int]:
    """v = w - zw, modulo 2**64 where the input is all zero points, and the bound X max over o of sum |v[o]|."""
    zeros = np.asarray(task.weight_zero_point).reshape(-1, 1, 1)
    v: NDArray[np.int64] = task.weights.astype(np.int64) - zeros
    reach = _input_reach(task)
    return v, reach * int(np.abs(v).sum((1, 2)).max(initial=0)) if reach else 0


def kernel_codes(task: Operands) -> NDArray[Any]:
    """The codes, flat, in one of the dtypes that have a kernel: up to 16 bits as they are, else int64."""
    return (task.codes if task.codes.itemsize <= 2 else task.codes.astype(np.int64)).reshape(-1)
