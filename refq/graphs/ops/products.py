"""conv, depthwise_conv and fully_connected: the layers that multiply an activation by stored weights."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.product_sites import Layer, bound, layer_of, layer_rules, layer_tags
from refq.graphs.ops.products_elements import connected_element, conv_element
from refq.graphs.ops.products_shapes import connected_shapes, conv_shapes, depthwise_shapes
from refq.graphs.ops.records import Arrays, Bound, Op
from refq.graphs.sites import Site
from refq.layers.products import CHANNELS, depthwise_weights, fully_connected_sums
from refq.products.conv import conv

GEOMETRY = {
    "stride": "(h, w), each >= 1",
    "dilation": "(h, w), each >= 1",
    "padding": "((top, bottom), (left, right)), numbers >= 0; a padded position adds 0",
}
ACTIVATION = {"activation": "none, relu, relu6 or relu_n1_to_1"}
OF_THE_FILE = {
    "bias_type": "int16 without bias: the type that the file declares for it, int32 or int64, or empty (default)",
    "scale_axis": "weights of one scale: the dimension that the file names beside it; default 0",
}
"""What changes no result but tells runtimes' kernels apart."""


def geometry_of(site: Site, groups: int) -> dict[str, Any]:
    """The arguments of `refq.conv` that say where the kernel goes."""
    found = {name: site.attribute(name) for name in ("stride", "dilation", "padding")}
    given = {name: value for name, value in found.items() if value is not None}
    return {"layout": site.attribute("layout", "NHWC"), "groups": groups} | given


def _bind_conv(site: Site, rounding: Rounding, layer: Layer, geometry: dict[str, Any]) -> Bound:
    """conv and depthwise_conv, the latter as many groups of one channel."""
    arguments = geometry | {
        "input_zero_point": layer.input_zero_point,
        "weight_zero_point": layer.weight_zero_point,
        "bias": layer.bias,
    }

    def gather(inputs: Arrays) -> NDArray[Any]:
        acc: NDArray[Any] = conv(inputs[0], layer.weights, **arguments)
        return acc

    return bound(site, rounding, layer, CHANNELS[geometry["layout"]], gather, conv_element(site, layer, geometry))


def bind_conv(site: Site, rounding: Rounding) -> Bound:
    """A convolution ready to run."""
    layer = layer_of(site, 0)
    return _bind_conv(site, rounding, layer, geometry_of(site, int(site.attribute("groups", 1))))


def bind_depthwise(site: Site, rounding: Rounding) -> Bound:
    """A depthwise convolution ready to run: filter c m + j sees channel c."""
    layer = layer_of(site, 3, depthwise_weights)
    multiplier = int(site.attribute("multiplier", 1))
    return _bind_conv(site, rounding, layer, geometry_of(site, layer.weights.shape[0] // multiplier))


def bind_connected(site: Site, rounding: Rounding) -> Bound:
    """A fully connected layer ready to run; its sums are rows of outputs, whatever the shape of x."""
    layer = layer_of(site, 0)
    sums = fully_connected_sums(layer.weights, layer.bias, layer.input_zero_point, layer.weight_zero_point)
    keep, outputs = bool(site.attribute("keep_dims", False)), layer.weights.shape[0]

    def gather(inputs: Arrays) -> NDArray[Any]:
        x = inputs[0]
        assert x is not None, "the input of a fully connected layer"
        acc: NDArray[Any] = sums(x)
        return acc.reshape(*x.shape[:-1], outputs) if keep else acc

    return bound(site, rounding, layer, -1, gather, connected_element(site, layer))


def _op(name: str, what: str, shapes: Any, bind: Any, attributes: dict[str, str]) -> Op:
    return Op(name, what, shapes, bind, layer_rules, layer_tags, attributes=attributes | OF_THE_FILE)


OPS: tuple[Op, ...] = (
    _op(
        "conv",
        "convolution of x with weights, plus a bias",
        conv_shapes,
        bind_conv,
        {"layout": "NHWC with weights OHWI, NCHW with weights OIHW, NWC, NCW"} | GEOMETRY
        | {"groups": "divides the channels and the filters"} | ACTIVATION,
    ),
    _op(
        "depthwise_conv",
        "convolution of every channel by itself",
        depthwise_shapes,
        bind_depthwise,
        {"layout": "NHWC with weights (1, KH, KW, C * multiplier)"} | GEOMETRY
        | {"multiplier": "filters a channel"} | ACTIVATION,
    ),
    _op(
        "fully_connected",
        "rows of x times weights (O, I), plus a bias",
        connected_shapes,
        bind_connected,
        ACTIVATION | {"keep_dims": "whether the result keeps the leading dimensions of x"},
    ),
)  # fmt: skip
"""The ops of this family."""
