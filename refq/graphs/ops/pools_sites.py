"""What describes a pool or a mean in a graph: its windows or axes, its result shape, rules and variants."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from refq.graphs.ops.elementwise_sites import affine_of, check_ratio
from refq.graphs.ops.records import Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.elementwise import Affine
from refq.layers.pools import Windows, output_shape
from refq.layers.pools_float import WINDOWED
from refq.layers.pools_means import X86, mean_rules

LAYOUTS = {"NHWC": (1, 2), "NCHW": (2, 3), "NWC": (1,), "NCW": (2,), "NDHWC": (1, 2, 3), "NCDHW": (2, 3, 4)}
"""The spatial dimensions of each layout."""

_POOLS = ("raw:", "tosa:reciprocal", "mlas_global", "exact:")
"""The rules of means that an average pool can follow."""

WINDOW_ATTRIBUTES = {
    "layout": f"order of dimensions: {', '.join(LAYOUTS)}",
    "kernel": "size of the window, one number a spatial dimension",
    "stride": "step of the window; default 1",
    "padding": "(before, after) a spatial dimension; default 0",
    "dilation": "distance of the elements of a window; default 1",
    "activation": "fused: none, relu, relu6, relu_n1_to_1",
}
AVERAGE_ATTRIBUTES = {**WINDOW_ATTRIBUTES, "count_include_pad": "divide by the whole window, True or False"}
MEAN_ATTRIBUTES = {
    "axes": "the dimensions averaged over; negative ones count from the end",
    "keep_dims": "whether they stay, with size 1",
}


def _one(op: str, name: str, inputs: tuple[Tensor | None, ...]) -> Tensor:
    if len(inputs) != 1 or inputs[0] is None:
        raise ValueError(f"{op} {name}: inputs={len(inputs)}; pass one tensor")
    return inputs[0]


def _layout(op: str, name: str, attributes: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    layout = attributes.get("layout", "NHWC")
    if layout not in LAYOUTS:
        raise ValueError(f"{op} {name}: layout={layout!r} is unknown; legal: {', '.join(LAYOUTS)}")
    if len(layout) != len(shape):
        raise ValueError(f"{op} {name}: layout={layout} does not fit an input of shape {shape}")
    return LAYOUTS[layout]


def _numbers(op: str, name: str, what: str, values: Any, count: int, least: int) -> tuple[int, ...]:
    found = tuple(int(v) for v in values)
    if len(found) != count or min(found, default=least) < least or max(found, default=0) >= 1 << 31:
        raise ValueError(f"{op} {name}: {what}={found}; pass {count} numbers from {least}")
    return found


def windows_of(op: str, name: str, attributes: Mapping[str, Any], shape: tuple[int, ...]) -> Windows:
    """The windows that the attributes of a pool describe."""
    axes = _layout(op, name, attributes, shape)
    if op == "global_average_pool":
        size = tuple(max(shape[axis], 1) for axis in axes)
        return Windows(axes, size, (1,) * len(axes), ((0, 0),) * len(axes), (1,) * len(axes))
    kernel, stride, dilation = (
        _numbers(op, name, what, attributes.get(what, (1,) * len(axes)), len(axes), 1)
        for what in ("kernel", "stride", "dilation")
    )
    padding = attributes.get("padding", ((0, 0),) * len(axes))
    pairs = tuple(_numbers(op, name, "padding", pair, 2, 0) for pair in padding)
    if len(pairs) != len(axes):
        raise ValueError(f"{op} {name}: padding={padding}; pass {len(axes)} pairs")
    return Windows(axes, kernel, stride, tuple((p[0], p[1]) for p in pairs), dilation)


def window_shapes(op: str, name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """The shape of a pool's result."""
    shape = _one(op, name, inputs).shape
    try:
        return (output_shape(shape, windows_of(op, name, attributes, shape)),)
    except ValueError as error:
        raise ValueError(f"{op} {name}: {str(error).removeprefix(f'{op} {name}: ')}") from None


def axes_of(name: str, attributes: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions a mean goes over, from 0, each once, in order."""
    axes = [int(a) for a in attributes.get("axes", ())]
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"mean {name}: axes={tuple(axes)} leave the {len(shape)} dimensions of {shape}")
    if not axes:
        raise ValueError(f"mean {name}: axes=() is empty; pass the dimensions to average over")
    return tuple(sorted({axis % len(shape) for axis in axes}))


def mean_shapes(name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """The shape of a mean."""
    shape = _one("mean", name, inputs).shape
    axes = axes_of(name, attributes, shape)
    if attributes.get("keep_dims", False):
        return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
    return (tuple(size for i, size in enumerate(shape) if i not in axes),)


def parts_of(site: Site) -> tuple[Affine, Affine]:
    """Input and output of a site of averages."""
    source, output = affine_of(site, site.input(0)), affine_of(site, site.outputs[0])
    if source.fmt != output.fmt:
        raise ValueError(
            f"{site.node.op} {site.node.name}: dtypes {source.fmt.name} and {output.fmt.name} differ; pass one kind"
        )
    check_ratio(site, Fraction(float(source.scale)) / Fraction(float(output.scale)))
    return source, output


def windows_at(site: Site, shape: tuple[int, ...]) -> Windows:
    """The windows of a site on an input of some shape."""
    return windows_of(site.node.op, site.node.name, site.node.attributes, shape)


def _in_vectors(site: Site) -> bool:
    """Whether TFLite's optimized mean over height and width takes the site."""
    shape = site.input(0).shape
    axes = axes_of(site.node.name, site.node.attributes, shape)
    kept = bool(site.attribute("keep_dims", False))
    return kept and len(shape) == 4 and axes == (1, 2) and site.input(0).dtype in ("int8", "uint8")


def rules(site: Site) -> tuple[str, ...]:
    """The rules a site can follow: those that are defined for its scales."""
    found = mean_rules(*parts_of(site))
    if site.node.op == "mean":
        return (*found, X86) if _in_vectors(site) and "tflite:gemmlowp_double" in found else found
    if site.node.op == "global_average_pool":
        return found
    return (*(name for name in found if name.startswith(_POOLS)), *WINDOWED)


def tags(site: Site) -> frozenset[str]:
    """dtype; "vectors" for TFLite's optimized mean over height and width; "xnnpack" for 8 bits."""
    dtype = site.input(0).dtype
    found = {dtype: True, "xnnpack": dtype in ("int8", "uint8")}
    found["vectors"] = site.node.op == "mean" and _in_vectors(site)
    return frozenset(name for name, holds in found.items() if holds)


def batched(site: Site) -> bool:
    """Whether a mean leaves the samples apart."""
    shape = site.input(0).shape
    return bool(shape) and 0 not in axes_of(site.node.name, site.node.attributes, shape)
