"""The arithmetic of one element of a pool or a mean, and what it reads."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.pools_sites import axes_of, windows_at
from refq.graphs.ops.records import Arrays, Element
from refq.graphs.sites import Site
from refq.layers.elementwise import Affine
from refq.layers.pools import Windows


def _window_field(windows: Windows, shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[slice, ...]:
    """What one window reads, cut to the tensor."""
    field = [slice(i, i + 1) for i in index]
    for d, axis in enumerate(windows.axes):
        step = windows.dilation[d]
        start = index[axis] * windows.stride[d] - windows.padding[d][0]
        stop = min(start + step * (windows.kernel[d] - 1) + 1, shape[axis])
        field[axis] = slice(start if start >= 0 else start % step, stop, step)
    return tuple(field)


def _mean_field(site: Site, shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[slice, ...]:
    axes = axes_of(site.node.name, site.node.attributes, shape)
    rest = list(index)
    if site.attribute("keep_dims", False):
        rest = [i for axis, i in enumerate(index) if axis not in axes]
    return tuple(slice(0, size) if a in axes else slice(i, i + 1) for a, size in enumerate(shape) for i in
                 [0 if a in axes else rest.pop(0)])  # fmt: skip


def _field(site: Site, shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[slice, ...]:
    if site.node.op == "mean":
        return _mean_field(site, shape, index)
    return _window_field(windows_at(site, shape), shape, index)


def average_element(source: Affine, output: Affine, site: Site, inputs: Arrays, index: tuple[int, ...]) -> Element:
    """The sum without zero points, and the exact mean in steps of the output."""
    x: NDArray[Any] = np.asarray(inputs[0])
    field = _field(site, x.shape, index)
    read = x[field].astype(np.int64)
    padded = bool(site.attribute("count_include_pad", False))
    count = int(np.prod(windows_at(site, x.shape).kernel)) if padded else read.size
    acc = int(read.sum()) - read.size * source.zero_point
    scale = Fraction(float(source.scale)) / Fraction(float(output.scale)) / count
    words = f"{read.size} codes of sum {int(read.sum())}, less {source.zero_point} each; divided by {count}"
    return Element(((str(site.node.inputs[0]), field),), acc, scale, acc * scale + output.zero_point, words=words)


def max_element(site: Site, inputs: Arrays, place: int, index: tuple[int, ...]) -> Element:
    """The largest code of a window."""
    x: NDArray[Any] = np.asarray(inputs[0])
    field = _field(site, x.shape, index)
    read = x[field]
    value = Fraction(int(read.max())) if read.size else None
    return Element(((str(site.node.inputs[0]), field),), value=value, words=f"largest of {read.size} codes")
