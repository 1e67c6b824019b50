"""Exact convolution of integers in one and two dimensions: a matrix product of patches, some output pixels at a time.

    y[n, p, o] = bias[o] + sum over taps t and channels c of (x[n, s p + d t - b, c] - zx) (w[o, t, c] - zw[o])

The patch matrix never exists whole: its rows are written for one chunk of output pixels, which stays in the cache,
and are multiplied at once. Depthwise convolutions have a kernel of their own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.accumulation import Accumulator, parse_accumulator
from refq.products.choice import check_follows
from refq.products.conv_bounds import check_sums
from refq.products.conv_operands import Operands, operands, result_array
from refq.products.conv_routes import Route, Step, depthwise_route, direct_route, product_route
from refq.products.geometry import LAYOUTS, Geometry
from refq.products.patches import scatter_pixels
from refq.products.problem import PATHS as GEMM_PATHS
from refq.products.threads import share

PATHS = ("auto", "depthwise", "direct", *GEMM_PATHS)


def _route(task: Operands, path: str, rule: Accumulator) -> Route:
    """The route of a path; auto takes the depthwise kernel where every filter sees one channel, else gemm."""
    g = task.geometry
    single = g.groups == g.channels
    if path not in PATHS:
        raise ValueError(f"conv: path={path!r} is unknown; pass one of {', '.join(PATHS)}")
    if path == "depthwise" and not single:
        raise ValueError(
            f"conv: path='depthwise' needs groups={g.channels}, one a channel, not {g.groups}; pass 'auto'"
        )
    check_follows("conv", path, rule)
    if path == "direct":
        return direct_route(task, rule)
    if path == "depthwise" or (path == "auto" and single and g.channels > 1 and rule.only_end):
        return depthwise_route(task, rule)
    return product_route(task, path, rule)


def _with_place(step: Step, g: Geometry) -> Step:
    """A step whose error names the output pixel; all it can refuse is a sum that its accumulator must hold."""

    def guarded(start: int, out: NDArray[np.int64]) -> None:
        try:
            step(start, out)
        except ValueError as error:
            if len(out) > 1:
                for r in range(len(out)):
                    guarded(start + r, out[r : r + 1])
            above, column = divmod(start, g.width.out)
            image, line = divmod(above, g.height.out)
            reason = str(error).partition(": ")[2]
            raise ValueError(f"conv: image {image}, output pixel [{line}, {column}]: {reason}") from error

    return guarded


def _fill(route: Route, g: Geometry, is_last: bool, result: NDArray[np.int64], first: int, last: int) -> None:
    """Chunks first..last - 1 of the output pixels; channels first goes through a buffer that is turned."""
    step = route.new_step() if route.exact else _with_place(route.new_step(), g)
    pixels = result.reshape(g.pixels, g.filters)
    buffer = np.empty((0 if is_last else route.rows, g.filters), np.int64)
    for start in range(first * route.rows, min(last * route.rows, g.pixels), route.rows):
        stop = min(start + route.rows, g.pixels)
        if is_last:
            step(start, pixels[start:stop])
            continue
        step(start, buffer[: stop - start])
        scatter_pixels(buffer[: stop - start], start, result.reshape(g.batch, g.filters, -1))


def conv(
    input: Any,
    weights: Any,
    *,
    layout: str = "NHWC",
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    input_format: Any = None,
    weight_format: Any = None,
    input_zero_point: int = 0,
    weight_zero_point: Any = 0,
    padding_value: int | None = None,
    bias: Any = None,
    accumulator: str | Accumulator = "exact",
    path: str = "auto",
    explain: bool = False,
    out: NDArray[np.int64] | None = None,
) -> Any:
    """Sums of (input - input_zero_point) * (weights - weight_zero_point) under a sliding kernel, exactly.

    layout: NHWC with weights (O, KH, KW, C/groups), as TFLite; NCHW with weights (O, C/groups, KH, KW), as ONNX and
    PyTorch; in one dimension NWC with (O, KW, C/groups), NCW with (O, C/groups, KW). Integer dtypes.
    stride, dilation: an int >= 1, or one a dimension. padding: an int, (before, after) pairs, one a dimension,
    "valid" for none, "same" (ONNX SAME_UPPER, TFLite SAME) or "same_lower". A padded tap adds exactly 0, unless
    padding_value names the code that stands there. groups divides channels and filters; filter o sees the channels
    of group o // (O / groups).
    input_format, weight_format: a name such as "uint2" or "bipolar", an `IntFormat` or `Encoding`; None: the dtype.
    Zero points lie in the format (0 for odd levels); that of the weights, and `bias`, may be one a filter.
    accumulator: a name of `ACCUMULATORS`; products come in the order kernel line, kernel column, channel.
    path: "auto", "depthwise", "direct", or one of gemm's. out: a C-contiguous int64 array for the result.

    Returns int64, (N, OH, OW, O) or (N, O, OH, OW); with explain=True also a `Choice`. Equals `refq.spec.conv.conv`
    element by element. Raises TypeError for kinds; ValueError for shapes and ranges, for values outside a format, for
    padding that has no code, and where a sum could leave int64 or leaves an accumulator that must hold it.
    Source: ONNX ConvInteger; TFLite `reference_integer_ops/conv.h`; for padding_value=1 Larq Compute Engine.

    >>> x, edge = np.array([[[1], [2], [4]]], np.uint8), np.array([[[-1], [1]]], np.int8)
    >>> conv(x, edge, layout="NWC", padding=((1, 0),)).ravel(), conv(x, edge, layout="NWC", input_zero_point=1,
    ...     padding=((1, 0),)).ravel()
    (array([1, 1, 2]), array([0, 1, 2]))
    """
    shape = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    formats, zeros = (input_format, weight_format), (input_zero_point, weight_zero_point)
    task = operands(input, weights, layout, shape, formats, zeros, padding_value, bias)
    check_sums(task)
    g, is_last = task.geometry, LAYOUTS[layout][1] == "last"
    route = _route(task, path, parse_accumulator(accumulator))
    lines = (g.height.out, g.width.out)[-(LAYOUTS[layout][0] - 2) :]
    result = result_array((g.batch, *lines, g.filters) if is_last else (g.batch, g.filters, *lines), out, task)
    if result.size:
        share(partial(_fill, route, g, is_last, result), -(-g.pixels // route.rows), route.seconds)
    return (result, route.choice) if explain else result
