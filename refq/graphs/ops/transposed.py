"""transpose_conv in graphs: TFLite TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.product_sites import left_tags
from refq.graphs.ops.records import Arrays, Bound, Element, Op, Shapes
from refq.graphs.ops.transposed_places import (
    AXES,
    arguments_of,
    filters_first,
    kernel_of,
    largest_sum,
    padding_of,
    stride_of,
    tap_ranges,
    transposed_element,
)
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, quantization, scale_of, zero_point_of
from refq.layers.flat_vectors import FLAT_RULES, FLAT_VECTORS, merged_flat
from refq.layers.product_codes import Target, finisher
from refq.layers.product_rules import product_rules
from refq.layers.rescaling import Scales
from refq.layers.transposed import bind_transposed_conv


def _shapes(place: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    place, (x, weights) = f"transpose_conv {place}", inputs[:2]
    if x is None or weights is None or len(x.shape) != 4 or len(weights.shape) != 4:
        raise ValueError(f"{place}: input and weights have four dimensions each, in the layout NHWC or NCHW")
    layout, groups = attributes.get("layout", "NHWC"), attributes.get("groups", 1)
    if layout not in AXES:
        raise ValueError(f"{place}: layout={layout!r} is unknown; legal: {', '.join(AXES)}")
    last = layout == "NHWC"
    taken = weights.shape[3] * groups if last else weights.shape[0]
    if x.shape[AXES[layout][2]] != taken:
        raise ValueError(f"{place}: the input {x.shape} and weights {weights.shape} differ in the channels they take")
    filters = weights.shape[0] if last else weights.shape[1] * groups
    height, width = attributes["output_size"]
    return ((x.shape[0], height, width, filters) if last else (x.shape[0], filters, height, width),)


def _is_wide(site: Site) -> bool:
    """Sums of 64 bits: int16 codes whose bias has 64, or whose missing bias the file declares no type for."""
    bias = site.optional(2)
    declared = site.attribute("bias_type", "int64") if bias is None else bias.dtype
    return site.input(0).dtype == "int16" and declared == "int64"


def _rules(site: Site) -> tuple[str, ...]:
    wide, flat = _is_wide(site), site.input(0).dtype == "uint8"
    return product_rules(format_of(site, site.outputs[0]).bits, wide=wide, tail=not wide) + (FLAT_VECTORS,) * flat


def _is_same(site: Site) -> bool:
    """Whether the file says SAME; where that is not known, whether something is cut off, which VALID never does."""
    scheme = site.attribute("scheme", "")
    return bool(scheme == "same" or (not scheme and any(cut > 0 for ends in padding_of(site) for cut in ends)))


def _tags(site: Site) -> frozenset[str]:
    named = (
        ("per_channel", quantization(site, site.input(1)).scale.size > 1),
        ("int64_bias", _is_wide(site)),
        (
            "same_over_kernel",
            _is_same(site) and any(s > k for s, k in zip(stride_of(site), kernel_of(site), strict=True)),
        ),
    )
    return frozenset([site.input(0).dtype, *(tag for tag, holds in named if holds)]) | left_tags(site)


def _weight_zeros(site: Site, weights: Tensor, filters: int) -> NDArray[np.int64]:
    found = quantization(site, weights)
    axis = 0 if site.attribute("layout", "NHWC") == "NHWC" else 1
    if found.scale.size > 1 and (found.axis != axis or found.scale.size != filters):
        raise ValueError(
            f"transpose_conv {site.node.name}: {weights.name} has {found.scale.size} scales along axis {found.axis};"
            f" pass one, or one for each of the {filters} filters along axis {axis}"
        )
    return np.broadcast_to(found.zero_point.astype(np.int64), (filters,))


def _finisher(site: Site, target: Target) -> Callable[[NDArray[np.int64], str], NDArray[Any]]:
    """Sums and a rule -> codes; flat vectors start anew with each tensor of the declared size."""
    finish, size = finisher(target), prod(site.outputs[0].shape)

    def finish_any(acc: NDArray[np.int64], rule: str) -> NDArray[Any]:
        if rule != FLAT_VECTORS:
            return finish(acc, rule)
        ahead, behind = (finish(acc, part) for part in FLAT_RULES)
        return merged_flat(ahead, behind, size)

    return finish_any


def _bind(site: Site, rounding: Rounding) -> Bound:
    x, weights, bias, result = site.input(0), site.input(1), site.optional(2), site.outputs[0]
    a = arguments_of(site)
    first = filters_first(site.constant(1), a["layout"], a["groups"])
    zeros = _weight_zeros(site, weights, len(first))
    start = None if bias is None else site.constant(2).astype(np.int64)
    scales = Scales(scale_of(site, x), quantization(site, weights).scale, scale_of(site, result))
    centred = first.astype(np.int64) - zeros[:, None, None, None]
    most = largest_sum(site, centred, start)
    finish = _finisher(site, Target(
        f"transpose_conv {site.node.name}", scales.under, scales.output, zero_point_of(site, result),
        format_of(site, result), len(first), AXES[a["layout"]][2], site.attribute("activation", "none"), rounding,
        _is_wide(site), (-most, most),
    ))  # fmt: skip
    sums = bind_transposed_conv(
        site.constant(1), **a, input_format=x.dtype, weight_format=weights.dtype,
        input_zero_point=zero_point_of(site, x), weight_zero_point=zeros, bias=start,
    )  # fmt: skip

    def gather(arrays: Arrays) -> NDArray[np.int64]:
        assert arrays[0] is not None
        return sums(arrays[0])

    def element(arrays: Arrays, place: int, at: tuple[int, ...]) -> Element:
        assert arrays[0] is not None
        return transposed_element(site, centred, scales, arrays[0], at)

    return Bound(gather, lambda acc, rule: (finish(acc, rule),), element, lambda: tap_ranges(site, centred, start))


OPS = (
    Op(
        "transpose_conv",
        "transposed convolution: each input pixel spread over the kernel's taps, what meets added",
        _shapes,
        _bind,
        _rules,
        _tags,
        attributes={
            "layout": "NHWC with weights (O, KH, KW, I / groups), or NCHW with (I, O / groups, KH, KW)",
            "stride": "two numbers of at least 1",
            "dilation": "two numbers of at least 1; default 1",
            "padding": "((top, bottom), (left, right)) cut off the full result",
            "output_size": "(height, width)",
            "groups": "divides the channels; default 1",
            "activation": "none, relu, relu6, relu_n1_to_1",
            "scheme": "what the file says instead of numbers: same, valid, or empty (default) where it is not known",
            "scale_axis": "weights of one scale: the dimension that the file names beside it; default 0",
            "bias_type": "int16 without bias: the type that the file declares for it, int32 or int64 (default)",
        },
    ),
)
