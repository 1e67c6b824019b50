"""The shapes that layers of products make of the shapes they read."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from refq.graphs.ops.records import Shapes
from refq.graphs.records import Tensor
from refq.layers.products import CHANNELS
from refq.products.geometry import Geometry, geometry

Tensors = tuple[Tensor | None, ...]


def _pair(op: str, node: str, inputs: Tensors) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of x and of the weights."""
    if len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        raise ValueError(f"{op} {node}: {len(inputs)} inputs; pass x, weights and, if there is one, a bias")
    return inputs[0].shape, inputs[1].shape


def _geometry(
    op: str, node: str, attributes: Mapping[str, Any], x: tuple[int, ...], w: tuple[int, ...], groups: int
) -> Geometry:
    """The record of the convolution; errors name op and node."""
    layout = attributes.get("layout", "NHWC")
    stride, padding, dilation = (attributes.get(n, d) for n, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
    try:
        return geometry(x, w, layout, stride=stride, padding=padding, dilation=dilation, groups=groups)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{op} {node}: {str(error).removeprefix('conv: ')}") from None


def conv_shapes(node: str, attributes: Mapping[str, Any], inputs: Tensors) -> Shapes:
    """(N, H, W, O), or with the channels where the layout has them.

    >>> x, w = Tensor("x", (1, 5, 6, 8), "int8"), Tensor("w", (16, 3, 3, 8), "int8")
    >>> conv_shapes("stem", {"padding": ((1, 1), (1, 1)), "stride": (2, 2)}, (x, w))
    ((1, 3, 3, 16),)
    """
    x, w = _pair("conv", node, inputs)
    g = _geometry("conv", node, attributes, x, w, attributes.get("groups", 1))
    lines = (g.height.out, g.width.out)[-(len(x) - 2) :]
    last = CHANNELS[attributes.get("layout", "NHWC")] == -1
    return ((g.batch, *lines, g.filters) if last else (g.batch, g.filters, *lines),)


def depthwise_shapes(node: str, attributes: Mapping[str, Any], inputs: Tensors) -> Shapes:
    """(N, H, W, C * multiplier).

    >>> x, w = Tensor("x", (1, 5, 6, 8), "int8"), Tensor("w", (1, 3, 3, 16), "int8")
    >>> depthwise_shapes("dw", {"multiplier": 2}, (x, w))
    ((1, 3, 4, 16),)
    """
    x, w = _pair("depthwise_conv", node, inputs)
    multiplier = attributes.get("multiplier", 1)
    if len(x) != 4 or len(w) != 4 or w[0] != 1 or w[3] != x[3] * multiplier:
        raise ValueError(
            f"depthwise_conv {node}: x has shape {x}, weights {w}, multiplier={multiplier}; pass weights "
            f"(1, KH, KW, channels * multiplier)"
        )
    turned = (w[3], w[1], w[2], 1)
    g = _geometry("depthwise_conv", node, attributes | {"layout": "NHWC"}, x, turned, x[3])  # type: ignore[operator]
    return ((g.batch, g.height.out, g.width.out, g.filters),)


def connected_shapes(node: str, attributes: Mapping[str, Any], inputs: Tensors) -> Shapes:
    """(rows, O), or the leading dimensions of x and O.

    >>> x, w = Tensor("x", (2, 4, 5), "int8"), Tensor("w", (3, 10), "int8")
    >>> connected_shapes("dense", {}, (x, w))
    ((4, 3),)
    """
    x, w = _pair("fully_connected", node, inputs)
    if len(w) != 2 or w[1] < 1 or prod(x) % w[1]:
        raise ValueError(f"fully_connected {node}: x has shape {x}, weights {w}; pass weights (O, I), x in rows of I")
    if not attributes.get("keep_dims", False):
        return ((prod(x) // w[1], w[0]),)
    if not x or x[-1] != w[1]:
        raise ValueError(f"fully_connected {node}: x has shape {x}, keep_dims asks for a last dimension of {w[1]}")
    return ((*x[:-1], w[0]),)
