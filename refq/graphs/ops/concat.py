"""The op that joins tensors; codes of other scales than the result's are rescaled under a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.records import EXACT, Arrays, Bound, Element, Op, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, scale_of, zero_point_of
from refq.labels import usual_scaling
from refq.layers import shapes as layers
from refq.layers.rescaling import Scales, bind_rescaling
from refq.semantics import RULES

Rescale = Callable[[NDArray[Any]], NDArray[Any]]

AFFINE = "float32_affine"
COPY = "copy"
DEQUANTIZED = {"dequantized:float32_ties_even": True, "dequantized:float32_ties_away": False}
LABELS = tuple(f"{rule.name}/{usual_scaling(rule).value}/after" for rule in RULES.values())
MIXED = (COPY, AFFINE, *DEQUANTIZED, *LABELS)
"""Rules for inputs of other scales: codes copied, TFLite's uint8 kernel, through float32, or any requantization."""


def _shape(node: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """All sizes equal but those along the axis, which add up."""
    shapes = [tensor.shape for tensor in inputs if tensor is not None]
    axis = attributes.get("axis")
    if not shapes or len(shapes) != len(inputs):
        raise ValueError(f"concat {node}: {len(shapes)} of {len(inputs)} inputs are there; pass one or more")
    if not isinstance(axis, int) or not 0 <= axis < len(shapes[0]):
        raise ValueError(f"concat {node}: axis={axis!r} of rank {len(shapes[0])}")
    if attributes.get("activation", "none") != "none":
        raise ValueError(f"concat {node}: activation={attributes['activation']!r}; legal: none")
    for shape in shapes:
        if len(shape) != len(shapes[0]) or {d for d, n in enumerate(shape) if n != shapes[0][d]} - {axis}:
            raise ValueError(f"concat {node}: {shape} beside {shapes[0]} along axis={axis}")
    return ((*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]),)


def _same(site: Site, which: int) -> bool:
    """Whether the codes of an input mean in the result what they mean in the input."""
    a, b = site.input(which).quantization, site.outputs[0].quantization
    if a is None or b is None:
        return True
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


def _rules(site: Site) -> tuple[str, ...]:
    return EXACT if all(_same(site, which) for which in range(len(site.inputs))) else MIXED


def _tags(site: Site) -> frozenset[str]:
    return frozenset({site.input(0).dtype})


def _rescale(site: Site, which: int, rule: str) -> Rescale:
    """Codes of an input as codes of the result."""
    x, y = site.input(which), site.outputs[0]
    if rule in (COPY, *EXACT) or _same(site, which):
        return lambda codes: codes
    fmt, zeros = format_of(site, y), (zero_point_of(site, x), zero_point_of(site, y))
    scales = (scale_of(site, x), scale_of(site, y))
    if rule == AFFINE:
        return lambda codes: layers.rescale_affine(codes, scales, zeros, fmt)
    if rule in DEQUANTIZED:
        return lambda codes: layers.rescale_dequantized(codes, scales, zeros, fmt, DEQUANTIZED[rule])
    if rule not in LABELS:
        raise ValueError(f"concat {site.node.name}: rule={rule!r}; legal: {', '.join(MIXED)}")
    under = Scales(scales[0], np.ones(1, np.float32), scales[1]).under
    run = bind_rescaling(rule, under, zeros[1], fmt, -1)
    return lambda codes: run(codes.astype(np.int64) - zeros[0])


def _bind(site: Site, bounds: Rounding) -> Bound:
    axis, count = site.attribute("axis"), len(site.inputs)
    declared = [site.input(which).shape[0] for which in range(count)]

    @cache
    def rescales(rule: str) -> list[Rescale]:
        return [_rescale(site, which, rule) for which in range(count)]

    def gather(arrays: Arrays) -> list[NDArray[Any]]:
        found = [array for array in arrays if array is not None]
        return layers.stacked(found, declared) if axis else found

    def finish(gathered: Any, rule: str) -> tuple[NDArray[Any], ...]:
        codes = [rescale(array) for rescale, array in zip(rescales(rule), gathered, strict=True)]
        return (np.concatenate(codes, axis),)

    return Bound(gather, finish, lambda arrays, output, index: _element(site, gather(arrays), index))


def _element(site: Site, arrays: list[NDArray[Any]], index: tuple[int, ...]) -> Element:
    """Which input holds the place, and its value in steps of the result."""
    axis, which, place = site.attribute("axis"), 0, list(index)
    while place[axis] >= arrays[which].shape[axis]:
        place[axis] -= arrays[which].shape[axis]
        which += 1
    x, y, code = site.input(which), site.outputs[0], arrays[which][tuple(place)].item()
    field = (x.name, tuple(slice(i, i + 1) for i in place))
    if _same(site, which):
        return Element((field,), value=Fraction(code), words="copied")
    scale = Fraction(float(scale_of(site, x))) / Fraction(float(scale_of(site, y)))
    offset = code - zero_point_of(site, x)
    return Element((field,), offset, scale, offset * scale + zero_point_of(site, y), words="code - zero point")


CONCAT = Op(
    "concat", "tensors joined along an axis", _shape, _bind, _rules, _tags,
    batched=lambda site: site.attribute("axis") != 0,
    attributes={"axis": "the dimension, >= 0", "activation": "none"},
)  # fmt: skip
"""Inputs of the scale and zero point of the output are copied: nothing to round."""
