"""The arithmetic of one element of a layer of products: its receptive field, its sum, its exact value."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.product_sites import ElementOf, Layer
from refq.graphs.ops.records import Arrays, Element
from refq.graphs.sites import Site, zero_point_of
from refq.layers.products import CHANNELS
from refq.products.geometry import Line, geometry

Field = tuple[tuple[slice, ...], tuple[slice, ...]]


def _pick(values: Any, at: int) -> int:
    """The value of a filter, where there is one for all or one each."""
    found = np.asarray(values).ravel()
    return int(found[at if found.size > 1 else 0])


def _element(site: Site, layer: Layer, x: NDArray[Any], w: NDArray[Any], filter: int, where: Field) -> Element:
    """x, w: the codes that meet, of one shape; where: their places in the stored tensors."""
    left = x.astype(np.int64).ravel() - layer.input_zero_point
    right = w.astype(np.int64).ravel() - _pick(layer.weight_zero_point, filter)
    start = 0 if layer.bias is None else int(layer.bias[filter])
    acc = start + int((left * right).sum())
    scales = layer.scales
    factors = (scales.input, scales.weight[filter if scales.weight.size > 1 else 0])
    scale = Fraction(float(factors[0])) * Fraction(float(factors[1])) / Fraction(float(scales.output))
    fields = [(tensor.name, place) for tensor, place in zip(site.inputs[:2], where, strict=True) if tensor is not None]
    bias = site.optional(2)
    fields += [] if bias is None else [(bias.name, (slice(filter, filter + 1),))]
    words = f"{left.size} products of (x - {layer.input_zero_point}) and (w - {_pick(layer.weight_zero_point, filter)})"
    words += "" if layer.bias is None else f", bias {start}"
    return Element(tuple(fields), acc, scale, acc * scale + zero_point_of(site, site.outputs[0]), words=words)


def _taps(line: Line, at: int) -> tuple[slice, slice]:
    """The input positions that output `at` sees, and the taps that see them."""
    first = at * line.stride - line.before
    skipped = max(-(first // line.dilation), 0) if first < 0 else 0
    inside = [t for t in range(skipped, line.kernel) if 0 <= first + t * line.dilation < line.size]
    if not inside:
        return slice(0, 0), slice(0, 0)
    start, stop = first + inside[0] * line.dilation, first + inside[-1] * line.dilation + 1
    return slice(start, stop, line.dilation), slice(inside[0], inside[-1] + 1)


def _pixel(index: tuple[int, ...], axis: int) -> tuple[int, list[int], int]:
    """(image, place, filter) of an index of the result."""
    image, rest = index[0], list(index[1:])
    return image, rest[1:] if axis == 1 else rest[:-1], rest[0] if axis == 1 else rest[-1]


def conv_element(site: Site, layer: Layer, shape: dict[str, Any]) -> ElementOf:
    """A function of inputs, place and index; for depthwise_conv the weights stand as they are stored."""
    axis, depthwise = CHANNELS[shape["layout"]], site.node.op == "depthwise_conv"

    def element(inputs: Arrays, place: int, index: tuple[int, ...]) -> Element:
        x = inputs[0]
        assert x is not None, "the input of a convolution"
        g = geometry(x.shape, layer.weights.shape, **shape)
        image, at, filter = _pixel(index, axis)
        lines = (g.height, g.width)[-len(at) :]
        seen = [_taps(line, p) for line, p in zip(lines, at, strict=True)]
        depth, each = g.channels // g.groups, g.filters // g.groups
        channels = slice(filter // each * depth, filter // each * depth + depth)
        places, taps = [s[0] for s in seen], [s[1] for s in seen]
        one, whole = slice(filter, filter + 1), slice(0, depth)
        left = (channels, *places) if axis == 1 else (*places, channels)
        right = (whole, *taps) if axis == 1 else (*taps, whole)
        where = (slice(image, image + 1), *left), ((slice(0, 1), *taps, one) if depthwise else (one, *right))
        return _element(site, layer, x[where[0]], layer.weights[(one, *right)], filter, where)

    return element


def connected_element(site: Site, layer: Layer) -> ElementOf:
    """A function of inputs, place and index."""
    depth = layer.weights.shape[1]

    def element(inputs: Arrays, place: int, index: tuple[int, ...]) -> Element:
        x = inputs[0]
        assert x is not None, "the input of a fully connected layer"
        rows, filter = x.reshape(-1, depth), index[-1]
        row = int(np.ravel_multi_index(index[:-1], x.shape[:-1])) if len(index) > 2 else index[0]
        where = _row_of(x.shape, row, depth), (slice(filter, filter + 1), slice(0, depth))
        return _element(site, layer, rows[row], layer.weights[filter], filter, where)

    return element


def _row_of(shape: tuple[int, ...], row: int, depth: int) -> tuple[slice, ...]:
    """Where a row of `depth` codes lies in x: the smallest box around it."""
    ends = (np.unravel_index(i, shape) for i in (row * depth, row * depth + depth - 1))
    first, last = ([int(i) for i in end] for end in ends)
    level = next((d for d in range(len(shape)) if first[d] != last[d]), len(shape))
    box = [slice(a, b + 1) for a, b in zip(first, last, strict=True)]
    return tuple(box[: level + 1]) + tuple(slice(0, n) for n in shape[level + 1 :])
