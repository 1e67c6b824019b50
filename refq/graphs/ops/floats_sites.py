"""What the float32 ops of graphs share: checks of their tensors, samples taken apart, windows read from attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.records import Arrays, Bound, Element, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.floats_conv import Pair, Window

WINDOW_ATTRIBUTES = {
    "layout": '"NCHW", or "NCW" with one dimension',
    "stride": "(rows, columns), 1 or more each",
    "dilation": "(rows, columns), 1 or more each",
    "padding": "((top, bottom), (left, right)), 0 or more each",
}
Computing = Callable[[Arrays, str], NDArray[Any]]
Explaining = Callable[[Arrays, tuple[int, ...]], Element]


@dataclass(frozen=True, eq=False)
class Part:
    """One sample out of a stack: its arrays, the index inside it, and how far rows of each input were moved."""

    arrays: Arrays
    index: tuple[int, ...]
    moved: tuple[int, ...]


def check_floats(site: Site) -> None:
    """Every tensor is float32; a constant has no other values than its dtype says."""
    for tensor in (*site.inputs, *site.outputs):
        if tensor is not None and tensor.dtype != "float32":
            place = f"{site.node.op} {site.node.name}"
            raise ValueError(f"{place}: {tensor.name} is {tensor.dtype}; pass float32, dequantize it first")


def bind_float(site: Site, compute: Computing, explain: Explaining) -> Bound:
    """An op of one output that is computed sample by sample, each as it would be alone."""
    check_floats(site)

    def finish(gathered: Arrays, rule: str) -> tuple[NDArray[Any], ...]:
        count = samples(site, gathered)
        parts = [compute(_sample(site, gathered, i, count).arrays, rule) for i in range(count)]
        return (parts[0] if count == 1 else np.concatenate(parts),)

    def element(arrays: Arrays, output: int, index: tuple[int, ...]) -> Element:
        part = part_of(site, arrays, index)
        found = explain(part.arrays, part.index)
        names = {t.name: m for t, m in zip(site.inputs, part.moved, strict=True) if t is not None}
        fields = tuple((name, _shifted(field, names.get(name, 0))) for name, field in found.fields)
        return Element(fields, value=found.value, approximate=found.approximate, words=found.words)

    return Bound(lambda arrays: arrays, finish, element)


def samples(site: Site, arrays: Arrays) -> int:
    """How many samples of the declared shapes are stacked along dimension 0."""
    counts = [
        array.shape[0] // tensor.shape[0]
        for tensor, array in zip(site.inputs, arrays, strict=True)
        if tensor is not None and array is not None and tensor.data is None and tensor.shape and tensor.shape[0]
    ]
    return max(counts, default=1)


def _sample(site: Site, arrays: Arrays, place: int, count: int) -> Part:
    taken: list[NDArray[Any] | None] = []
    moved: list[int] = []
    for tensor, array in zip(site.inputs, arrays, strict=True):
        stacked = count > 1 and tensor is not None and array is not None and tensor.data is None and tensor.shape
        rows = tensor.shape[0] if stacked and tensor is not None and array is not None else 0
        split = rows > 0 and array is not None and array.shape[0] == rows * count
        taken.append(array[place * rows : (place + 1) * rows] if split and array is not None else array)
        moved.append(place * rows if split else 0)
    return Part(tuple(taken), (), tuple(moved))


def part_of(site: Site, arrays: Arrays, index: tuple[int, ...]) -> Part:
    """The sample that an element of the stacked output belongs to."""
    count = samples(site, arrays)
    rows = site.outputs[0].shape[0] if site.outputs[0].shape else 1
    place = index[0] // rows if count > 1 else 0
    part = _sample(site, arrays, place, count)
    return Part(part.arrays, (index[0] - place * rows, *index[1:]) if index else (), part.moved)


def _shifted(field: tuple[slice, ...], rows: int) -> tuple[slice, ...]:
    if not rows or not field:
        return field
    return slice(field[0].start + rows, field[0].stop + rows), *field[1:]


def names_of(site: Site) -> tuple[str, ...]:
    """The names of the inputs, "" where one is absent."""
    return tuple("" if tensor is None else tensor.name for tensor in site.inputs)


def given(arrays: Arrays, place: int) -> NDArray[Any]:
    """An input that is there."""
    array = arrays[place]
    assert array is not None
    return array


def absent_or(arrays: Arrays, place: int) -> NDArray[Any] | None:
    """An input that may be absent."""
    return arrays[place] if place < len(arrays) else None


def exact(value: Any) -> Fraction:
    """A finite float as a rational."""
    return Fraction(float(value))


def point(index: tuple[int, ...]) -> tuple[slice, ...]:
    """The slices of one element."""
    return tuple(slice(i, i + 1) for i in index)


def broadcast_point(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where an operand of a broadcasting op is read for one element of the result.

    >>> broadcast_point((4, 2, 7), (3, 1))
    (2, 0)
    """
    last = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(last, shape, strict=True))


def needed(name: str, inputs: tuple[Tensor | None, ...], place: int) -> Tensor:
    """An input that must be there, before any Site is made."""
    tensor = inputs[place] if place < len(inputs) else None
    if tensor is None:
        raise ValueError(f"node {name}: input {place} is missing")
    return tensor


def same_shape(name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """That of input 0."""
    return (needed(name, inputs, 0).shape,)


def window_of(attributes: Mapping[str, Any]) -> Window:
    """Stride, dilation and padding; with layout "NCW" along columns only."""
    stride, dilation, padding = (tuple(attributes.get(k, d)) for k, d in _DEFAULTS.items())
    if attributes.get("layout", "NCHW") == "NCW":
        return Window((1, int(stride[-1])), (1, int(dilation[-1])), ((0, 0), _pair(padding[-1])))
    return Window(_pair(stride), _pair(dilation), (_pair(padding[0]), _pair(padding[1])))


_DEFAULTS: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}


def _pair(values: Any) -> Pair:
    first, second = values
    return int(first), int(second)


def flat_layout(attributes: Mapping[str, Any]) -> bool:
    """Whether images have one dimension ("NCW"); ValueError for layouts other than "NCHW" and "NCW"."""
    layout = attributes.get("layout", "NCHW")
    if layout not in ("NCHW", "NCW"):
        raise ValueError(f"layout={layout!r} is unknown to float32 ops; legal: NCHW, NCW")
    return bool(layout == "NCW")


def check_window(name: str, attributes: Mapping[str, Any], rank: int) -> Window:
    """The window of a node whose input has `rank` dimensions; ValueError for values no window has."""
    flat = flat_layout(attributes)
    if rank != (3 if flat else 4):
        raise ValueError(f"node {name}: input 0 has {rank} dimensions; layout {'NCW' if flat else 'NCHW'} has others")
    window = window_of(attributes)
    if min(window.stride + window.dilation) < 1 or min(map(min, window.padding)) < 0:
        raise ValueError(f"node {name}: {window}; pass stride and dilation of 1 or more, padding of 0 or more")
    return window


def as_images(array: NDArray[Any], flat: bool) -> NDArray[Any]:
    """(..., width) as (..., 1, width) where images have one dimension."""
    return array[:, :, None, :] if flat else array


def image_size(shape: tuple[int, ...], flat: bool) -> Pair:
    """Rows and columns of an image."""
    return (1, shape[2]) if flat else (shape[2], shape[3])


def reads_of(
    window: Window, place: tuple[int, ...], kernel: Pair, image: Pair
) -> tuple[tuple[slice, ...], list[list[tuple[int, int]]]]:
    """What a window reads of an image along rows and columns: slices, and (place in kernel, place in image) inside."""
    reads = [
        [(k, p * s - pad[0] + k * d) for k in range(size) if 0 <= p * s - pad[0] + k * d < extent]
        for p, s, d, pad, size, extent in zip(
            place, window.stride, window.dilation, window.padding, kernel, image, strict=True
        )
    ]
    return tuple(slice(r[0][1], r[-1][1] + 1) if r else slice(0, 0) for r in reads), reads
