"""Where a transposed convolution reads what: its taps, the ranges of its sums, the arithmetic of one element."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.records import Accumulators, Element
from refq.graphs.sites import Site, format_of, zero_point_of
from refq.layers.rescaling import Scales
from refq.layers.transposed import reach_of
from refq.products.ranges import accumulator_ranges

Pair = tuple[int, int]
AXES = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}
"""Height, width and channels of each layout."""


def stride_of(site: Site) -> Pair:
    """(height, width)."""
    height, width = site.attribute("stride", (1, 1))
    return height, width


def kernel_of(site: Site) -> Pair:
    """(height, width) of the taps."""
    shape = site.input(1).shape
    return (shape[1], shape[2]) if site.attribute("layout", "NHWC") == "NHWC" else (shape[2], shape[3])


def padding_of(site: Site) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) cut off the full result."""
    found: tuple[Pair, Pair] = site.attribute("padding", ((0, 0), (0, 0)))
    return found


def arguments_of(site: Site) -> dict[str, Any]:
    """The arguments of the layer that the attributes give."""
    (top, _), (left, _) = padding_of(site)
    return {
        "layout": site.attribute("layout", "NHWC"),
        "stride": stride_of(site),
        "dilation": site.attribute("dilation", (1, 1)),
        "groups": site.attribute("groups", 1),
        "before": (top, left),
        "size": tuple(site.attribute("output_size")),
    }


def filters_first(weights: NDArray[Any], layout: str, groups: int) -> NDArray[Any]:
    """(O, KH, KW, I / groups)."""
    if layout == "NHWC":
        return weights
    depth, each, *kernel = weights.shape
    turned = weights.reshape(groups, depth // groups, each, *kernel).transpose(0, 2, 3, 4, 1)
    return turned.reshape(groups * each, *kernel, depth // groups)


def _meeting(site: Site, kernel: Pair, axis: int) -> set[tuple[int, ...]]:
    """The sets of taps that meet in a line of the result, along height (0) or width (1)."""
    a = arguments_of(site)
    size, inputs = a["size"][axis], site.input(0).shape[AXES[a["layout"]][axis]]
    held = np.zeros((size, kernel[axis]), np.bool_)
    for tap in range(kernel[axis]):
        held[reach_of(tap, a["stride"][axis], a["dilation"][axis], a["before"][axis], size, inputs)[1], tap] = True
    return {tuple(np.flatnonzero(row).tolist()) for row in np.unique(held, axis=0)}


def tap_ranges(site: Site, weights: NDArray[np.int64], bias: NDArray[Any] | None) -> Accumulators:
    """weights (O, KH, KW, I), less their zero points; the extremes over the sets of taps that meet in a pixel."""
    fmt, zero = format_of(site, site.input(0)), zero_point_of(site, site.input(0))
    kernel = (weights.shape[1], weights.shape[2])
    found = [
        accumulator_ranges(weights[:, rows][:, :, columns], fmt.qmin - zero, fmt.qmax - zero, bias=bias, axis=0)
        for rows, columns in product(*(_meeting(site, kernel, axis) for axis in (0, 1)))
    ]
    low, high = np.min([f.lower for f in found], axis=0), np.max([f.upper for f in found], axis=0)
    return Accumulators(low.astype(np.int64), high.astype(np.int64))


def largest_sum(site: Site, weights: NDArray[np.int64], bias: NDArray[Any] | None) -> int:
    """A magnitude that no sum exceeds: every tap at once, each at the largest code."""
    fmt, zero = format_of(site, site.input(0)), zero_point_of(site, site.input(0))
    taps = weights.reshape(len(weights), -1)
    start = 0 if bias is None else int(np.abs(bias).max(initial=0))
    return taps.shape[1] * int(np.abs(taps).max()) * max(zero - fmt.qmin, fmt.qmax - zero) + start


def _pixels(at: int, kernel: int, stride: int, dilation: int, before: int, inputs: int) -> list[tuple[int, int]]:
    """(pixel, tap) that fall on a place of the result, along one line."""
    shifted = [(at + before - dilation * tap, tap) for tap in range(kernel)]
    return [(s // stride, tap) for s, tap in shifted if s % stride == 0 and 0 <= s // stride < inputs]


def _hull(places: Iterable[int]) -> slice:
    listed = list(places)
    return slice(min(listed), max(listed) + 1) if listed else slice(0, 0)


def _exact_scale(scales: Scales, channel: int) -> Fraction:
    weight = scales.weight[channel if scales.weight.size > 1 else 0]
    return Fraction(float(scales.input)) * Fraction(float(weight)) / Fraction(float(scales.output))


def transposed_element(
    site: Site, weights: NDArray[np.int64], scales: Scales, x: NDArray[Any], at: tuple[int, ...]
) -> Element:
    """weights (O, KH, KW, I), less their zero points."""
    a = arguments_of(site)
    layout, bias = a["layout"], site.optional(2)
    *lines, depth = AXES[layout]
    o, each = at[depth], weights.shape[3]
    rows, columns = (
        _pixels(at[axis], weights.shape[1 + k], a["stride"][k], a["dilation"][k], a["before"][k], x.shape[axis])
        for k, axis in enumerate(lines)
    )
    first = o // (weights.shape[0] // a["groups"]) * each
    pixels = x[at[0]] if layout == "NHWC" else x[at[0]].transpose(1, 2, 0)
    codes = pixels[..., first : first + each].astype(np.int64) - zero_point_of(site, site.input(0))
    total = 0 if bias is None else int(site.constant(2).ravel()[o])
    for (i, kh), (j, kw) in product(rows, columns):
        total += int(codes[i, j] @ weights[o, kh, kw])
    hulls = {lines[0]: _hull(i for i, _ in rows), lines[1]: _hull(j for j, _ in columns)}
    hulls |= {0: slice(at[0], at[0] + 1), depth: slice(first, first + each)}
    scale = _exact_scale(scales, o)
    words = f"{len(rows) * len(columns)} taps of {each} channels" + (", plus the bias" if bias is not None else "")
    value = total * scale + zero_point_of(site, site.outputs[0])
    return Element(((site.input(0).name, tuple(hulls[d] for d in range(4))),), total, scale, value, words=words)
