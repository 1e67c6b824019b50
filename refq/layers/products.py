"""Convolution, depthwise convolution and fully connected layers on codes: exact sums, then one rule to codes.

    y = clamp(round(scale * (bias + sum of (x - zx) (w - zw))) + zy),    scale = sx sw / sy

Which product of the scales and which rounding is the rule's; `refq.layers.product_rules` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import INT8, IntFormat, Rounding
from refq.layers.product_codes import Target, bind_codes
from refq.layers.rescaling import Scales
from refq.products.bound import bind
from refq.products.conv import conv

CHANNELS = {"NHWC": -1, "NWC": -1, "NCHW": 1, "NCW": 1}
"""Layouts, and the dimension that holds the channels."""


def depthwise_weights(weights: NDArray[Any]) -> NDArray[Any]:
    """(1, KH, KW, C * m) as TFLite stores them -> (C * m, KH, KW, 1), those of a convolution in C groups.

    >>> depthwise_weights(np.zeros((1, 3, 2, 8), np.int8)).shape
    (8, 3, 2, 1)
    """
    if weights.ndim != 4 or weights.shape[0] != 1:
        raise ValueError(f"depthwise_weights: weights has shape {weights.shape}; pass (1, KH, KW, channels)")
    return np.ascontiguousarray(weights.transpose(3, 1, 2, 0))


def sums_reach(
    weights: NDArray[Any], weight_zero_point: Any, input_zero_point: int, input_format: IntFormat, bias: Any
) -> tuple[int, int]:
    """The least and the largest sum over all inputs, of all channels; weights with the channels first.

    >>> sums_reach(np.array([[3, -1]]), 0, 0, IntFormat(8), None)
    (-511, 509)
    """
    channels = weights.shape[0]
    if not weights.size:
        return 0, 0
    rows = weights.reshape(channels, -1).astype(np.int64) - np.reshape(np.asarray(weight_zero_point, np.int64), (-1, 1))
    above, below = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    low, high = input_format.qmin - input_zero_point, input_format.qmax - input_zero_point
    start = 0 if bias is None else np.asarray(bias, np.int64)
    return int((start + above * low + below * high).min()), int((start + above * high + below * low).max())


def quantized_conv(
    x: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any] | None,
    rule: str,
    *,
    scales: Scales,
    zero_points: tuple[int, Any, int] = (0, 0, 0),
    fmt: IntFormat = INT8,
    layout: str = "NHWC",
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str = "none",
    bounds: Rounding = Rounding.TIES_AWAY,
) -> NDArray[Any]:
    """The codes of a convolution; x, weights, bias and geometry as for `refq.conv`.

    rule: a label of `refq.layers.product_rules`. scales: of x, of the weights (one or one a filter), of the result.
    zero_points: likewise. fmt: of the result. activation: none, relu, relu6, relu_n1_to_1. Returns the dtype of fmt.
    An int64 bias makes the sums wide. ValueError for shapes, and where a sum lies outside the rule's accumulators.
    Source: TFLite `reference_integer_ops/conv.h`; ONNX QLinearConv.

    >>> x, edge = np.array([[[1], [3], [4]]], np.int8), np.array([[[-1], [1]]], np.int8)
    >>> halves = Scales(np.float32(0.5), np.array([1], np.float32), np.float32(1))
    >>> [quantized_conv(x, edge, None, rule, scales=halves, layout="NWC").ravel().tolist()
    ...  for rule in ("gemmlowp_double", "float32_ties_even")]
    [[1, 1], [1, 0]]
    """
    zx, zw, zy = zero_points
    acc = conv(
        x, weights, layout=layout, stride=stride, padding=padding, dilation=dilation, groups=groups,
        input_zero_point=zx, weight_zero_point=zw, bias=bias,
    )  # fmt: skip
    target = Target(
        "quantized_conv", scales.under, scales.output, zy, fmt, weights.shape[0], CHANNELS[layout], activation, bounds,
        wide=bias is not None and bias.dtype == np.int64,
    )  # fmt: skip
    return bind_codes(rule, target)(acc)


def quantized_depthwise_conv(
    x: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any] | None, rule: str, **arguments: Any
) -> NDArray[Any]:
    """The codes of a depthwise convolution: x (N, H, W, C), weights (1, KH, KW, C * m), filter c m + j sees channel c.

    All else as for `quantized_conv`. Source: TFLite `reference_integer_ops/depthwise_conv.h`.

    >>> x, weights = np.full((1, 1, 1, 9), -2, np.int8), np.ones((1, 1, 1, 9), np.int8)
    >>> quarters = Scales(np.float32(0.25), np.array([1], np.float32), np.float32(1))
    >>> quantized_depthwise_conv(
    ...     x, weights, None, "double_up+gemmlowp_double_tail/double_product/after", scales=quarters).ravel().tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, -1]
    """
    return quantized_conv(x, depthwise_weights(weights), bias, rule, groups=x.shape[-1], **arguments)


def quantized_fully_connected(
    x: NDArray[Any],
    weights: NDArray[Any],
    bias: NDArray[Any] | None,
    rule: str,
    *,
    scales: Scales,
    zero_points: tuple[int, Any, int] = (0, 0, 0),
    fmt: IntFormat = INT8,
    activation: str = "none",
    bounds: Rounding = Rounding.TIES_AWAY,
) -> NDArray[Any]:
    """The codes (rows, O) of a fully connected layer: x any shape, read as rows of I; weights (O, I); bias (O,).

    All else as for `quantized_conv`. Source: TFLite `reference_integer_ops/fully_connected.h`.

    >>> ones = Scales(np.float32(0.5), np.array([1], np.float32), np.float32(1))
    >>> quantized_fully_connected(
    ...     np.array([1, 2], np.int8), np.array([[1, 0], [1, 1]], np.int8), None, "float64_ties_away", scales=ones)
    array([[1, 2]], dtype=int8)
    """
    zx, zw, zy = zero_points
    acc = fully_connected_sums(weights, bias, zx, zw)(x)
    wide = bias is not None and bias.dtype == np.int64
    where, channels = "quantized_fully_connected", weights.shape[0]
    target = Target(where, scales.under, scales.output, zy, fmt, channels, -1, activation, bounds, wide)
    return bind_codes(rule, target)(acc)


def fully_connected_sums(weights: NDArray[Any], bias: Any, input_zero_point: int, weight_zero_point: Any) -> Any:
    """A function of x -> its sums (rows, O), int64; the weights are packed once.

    >>> fully_connected_sums(np.array([[1, 2], [3, 4]], np.int8), None, 1, 0)(np.array([[1, 2]], np.int8))
    array([[2, 4]])
    """
    if weights.ndim != 2:
        raise ValueError(f"fully_connected: weights has shape {weights.shape}; pass (O, I)")
    depth = weights.shape[1]
    product = bind(
        np.ascontiguousarray(weights.T), lhs_zero_point=input_zero_point, rhs_zero_point=weight_zero_point,
        bias=None if bias is None else np.asarray(bias, np.int64), dtype="int64",
    )  # fmt: skip

    def sums(x: NDArray[Any]) -> NDArray[Any]:
        if not depth or x.size % depth:
            raise ValueError(f"fully_connected: x of shape {x.shape} does not make rows of {depth}, as weights has")
        acc: NDArray[Any] = product(np.ascontiguousarray(x).reshape(-1, depth))
        return acc

    return sums


def one_each(values: Sequence[int] | NDArray[Any]) -> Any:
    """A single number as an int, several as an array: what products take for zero points.

    >>> one_each(np.array([3])), one_each(np.array([0, 1]))
    (3, array([0, 1]))
    """
    found = np.asarray(values, np.int64)
    return int(found.ravel()[0]) if found.size == 1 else found
