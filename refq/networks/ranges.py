"""What every tensor of a network can hold: its shape, and the exact interval of each channel.

The interval of a step's result is exact where the inputs of that step take all values of their intervals, each for
itself; it holds always. Guo et al. 2021 (arXiv 2106.00127) size their accumulators so; docs/networks.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.networks.records import Step, pads
from refq.networks.requantizing import apply_forms, only_odd
from refq.products.ranges import layer

MOST_TERMS = 1 << 20
"""Products whose ends are held at once, some 40 bytes each; one filter may have more."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """shape: of one sample, (H, W, C), (features,) or () of a class; low, high: int64, one a channel or feature.

    odd: every value is odd, which operands of odd-level encodings must be.
    """

    shape: tuple[int, ...]
    low: NDArray[Any]
    high: NDArray[Any]
    odd: bool = False


def _spans(size: int, kernel: int, stride: int, before: int, after: int) -> NDArray[np.int64]:
    """The taps that lie inside the input, first..last - 1, over all output positions: each pair once, (pairs, 2)."""
    starts = np.arange(-before, size + after - kernel + 1, stride)
    pairs: NDArray[np.int64] = np.stack((-starts, size - starts), axis=1).clip(0, kernel)
    # both ends fall with the position, so that equal pairs stand side by side
    first: NDArray[np.bool_] = np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))
    return pairs[first]


def _rectangles(terms: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
    """The sums of terms (kh, kw, O) over every span of rows and every span of columns: (rows, columns, O)."""
    total = np.pad(terms.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0), (0, 0)))
    lines = total[rows[:, 1]] - total[rows[:, 0]]
    sums: NDArray[Any] = lines[:, columns[:, 1]] - lines[:, columns[:, 0]]
    return sums


def conv_sizes(step: Step, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width of a conv's result."""
    assert step.weights is not None
    sides = zip(shape[:2], step.weights.shape[1:3], pads(step), strict=True)
    return tuple((size + sum(around) - kernel) // step.stride + 1 for size, kernel, around in sides)


def _some_filters(step: Step) -> Iterator[Step]:
    """The same step for a few filters at a time, so that their products take little memory."""
    assert step.weights is not None
    count = max(1, MOST_TERMS // prod(step.weights.shape[1:]))
    for start in range(0, len(step.weights), count):
        part = slice(start, start + count)
        bias = None if step.bias is None else step.bias[part]
        yield replace(step, weights=step.weights[part], bias=bias)


def _ends_of_all(pairs: Iterator[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    low, high = zip(*pairs, strict=True)
    return np.concatenate(low), np.concatenate(high)


def conv_result(step: Step, x: Tensor) -> Tensor:
    """Accumulators of a conv: over all output positions, whose padded taps are 0."""
    assert step.weights is not None
    low, high = _ends_of_all(_conv_ends(part, x) for part in _some_filters(step))
    return Tensor((*conv_sizes(step, x.shape), len(step.weights)), low, high)


def _conv_ends(step: Step, x: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    assert step.weights is not None
    filters, kernels = len(step.weights), step.weights.shape[1:3]
    spans = [
        _spans(size, kernel, step.stride, *around)
        for size, kernel, around in zip(x.shape[:2], kernels, pads(step), strict=True)
    ]
    low, high = (np.tile(end, kernels[0] * kernels[1]) for end in (x.low, x.high))
    operands = layer("check", step.weights, low, high, step.bias, axis=0)
    least, most = (
        _rectangles(terms.reshape(*kernels, -1, filters).sum(axis=2), *spans).reshape(-1, filters)
        for terms in operands.terms()
    )
    return operands.bias + least.min(axis=0), operands.bias + most.max(axis=0)


def dense_result(step: Step, x: Tensor) -> Tensor:
    """Accumulators of a dense layer."""
    low, high = _ends_of_all(_dense_ends(part, x) for part in _some_filters(step))
    return Tensor(low.shape, low, high)


def _dense_ends(step: Step, x: Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    operands = layer("check", step.weights, x.low, x.high, step.bias, axis=0)
    least, most = operands.terms()
    return operands.bias + least.sum(axis=0), operands.bias + most.sum(axis=0)


def requantize_result(step: Step, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """Codes; every form is monotone, so the ends of the accumulators give the ends of the codes."""
    assert step.forms is not None
    beside = None if residual is None else np.stack((residual.low, residual.high))
    codes = apply_forms(np.stack((x.low, x.high)), step.forms, beside).astype(np.int64)
    return Tensor(x.shape, codes.min(axis=0), codes.max(axis=0), all(only_odd(form) for form in step.forms))


def add_result(step: Step, x: Tensor, y: Tensor) -> Tensor:
    """Codes of a clamped sum."""
    low, high = (np.clip(a + b, step.qmin, step.qmax) for a, b in ((x.low, y.low), (x.high, y.high)))
    return Tensor(x.shape, low, high)


def maxpool_result(step: Step, x: Tensor) -> Tensor:
    """The same codes, fewer of them."""
    assert step.pool is not None
    return Tensor((x.shape[0] // step.pool, x.shape[1] // step.pool, x.shape[2]), x.low, x.high, x.odd)


def flatten_result(step: Step, x: Tensor) -> Tensor:
    """The same codes in one row, channels fastest."""
    pixels = prod(x.shape[:2])
    return Tensor((prod(x.shape),), np.tile(x.low, pixels), np.tile(x.high, pixels), x.odd)


def argmax_result(step: Step, x: Tensor) -> Tensor:
    """Classes."""
    return Tensor((), np.array([0]), np.array([x.shape[0] - 1]))


RESULTS: dict[str, Any] = {
    "conv": conv_result,
    "dense": dense_result,
    "requantize": requantize_result,
    "add": add_result,
    "maxpool": maxpool_result,
    "flatten": flatten_result,
    "argmax": argmax_result,
}
