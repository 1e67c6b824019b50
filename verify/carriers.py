"""How a chosen accumulator is carried into an op: layouts, and which accumulators it can reach.

With zero weights the int32 bias *is* the accumulator, one channel a probe. The second carrier puts non-zero
weights beside it, so that a special case for zero weights would show. QLinearMatMul has no bias: there
the accumulator is spread over a row of products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
INT32 = (-(1 << 31), (1 << 31) - 1)


def _one(largest: int) -> int:
    return 1


@dataclass(frozen=True)
class Carrier:
    """`place` makes the op's inputs from accumulators inside `reach` and the input's zero point and dtype.

    `width(largest)` is how many array elements one probe takes when |accumulator| <= largest.
    """

    name: str
    reach: tuple[int, int]
    place: Callable[[NDArray[np.int64], int, str], Arrays]
    width: Callable[[int], int] = _one


# Activation (above its zero point) times weight, the product of the second carrier.
_X, _W = 3, -5
_WEIGHT = 127


def _through_bias(
    x_shape: tuple[int, ...], w_shape: Callable[[int], tuple[int, ...]], x_value: int, w_value: int
) -> Callable[[NDArray[np.int64], int, str], Arrays]:
    def place(acc: NDArray[np.int64], zero_point: int, dtype: str) -> Arrays:
        n = len(acc)
        x_dims = tuple(d or n for d in x_shape)
        return {
            "x": np.full(x_dims, zero_point + x_value, dtype),
            "w": np.full(w_shape(n), w_value, np.int8),
            "bias": (acc - x_value * w_value).astype(np.int32),
        }

    return place


def _both(x_shape: tuple[int, ...], w_shape: Callable[[int], tuple[int, ...]]) -> tuple[Carrier, ...]:
    """Zero weights, then non-zero ones; a 0 in x_shape stands for the number of channels."""
    return (
        Carrier("bias", INT32, _through_bias(x_shape, w_shape, 0, 0)),
        Carrier("bias+weights", (INT32[0] - _X * _W, INT32[1] + _X * _W), _through_bias(x_shape, w_shape, _X, _W)),
    )


def _depth(largest: int) -> int:
    """Products to sum: each brings at most 126 * 127, the last one the remainder."""
    return largest // (126 * _WEIGHT) + 2


def _summands(acc: NDArray[np.int64]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """(probes, depth) values in -127..126 and the (depth,) factors 127, ..., 127, 1 whose dot product is acc.

    acc = 127 * total + rest; total is spread evenly, so every value stays within 8 bits.
    """
    depth = _depth(int(np.abs(acc).max(initial=0)))
    total, rest = np.divmod(acc, _WEIGHT)
    even, extra = np.divmod(total, depth - 1)
    values = np.empty((len(acc), depth), np.int8)
    values[:, :-1] = even[:, None]
    values[:, :-1] += np.arange(depth - 1) < extra[:, None]
    values[:, -1] = rest
    factors = np.full(depth, _WEIGHT, np.int8)
    factors[-1] = 1
    return values, factors


def _activations(values: NDArray[np.int8], zero_point: int, dtype: str) -> NDArray[Any]:
    """Values plus zero point in the activation dtype; -127 + 128 and 127 + 128 fit uint8."""
    return values if dtype == "int8" else (values.astype(np.int16) + zero_point).astype(dtype)


def _rows(acc: NDArray[np.int64], zero_point: int, dtype: str) -> Arrays:
    values, factors = _summands(acc)
    return {"x": _activations(values, zero_point, dtype), "w": factors[:, None]}


def _columns(acc: NDArray[np.int64], zero_point: int, dtype: str) -> Arrays:
    values, factors = _summands(acc)
    return {"x": _activations(factors[None, :], zero_point, dtype), "w": np.ascontiguousarray(values.T)}


# So few summands that no partial sum of uint8 * int8 products leaves int32, not even before the zero point is
# subtracted: beyond, some kernels saturate, which is a question about the accumulator (docs/findings.md).
_LARGEST = 126 * _WEIGHT * ((1 << 31) // (255 * 127) - 2)

CARRIERS: dict[str, tuple[Carrier, ...]] = {
    "QLinearConv": _both((1, 1, 1, 1), lambda n: (n, 1, 1, 1)),
    "QLinearMatMul": (
        Carrier("columns", (-_LARGEST, _LARGEST), _columns, _depth),
        Carrier("rows", (-_LARGEST, _LARGEST), _rows, _depth),
    ),
    "CONV_2D": _both((1, 1, 1, 1), lambda n: (n, 1, 1, 1)),
    "DEPTHWISE_CONV_2D": _both((1, 1, 1, 0), lambda n: (1, 1, 1, n)),
    "FULLY_CONNECTED": _both((1, 1), lambda n: (n, 1)),
    "FULLY_CONNECTED:per_channel": _both((1, 1), lambda n: (n, 1)),
}

# Ops that turn a float32 x into codes; everything else carries accumulators.
QUANTIZING = ("QuantizeLinear", "QUANTIZE")
# Ops whose weight scale is given once a channel.
PER_CHANNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED:per_channel")
