"""What layers of products with stored weights have in common: their parameters, their rules, their finish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.records import Accumulators, Arrays, Bound, Element
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, quantization, scale_of, zero_point_of
from refq.layers.product_codes import Target, finisher
from refq.layers.product_rules import product_rules
from refq.layers.products import one_each, sums_reach
from refq.layers.rescaling import ACTIVATIONS, Scales
from refq.products.ranges import accumulator_ranges

ElementOf = Callable[[Arrays, int, tuple[int, ...]], Element]


@dataclass(frozen=True, eq=False)
class Layer:
    """The constants of a layer: weights with the filters first; bias int64 (filters,) or None."""

    weights: NDArray[Any]
    bias: NDArray[Any] | None
    input_zero_point: int
    weight_zero_point: Any
    scales: Scales


def _as_it_is(weights: NDArray[Any]) -> NDArray[Any]:
    return weights


def layer_of(site: Site, axis: int, turned: Callable[[NDArray[Any]], NDArray[Any]] = _as_it_is) -> Layer:
    """The checked constants; axis: the dimension of the stored weights that may have a scale each.

    turned: stored weights -> weights with the filters first.
    """
    x, w = site.input(0), site.input(1)
    weights = turned(site.constant(1))
    given = quantization(site, w)
    _check_channels(site, w, axis, weights.shape[0])
    scales = Scales(scale_of(site, x), given.scale, scale_of(site, site.outputs[0]))
    return Layer(weights, _bias(site, weights.shape[0]), zero_point_of(site, x), one_each(given.zero_point), scales)


def _check_channels(site: Site, w: Tensor, axis: int, filters: int) -> None:
    """One scale for all, or one a filter along the axis in which the filters run."""
    given = quantization(site, w)
    if given.scale.size not in (1, filters):
        raise ValueError(
            f"{site.node.op} {site.node.name}: {w.name} has {given.scale.size} scales for {filters} filters; "
            f"pass one, or one a filter"
        )
    if given.scale.size > 1 and given.axis != axis:
        raise ValueError(
            f"{site.node.op} {site.node.name}: {w.name} has its scales along axis={given.axis}; its filters run "
            f"along {axis}"
        )


def _bias(site: Site, filters: int) -> NDArray[Any] | None:
    if site.optional(2) is None:
        return None
    bias = site.constant(2)
    if bias.dtype not in (np.int32, np.int64):
        raise TypeError(f"{site.node.op} {site.node.name}: bias is {bias.dtype}; pass int32 or int64")
    if bias.size != filters:
        raise ValueError(f"{site.node.op} {site.node.name}: bias has {bias.size} values; pass one a filter, {filters}")
    return bias.reshape(-1).astype(np.int64)


def is_wide(site: Site) -> bool:
    """Whether the sums have 64 bits: int16 codes with an int64 bias, or with none."""
    return site.input(0).dtype == "int16" and bias_type(site) in ("", "int64")


def bias_type(site: Site) -> str:
    """The type of the bias, or where it is absent the one that the model declares for it; "" if there is none."""
    bias = site.optional(2)
    return str(site.attribute("bias_type", "")) if bias is None else bias.dtype


def left_tags(site: Site) -> frozenset[str]:
    """Why a delegate leaves a layer of a .tflite file alone.

    bias_without_scale: its bias is there and has no scale. scale_axis: its weights have one scale, beside which the
    file names another dimension than the first.
    """
    bias = site.optional(2)
    unscaled = site.format == "tflite" and bias is not None and bias.quantization is None
    found = {"bias_without_scale": unscaled, "scale_axis": site.attribute("scale_axis", 0) != 0}
    return frozenset(tag for tag, holds in found.items() if holds)


def layer_rules(site: Site) -> tuple[str, ...]:
    """The rules to try."""
    bits = format_of(site, site.outputs[0]).bits
    return product_rules(bits, wide=is_wide(site), tail=site.node.op == "depthwise_conv")


def layer_tags(site: Site) -> frozenset[str]:
    """The variants that runtimes treat apart.

    The dtype of x; per_channel; groups, more than one; int4, of the weights; odd_depth, of int4 weights; int64_bias and
    int32_bias, of an absent bias its declared type; weight_zero_point, one that is not 0; those of `left_tags`.
    """
    x, w = site.input(0), site.input(1)
    given = quantization(site, w)
    found = {
        x.dtype: True,
        "per_channel": given.scale.size > 1,
        "groups": int(site.attribute("groups", 1)) > 1,
        "int4": w.dtype == "int4",
        "odd_depth": w.dtype == "int4" and w.shape[-1] % 2 == 1,
        "int64_bias": bias_type(site) == "int64",
        "int32_bias": bias_type(site) == "int32",
        "weight_zero_point": bool(given.zero_point.any()),
    }
    return frozenset(tag for tag, holds in found.items() if holds) | left_tags(site)


def bound(
    site: Site, rounding: Rounding, layer: Layer, axis: int, gather: Callable[[Arrays], Any], element: ElementOf
) -> Bound:
    """The layer ready to run: gather makes the sums, channels along `axis`; the finish binds a rule once."""
    x, y = site.input(0), site.outputs[0]
    where, activation = f"{site.node.op} {site.node.name}", site.attribute("activation", "none")
    if activation not in ACTIVATIONS:
        raise ValueError(f"{where}: activation={activation!r} is unknown; legal: {', '.join(ACTIVATIONS)}")
    fmt, zero_point = format_of(site, x), layer.input_zero_point
    finish = finisher(
        Target(
            where, layer.scales.under, layer.scales.output, zero_point_of(site, y), format_of(site, y),
            layer.weights.shape[0], axis, activation, rounding, is_wide(site),
            sums_reach(layer.weights, layer.weight_zero_point, zero_point, fmt, layer.bias),
        )
    )  # fmt: skip

    def ranges() -> Accumulators:
        zeros = np.asarray(layer.weight_zero_point, np.int64).reshape(-1, *(1,) * (layer.weights.ndim - 1))
        found = accumulator_ranges(
            layer.weights.astype(np.int64) - zeros,
            fmt.qmin - zero_point,
            fmt.qmax - zero_point,
            bias=layer.bias,
            axis=0,
        )
        return Accumulators(found.lower, found.upper)

    return Bound(gather, lambda acc, rule: (finish(acc, rule),), element, ranges)
