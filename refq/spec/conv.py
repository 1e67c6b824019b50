"""Convolution of integers, one output element at a time, in any number of dimensions, channels last.

    y[n, p, o] = bias[o] + sum over taps t and channels c of (x[n, s p + d t - b, c'] - zx) (w[o, t, c] - zw[o])

s, d, b: stride, dilation and padding before, one a dimension; c' = g C/groups + c in the group g of filter o. Outside
of x stands the padding value, by default zx: a padded position adds 0. Standard library only.
ONNX ConvInteger (operator text, opset 10); TFLite `reference_integer_ops/conv.h` has the same sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any


def output_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """How many positions p keep all taps s p + d t inside the padded line.

    >>> output_size(5, kernel=3, stride=2, dilation=1, before=1, after=0), output_size(2, 3, 1, 1, 0, 0)
    (2, 0)
    """
    last = before + size + after - 1
    return sum(1 for start in range(0, last + 1, stride) if start + dilation * (kernel - 1) <= last)


def same_padding(size: int, kernel: int, stride: int, dilation: int, lower: bool = False) -> tuple[int, int]:
    """The least padding that makes ceil(size / stride) outputs; of an odd amount the larger half goes after.

    ONNX SAME_UPPER and TFLite SAME; `lower` puts the larger half before (SAME_LOWER).

    >>> same_padding(5, 2, 1, 1), same_padding(5, 2, 1, 1, lower=True), same_padding(6, 3, 2, 1)
    ((0, 1), (1, 0), (0, 1))
    """
    total = 0
    while output_size(size, kernel, stride, dilation, 0, total) * stride < size:
        total += 1
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def _pick(nested: Any, place: Sequence[int]) -> int:
    """nested[place[0]][place[1]]..."""
    for index in place:
        nested = nested[index]
    return int(nested)


def _sizes(nested: Any, count: int) -> list[int]:
    """The lengths of the first `count` levels."""
    sizes = []
    for _ in range(count):
        sizes.append(len(nested))
        nested = nested[0]
    return sizes


def conv(
    x: Any,
    weights: Any,
    at: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    bias: int = 0,
    padding_value: int | None = None,
) -> int:
    """The output element at = (n, p..., o); x[n][h]..[c] and weights[o][kh]..[c] nested sequences of ints.

    weight_zero_point and bias: those of filter o.

    >>> x, weights = [[[1], [2], [3]]], [[[1], [10]]]
    >>> line = dict(stride=[1], padding=[(1, 0)], dilation=[1])
    >>> [conv(x, weights, (0, p, 0), **line) for p in range(3)]
    [10, 21, 32]
    >>> [conv(x, weights, (0, p, 0), **line, input_zero_point=2) for p in range(3)]
    [-10, -1, 10]
    """
    n, *start, o = at
    sizes = _sizes(x, len(start) + 2)[1:-1]
    *taps, depth = _sizes(weights, len(start) + 2)[1:]
    first = o // (len(weights) // groups) * depth
    outside = input_zero_point if padding_value is None else padding_value
    total = bias
    for tap in product(*map(range, taps)):
        place = [
            p * s + t * d - before
            for p, s, t, d, (before, _) in zip(start, stride, tap, dilation, padding, strict=True)
        ]
        inside = all(0 <= i < size for i, size in zip(place, sizes, strict=True))
        for c in range(depth):
            code = _pick(x, (n, *place, first + c)) if inside else outside
            total += (code - input_zero_point) * (_pick(weights, (o, *tap, c)) - weight_zero_point)
    return total
