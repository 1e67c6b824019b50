"""Exact sums of a transposed convolution: every input pixel is spread over the kernel's taps, and what meets is added.

    y[n, p, o] = bias[o] + sum of (x[n, i, c] - zx) (w[o, t, c] - zw[o]) over pixels i and taps t with s i + d t - b = p

One matrix product gives each pixel times every tap; the taps are then added up where they fall, in int64: with codes
of at most 16 bits a product is below 2**34, so sums of fewer than 2**29 of them stay below 2**63.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.products.bound import bind

LAYOUTS = ("NHWC", "NCHW")

TOGETHER = 1 << 22
"""Products of pixels and taps held at once: samples beyond it are computed in turn."""

Sums = Callable[[NDArray[Any]], NDArray[np.int64]]


@dataclass(frozen=True)
class Frame:
    """Where taps fall, a pair (height, width) each: s i + d t - before is the place in a result of `size`."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    size: tuple[int, int]


def reach_of(tap: int, stride: int, dilation: int, before: int, size: int, inputs: int) -> tuple[slice, slice]:
    """The inputs that a tap carries into the result along one line, and where they land; empty slices for none.

    >>> reach_of(2, stride=2, dilation=1, before=1, size=4, inputs=3)
    (slice(0, 2, None), slice(1, 4, 2))
    """
    shift = before - dilation * tap
    low = max(0, -(-shift // stride))
    high = max(low, min(inputs, (size - 1 + shift) // stride + 1))
    first = stride * low - shift
    return slice(low, high), slice(first, first + max(stride * (high - low - 1) + 1, 0), stride)


def _by_tap(weights: NDArray[Any], layout: str, groups: int) -> NDArray[Any]:
    """(groups, I / groups, KH, KW, O / groups)."""
    if layout == "NHWC":
        filters, height, width, depth = weights.shape
        return weights.reshape(groups, filters // groups, height, width, depth).transpose(0, 4, 2, 3, 1)
    depth, filters, height, width = weights.shape
    return weights.reshape(groups, depth // groups, filters, height, width).transpose(0, 1, 3, 4, 2)


def _refused(why: str) -> ValueError:
    return ValueError(f"transposed_conv: {why}")


def _pair(name: str, value: Sequence[int], least: int) -> tuple[int, int]:
    pair = tuple(int(v) for v in value)
    if len(pair) != 2 or min(pair) < least:
        raise _refused(f"{name}={tuple(value)} is no pair of numbers of at least {least}")
    return pair[0], pair[1]


def _check(weights: NDArray[Any], layout: str, groups: int) -> None:
    if layout not in LAYOUTS:
        raise _refused(f"layout={layout!r} is unknown; legal: {', '.join(LAYOUTS)}")
    if weights.ndim != 4 or 0 in weights.shape:
        raise _refused(f"weights has shape {weights.shape}; pass four dimensions, none of them 0")
    if groups < 1 or weights.shape[0] % groups:
        raise _refused(f"groups={groups} does not divide the {weights.shape[0]} rows of weights {weights.shape}")


def _zeros(value: Any, filters: int) -> NDArray[np.int64]:
    zeros = np.asarray(value, np.int64)
    if zeros.shape not in ((), (filters,)):
        raise _refused(f"weight_zero_point has shape {zeros.shape}; pass one number or one a filter, ({filters},)")
    return np.broadcast_to(zeros, (filters,))


def _add_taps(products: NDArray[np.int64], frame: Frame, total: NDArray[np.int64]) -> None:
    """Adds products (N, H, W, KH, KW, O) to total (N, OH, OW, O)."""
    inputs = products.shape[1:3]
    lines = [
        [reach_of(t, *side) for t in range(frame.kernel[d])]
        for d in (0, 1)
        for side in [(frame.stride[d], frame.dilation[d], frame.before[d], frame.size[d], inputs[d])]
    ]
    for i, (rows, to_rows) in enumerate(lines[0]):
        for j, (columns, to_columns) in enumerate(lines[1]):
            total[:, to_rows, to_columns] += products[:, rows, columns, i, j]


def bind_transposed_conv(
    weights: NDArray[Any],
    *,
    stride: Sequence[int],
    before: Sequence[int],
    size: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
    layout: str = "NHWC",
    input_format: str | None = None,
    weight_format: str | None = None,
    input_zero_point: int = 0,
    weight_zero_point: Any = 0,
    bias: Any = None,
) -> Sums:
    """A function of x that returns the sums, int64, as `transposed_conv` does; weights must not change afterwards."""
    weights = np.asarray(weights)
    _check(weights, layout, groups)
    taps = _by_tap(weights, layout, groups)
    _, depth, *kernel, each = taps.shape
    filters = groups * each
    frame = Frame(
        _pair("kernel", kernel, 1), _pair("stride", stride, 1), _pair("dilation", dilation, 1),
        _pair("before", before, 0), _pair("size", size, 1),
    )  # fmt: skip
    zeros = _zeros(weight_zero_point, filters).reshape(groups, each)
    start = np.asarray(0 if bias is None else bias, np.int64)
    if start.shape not in ((), (filters,)):
        raise _refused(f"bias has shape {start.shape}; pass one number or one a filter, ({filters},)")
    products = [
        bind(
            np.ascontiguousarray(taps[g].reshape(depth, -1)), lhs_format=input_format, rhs_format=weight_format,
            lhs_zero_point=int(input_zero_point), rhs_zero_point=np.tile(zeros[g], frame.kernel[0] * frame.kernel[1]),
        )
        for g in range(groups)
    ]  # fmt: skip

    def spread(x: NDArray[Any], total: NDArray[np.int64]) -> None:
        for g, product in enumerate(products):
            pixels = np.ascontiguousarray(x[..., g * depth : (g + 1) * depth])
            found = product(pixels.reshape(-1, depth)).reshape(*x.shape[:3], *frame.kernel, each)
            _add_taps(found, frame, total[..., g * each : (g + 1) * each])

    def sums(x: NDArray[Any]) -> NDArray[np.int64]:
        last = _channels_last(np.asarray(x), layout, groups * depth)
        total = np.empty((last.shape[0], *frame.size, filters), np.int64)
        total[:] = start
        held = last.shape[1] * last.shape[2] * frame.kernel[0] * frame.kernel[1] * each
        together = max(1, TOGETHER // max(held, 1))
        for first in range(0, last.shape[0] if held else 0, together):
            spread(last[first : first + together], total[first : first + together])
        return total if layout == "NHWC" else np.ascontiguousarray(total.transpose(0, 3, 1, 2))

    return sums


def _channels_last(x: NDArray[Any], layout: str, channels: int) -> NDArray[Any]:
    if x.ndim != 4:
        raise _refused(f"x has shape {x.shape}; pass {layout}")
    last = x if layout == "NHWC" else x.transpose(0, 2, 3, 1)
    if last.shape[3] != channels:
        raise _refused(f"x {x.shape} has {last.shape[3]} channels, the weights take {channels}")
    return last


def transposed_conv(x: Any, weights: Any, **arguments: Any) -> NDArray[np.int64]:
    """Sums of (x - input_zero_point) * (weights - weight_zero_point) scattered over the result, plus bias, exactly.

    x: NHWC with weights (O, KH, KW, I / groups), as TFLite stores them, or layout="NCHW" with (I, O / groups, KH, KW),
    as ONNX; integer dtypes of at most 16 bits. stride, dilation: pairs. before: what is cut off the full result above
    and to the left; size: (height, width) of the result; what lies beyond the full result is bias alone. input_format,
    weight_format: such as "int4" for narrower codes. weight_zero_point, bias: one number or one a filter.

    Returns int64 (N, *size, O), or (N, O, *size). Equals `refq.spec.layers.transposed.transposed_conv`.
    ValueError for shapes and ranges. Source: TFLite `reference_integer_ops/transpose_conv.h`; ONNX ConvTranspose.

    >>> x, taps = np.array([[[[1], [10]]]], np.int8), np.array([[[[1], [2], [3]]]], np.int8)
    >>> transposed_conv(x, taps, stride=(1, 2), before=(0, 0), size=(1, 5)).ravel()
    array([ 1,  2, 13, 20, 30])
    """
    return bind_transposed_conv(np.asarray(weights), **arguments)(np.asarray(x))
