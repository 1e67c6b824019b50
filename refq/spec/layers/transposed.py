"""Transposed convolution of integers, scattered: one product at a time. Python ints; standard library only.

Every input code, less its zero point, times every tap of every filter is added to the place it falls on:

    y[s i + d t - b, o] += (x[i, c] - zx) (w[o, t, c] - zw[o])          a pair for each of s, i, d, t, b

and y starts from the bias; what falls outside of the result is dropped.
Source: TFLite `reference_integer_ops/transpose_conv.h`; ONNX ConvTranspose (operator text, opset 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

Pixels = Sequence[Sequence[Sequence[int]]]


def transposed_conv(
    x: Pixels,
    weights: Sequence[Pixels],
    *,
    stride: Sequence[int],
    before: Sequence[int],
    size: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    input_zero_point: int = 0,
    weight_zero_points: Sequence[int] | None = None,
    bias: Sequence[int] | None = None,
) -> list[list[list[int]]]:
    """The sums of one sample: x[h][w][c], weights[o][kh][kw][c] -> y[h][w][o].

    With groups, filter o sees the channels from (o // (O / groups)) * C / groups on, as many as weights[o] has.

    >>> transposed_conv([[[1], [10]]], [[[[1], [2], [3]]]], stride=(1, 2), before=(0, 1), size=(1, 4))
    [[[2], [13], [20], [30]]]
    """
    filters = len(weights)
    zeros, start = weight_zero_points or [0] * filters, bias or [0] * filters
    y = [[list(start) for _ in range(size[1])] for _ in range(size[0])]
    places = product(range(len(x)), range(len(x[0])), range(filters), range(len(weights[0])), range(len(weights[0][0])))
    for h, w, o, kh, kw in places:
        p, q = (s * i + d * t - b for s, i, d, t, b in zip(stride, (h, w), dilation, (kh, kw), before, strict=True))
        if not (0 <= p < size[0] and 0 <= q < size[1]):
            continue
        depth = len(weights[o][kh][kw])
        first = o // (filters // groups) * depth
        for c in range(depth):
            y[p][q][o] += (x[h][w][first + c] - input_zero_point) * (weights[o][kh][kw][c] - zeros[o])
    return y
