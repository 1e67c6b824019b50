"""conv_integer and matmul_integer in graphs: ONNX ConvInteger and MatMulInteger, whose results are int32 sums."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import in_range
from refq.formats import INT32, Overflow, Rounding
from refq.graphs.ops.matrix_products import batched, dtype_tags, element_of, given, line_zeros, product_shapes, sums_of
from refq.graphs.ops.matrix_products import ranges_of as matrix_ranges
from refq.graphs.ops.records import Accumulators, Arrays, Bound, Element, Op, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, zero_point_of
from refq.products.conv import conv
from refq.products.ranges import accumulator_ranges
from refq.rounding import narrow

WRAP, REFUSE = "wrap32", "exact"
"""The low 32 bits of the sum; or the sum itself, refused where it is none of int32."""


def _rules(site: Site) -> tuple[str, ...]:
    return WRAP, REFUSE


def _finish(site: Site, sums: NDArray[np.int64], rule: str) -> tuple[NDArray[np.int32]]:
    if rule == REFUSE:
        in_range(
            f"{site.node.op} {site.node.name}", "sum", sums, INT32.qmin, INT32.qmax, f"; {WRAP} keeps its low 32 bits"
        )
    elif rule != WRAP:
        raise ValueError(f"{site.node.op} {site.node.name}: rule={rule!r} is unknown; legal: {WRAP}, {REFUSE}")
    return (narrow(sums, INT32, Overflow.WRAP),)


def _check_result(site: Site) -> None:
    if site.outputs[0].dtype != "int32":
        raise ValueError(
            f"{site.node.op} {site.node.name}: {site.outputs[0].name} is {site.outputs[0].dtype}; the result is int32"
        )


def _bind_matmul(site: Site, rounding: Rounding) -> Bound:
    _check_result(site)

    def element(arrays: Arrays, place: int, at: tuple[int, ...]) -> Element:
        return element_of(site, None, arrays, at)

    return Bound(sums_of(site), lambda sums, rule: _finish(site, sums, rule), element, matrix_ranges(site))


def _conv_attributes(site: Site) -> dict[str, Any]:
    layout = site.attribute("layout", "NCHW")
    lines = len(layout) - 2
    return {
        "layout": layout,
        "stride": site.attribute("stride", (1,) * lines),
        "dilation": site.attribute("dilation", (1,) * lines),
        "padding": site.attribute("padding", ((0, 0),) * lines),
        "groups": site.attribute("groups", 1),
    }


def _conv_shapes(name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    x, weights = inputs[:2]
    layout = attributes.get("layout", "NCHW")
    if layout not in ("NCHW", "NCW"):
        raise ValueError(f"conv_integer {name}: layout={layout!r} is unknown; legal: NCHW, NCW")
    if x is None or weights is None or len(x.shape) != len(layout) or len(weights.shape) != len(layout):
        raise ValueError(f"conv_integer {name}: input and weights have {len(layout)} dimensions each in {layout}")
    lines, groups = len(layout) - 2, attributes.get("groups", 1)
    if groups < 1 or x.shape[1] != weights.shape[1] * groups or weights.shape[0] % groups:
        raise ValueError(f"conv_integer {name}: input {x.shape} and weights {weights.shape} do not fit {groups} groups")
    stride, dilation = (attributes.get(word, (1,) * lines) for word in ("stride", "dilation"))
    padding = attributes.get("padding", ((0, 0),) * lines)
    sizes = zip(x.shape[2:], weights.shape[2:], stride, dilation, padding, strict=True)
    out = tuple(max(0, (n + sum(p) - d * (k - 1) - 1) // s + 1) for n, k, s, d, p in sizes)
    return ((x.shape[0], weights.shape[0], *out),)


def _conv_element(site: Site, arrays: Arrays, at: tuple[int, ...]) -> Element:
    x, weights = given(arrays[0]), given(arrays[1])
    a, zeros = _conv_attributes(site), np.broadcast_to(_filter_zeros(site), weights.shape[:1])
    image, o, *start = at
    each = weights.shape[1]
    first = o // (len(weights) // a["groups"]) * each
    kernel, total = weights.shape[2:], 0
    origins = [p * s - b for p, s, (b, _) in zip(start, a["stride"], a["padding"], strict=True)]
    codes = x[image, first : first + each].astype(np.int64) - _input_zero(site)
    taps = weights[o].astype(np.int64) - zeros[o]
    for tap in product(*map(range, kernel)):
        place = [origin + d * t for origin, d, t in zip(origins, a["dilation"], tap, strict=True)]
        if all(0 <= i < n for i, n in zip(place, x.shape[2:], strict=True)):
            total += int(codes[(slice(None), *place)] @ taps[(slice(None), *tap)])
    ends = zip(origins, a["dilation"], kernel, x.shape[2:], strict=True)
    field = [slice(min(max(f, 0), n), min(max(f + d * (k - 1) + 1, 0), n)) for f, d, k, n in ends]
    places = (slice(image, image + 1), slice(first, first + each), *field)
    words = f"{taps.size} products, padded ones 0"
    return Element(((site.input(0).name, places),), total, Fraction(1), Fraction(total), words=words)


def _input_zero(site: Site) -> int:
    return 0 if site.input(0).quantization is None else zero_point_of(site, site.input(0))


def _filter_zeros(site: Site) -> NDArray[np.int64]:
    """One zero point, or one a filter."""
    return line_zeros(site, site.input(1), -len(site.input(1).shape))


def _conv_ranges(site: Site) -> Accumulators:
    """Over all codes of the input; a padded tap adds 0, which lies between."""
    zeros = np.broadcast_to(_filter_zeros(site), site.input(1).shape[:1])
    weights = site.constant(1).astype(np.int64) - zeros.reshape(-1, *(1,) * (site.constant(1).ndim - 1))
    fmt, zero = format_of(site, site.input(0)), _input_zero(site)
    found = accumulator_ranges(weights, fmt.qmin - zero, fmt.qmax - zero, axis=0)
    return Accumulators(found.lower.astype(np.int64), found.upper.astype(np.int64))


def _bind_conv(site: Site, rounding: Rounding) -> Bound:
    _check_result(site)
    x, weights, a, zeros = site.input(0), site.input(1), _conv_attributes(site), _filter_zeros(site)
    for tensor in (x, weights):
        format_of(site, tensor)

    def gather(arrays: Arrays) -> NDArray[np.int64]:
        sums: NDArray[np.int64] = conv(
            arrays[0], arrays[1], **a, input_zero_point=_input_zero(site), weight_zero_point=zeros,
            input_format=x.dtype, weight_format=weights.dtype,
        )  # fmt: skip
        return sums

    def element(arrays: Arrays, place: int, at: tuple[int, ...]) -> Element:
        return _conv_element(site, arrays, at)

    ranges = None if weights.data is None else partial(_conv_ranges, site)
    return Bound(gather, lambda sums, rule: _finish(site, sums, rule), element, ranges)


OPS = (
    Op(
        "conv_integer",
        "convolution whose result is the int32 sums",
        _conv_shapes,
        _bind_conv,
        _rules,
        dtype_tags,
        attributes={
            "layout": "NCHW with weights (O, I / groups, KH, KW), or NCW with (O, I / groups, KW)",
            "stride": "a number a line, at least 1",
            "dilation": "a number a line, at least 1",
            "padding": "((before, after) a line), numbers",
            "groups": "divides the channels; default 1",
        },
    ),
    Op(
        "matmul_integer",
        "product of matrices in batches whose result is the int32 sums",
        partial(product_shapes, "matmul_integer"),
        _bind_matmul,
        _rules,
        dtype_tags,
        batched,
    ),
)
