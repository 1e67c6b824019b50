"""Graph ops: float32 averages and maxima of windows and whole images."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.floats_sites import (
    WINDOW_ATTRIBUTES,
    as_images,
    bind_float,
    check_window,
    exact,
    flat_layout,
    given,
    image_size,
    names_of,
    needed,
    reads_of,
    window_of,
)
from refq.graphs.ops.records import Arrays, Bound, Element, Op, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.floats_conv import Pair, Window
from refq.layers.floats_pools import (
    float_average_pool,
    float_global_average_pool,
    float_max_pool,
    float_mean,
    window_counts,
)

Attributes = Mapping[str, Any]
Inputs = tuple[Tensor | None, ...]
AVERAGE_POOL = ("float32_sequential", "mlas_pool", "float32_reciprocal", "float64", "exact", "numpy")
GLOBAL_POOL = ("mlas_pool", "float32_sequential", "float32_reciprocal", "float64", "exact", "numpy")
MEAN = ("onnxruntime_reduce", "float32_sequential", "float32_reciprocal", "float64", "exact", "numpy")
POOL_WIDTH = 2045
"""Widest padded row that MLAS sums column by column."""


def _kernel(attributes: Attributes) -> Pair:
    kernel = tuple(int(k) for k in attributes["kernel"])
    return (1, kernel[-1]) if flat_layout(attributes) else (kernel[0], kernel[1])


def _moving(site: Site) -> tuple[bool, Window, Pair]:
    attributes = site.node.attributes
    return flat_layout(attributes), window_of(attributes), _kernel(attributes)


def _pool_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    x = needed(name, inputs, 0).shape
    if "kernel" not in attributes:
        raise ValueError(f"node {name}: attribute kernel is missing")
    window, flat = check_window(name, attributes, len(x)), flat_layout(attributes)
    rows, columns = window.places(image_size(x, flat), _kernel(attributes))
    if min(rows, columns, *_kernel(attributes)) < 1:
        raise ValueError(f"node {name}: kernel={attributes['kernel']} does not fit the padded image of {x}")
    return ((*x[:2], columns) if flat else (*x[:2], rows, columns),)


def pool_order(rule: str, flat: bool, image: Pair, kernel: Pair, window: Window) -> str:
    """ "mlas_pool" stands for one of three orders, by shape. Source: onnxruntime core/mlas/lib/pooling.cpp."""
    if rule != "mlas_pool":
        return rule
    whole = kernel == image and window == Window()
    columns = not flat and window.stride[1] <= 2 and max(kernel) <= 32
    narrow = image[1] + sum(window.padding[1]) <= POOL_WIDTH
    return "mlas_lanes4" if whole else "mlas_rows_first" if columns and narrow else "float32_sequential"


def _bind_average(site: Site, bounds: Rounding) -> Bound:
    flat, window, kernel = _moving(site)
    padded = bool(site.attribute("count_include_pad", False))

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        x = as_images(given(arrays, 0), flat)
        order = pool_order(rule, flat, (x.shape[2], x.shape[3]), kernel, window)
        found = float_average_pool(x, kernel, window, order, padded)
        return found[:, :, 0] if flat else found

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        x = as_images(given(arrays, 0), flat)
        values, field = _held(x, index, flat, kernel, window)
        rows, columns = (0, index[2]) if flat else index[2:]
        counts = window_counts((x.shape[2], x.shape[3]), kernel, window)
        count = prod(kernel) if padded else int(counts[rows, columns])
        mean = sum(values, Fraction(0)) / max(count, 1)
        return Element(((names_of(site)[0], field),), value=mean, words=f"sum of {len(values)} / {count}")

    return bind_float(site, compute, explain)


def _held(
    x: NDArray[Any], index: tuple[int, ...], flat: bool, kernel: Pair, window: Window
) -> tuple[list[Fraction], tuple[slice, ...]]:
    """The values of one window and the slices that hold them."""
    place = (0, index[2]) if flat else index[2:]
    slices, reads = reads_of(window, place, kernel, image_size(x.shape, False))
    values = [exact(x[index[0], index[1], row, column]) for _, row in reads[0] for _, column in reads[1]]
    head = (slice(index[0], index[0] + 1), slice(index[1], index[1] + 1))
    return values, (*head, *(slices[1:] if flat else slices))


def _bind_max(site: Site, bounds: Rounding) -> Bound:
    flat, window, kernel = _moving(site)

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        found = float_max_pool(as_images(given(arrays, 0), flat), kernel, window)
        return found[:, :, 0] if flat else found

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        values, field = _held(as_images(given(arrays, 0), flat), index, flat, kernel, window)
        largest = max(values, default=None)
        return Element(((names_of(site)[0], field),), value=largest, words=f"largest of {len(values)}")

    return bind_float(site, compute, explain)


def _global_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    x = needed(name, inputs, 0).shape
    flat_layout(attributes)
    if len(x) < 3:
        raise ValueError(f"node {name}: input 0 has shape {x}; pass (images, channels, ...)")
    return ((*x[:2], *[1] * (len(x) - 2)),)


def _bind_global(site: Site, bounds: Rounding) -> Bound:
    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        return float_global_average_pool(given(arrays, 0), "mlas_lanes4" if rule == "mlas_pool" else rule)

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        values = given(arrays, 0)[index[:2]]
        mean = sum(map(exact, values.ravel()), Fraction(0)) / values.size
        field = (*(slice(i, i + 1) for i in index[:2]), *(slice(0, size) for size in values.shape))
        return Element(((names_of(site)[0], field),), value=mean, words=f"sum of {values.size} / {values.size}")

    return bind_float(site, compute, explain)


def _axes(attributes: Attributes, rank: int) -> tuple[int, ...]:
    return tuple(sorted(int(axis) % rank for axis in attributes["axes"]))


def _mean_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    x = needed(name, inputs, 0).shape
    if any(not -len(x) <= axis < len(x) for axis in attributes["axes"]):
        raise ValueError(f"node {name}: axes={attributes['axes']} outside the {len(x)} dimensions of input 0")
    axes = _axes(attributes, len(x))
    kept = tuple(1 if i in axes else size for i, size in enumerate(x))
    return (kept if attributes.get("keep_dims", True) else tuple(s for i, s in enumerate(x) if i not in axes),)


def _bind_mean(site: Site, bounds: Rounding) -> Bound:
    axes, keep = _axes(site.node.attributes, len(site.input(0).shape)), bool(site.attribute("keep_dims", True))

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        return float_mean(given(arrays, 0), axes, keep, rule)

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        x = given(arrays, 0)
        others = iter(i for axis, i in enumerate(index) if not keep or axis not in axes)
        field = tuple(
            slice(0, size) if axis in axes else slice(at, at + 1)
            for axis, size in enumerate(x.shape)
            for at in [0 if axis in axes else next(others)]
        )
        values = np.ravel(x[field])
        mean = sum(map(exact, values), Fraction(0)) / max(values.size, 1)
        return Element(((names_of(site)[0], field),), value=mean, words=f"sum of {values.size} / {values.size}")

    return bind_float(site, compute, explain)


_POOL = {**WINDOW_ATTRIBUTES, "kernel": "(rows, columns)"}

OPS: tuple[Op, ...] = (
    Op(
        "float_average_pool",
        "float32 averages of windows",
        _pool_shapes,
        _bind_average,
        lambda site: AVERAGE_POOL,
        lambda site: frozenset({"opset18"} if int(site.attribute("opset", 19)) < 19 else ()),
        attributes={
            **_POOL,
            "count_include_pad": "whether padding counts in the divisor",
            "opset": "of the model; below 19 ONNX Runtime sums in another order",
        },
    ),
    Op("float_max_pool", "largest float32 of windows", _pool_shapes, _bind_max, attributes=_POOL),
    Op(
        "float_global_average_pool",
        "float32 average of each image and channel",
        _global_shapes,
        _bind_global,
        lambda site: GLOBAL_POOL,
        attributes={"layout": WINDOW_ATTRIBUTES["layout"]},
    ),
    Op(
        "float_mean",
        "float32 mean over axes",
        _mean_shapes,
        _bind_mean,
        lambda site: MEAN,
        attributes={"axes": "dimensions", "keep_dims": "whether they stay as 1"},
    ),
)
