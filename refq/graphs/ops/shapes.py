"""Ops that move values: nothing to round, except where concat joins codes of different scales."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.concat import CONCAT
from refq.graphs.ops.moving import Attributes, Inputs, asked, bind_moving, fitting, one_shape, padding_of, samples_of
from refq.graphs.ops.records import Bound, Op, Shapes
from refq.graphs.sites import Site
from refq.layers import shapes as layers


def _shape_pad(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    (pads,), shape = asked("pad", node, attributes, "pads"), one_shape("pad", node, inputs)
    fitting("pad", node, len(pads) == len(shape) and all(n >= 0 for ends in pads for n in ends), shape, pads=pads)
    return (tuple(b + n + a for (b, a), n in zip(pads, shape, strict=True)),)


def _bind_pad(site: Site, bounds: Rounding) -> Bound:
    pads = site.attribute("pads")
    return bind_moving(site, lambda x, value: (layers.pad(x, pads, value),), padding_of(site))


def _shape_reshape(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    return (one_shape("reshape", node, inputs),)


def _bind_reshape(site: Site, bounds: Rounding) -> Bound:
    declared, result = site.input(0).shape, site.outputs[0].shape
    if prod(declared) != prod(result):
        raise ValueError(f"reshape {site.node.name}: {declared} has other elements than {result}")

    def move(x: NDArray[Any], value: Any) -> tuple[NDArray[Any], ...]:
        rows = (result[0] * samples_of(site, x), *result[1:]) if result else result
        return (x.reshape(rows),)

    return bind_moving(site, move)


def _batched_reshape(site: Site) -> bool:
    """Rows of whole samples follow each other before and after."""
    return all(tensor.shape and 0 not in tensor.shape for tensor in (site.input(0), site.outputs[0]))


def _shape_transpose(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    (perm,), shape = asked("transpose", node, attributes, "perm"), one_shape("transpose", node, inputs)
    fitting("transpose", node, sorted(perm) == list(range(len(shape))), shape, perm=perm)
    return (tuple(shape[axis] for axis in perm),)


def _bind_transpose(site: Site, bounds: Rounding) -> Bound:
    perm = site.attribute("perm")
    return bind_moving(site, lambda x, value: (np.ascontiguousarray(x.transpose(perm)),))


def _shape_split(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    (axis, sizes), shape = asked("split", node, attributes, "axis", "sizes"), one_shape("split", node, inputs)
    inside = 0 <= axis < len(shape) and min(sizes, default=-1) >= 0
    fitting("split", node, inside and sum(sizes) == shape[axis], shape, axis=axis, sizes=sizes)
    return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in sizes)


def _bind_split(site: Site, bounds: Rounding) -> Bound:
    axis, sizes = site.attribute("axis"), site.attribute("sizes")
    return bind_moving(site, lambda x, value: layers.split(x, axis, sizes))


def _shape_slice(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    begin, end, step = asked("slice", node, attributes, "begin", "end", "step")
    shape = one_shape("slice", node, inputs)
    fits = len(begin) == len(end) == len(step) == len(shape) and 0 not in step
    fitting("slice", node, fits, shape, begin=begin, end=end, step=step)
    ranges = [range(b, e, s) for b, e, s in zip(begin, end, step, strict=True)]
    inside = (0 <= place < n for r, n in zip(ranges, shape, strict=True) if r for place in (r[0], r[-1]))
    fitting("slice", node, all(inside), shape, begin=begin, end=end, step=step)
    return (tuple(len(r) for r in ranges),)


def _whole(site: Site) -> bool:
    """Dimension 0 is taken as it is."""
    first = [site.attribute(name)[:1] for name in ("begin", "end", "step")]
    return first == [(0,), site.input(0).shape[:1], (1,)]


def _bind_slice(site: Site, bounds: Rounding) -> Bound:
    begin, end, step = (site.attribute(name) for name in ("begin", "end", "step"))

    def move(x: NDArray[Any], value: Any) -> tuple[NDArray[Any], ...]:
        return (layers.cut(x, begin, (x.shape[0], *end[1:]) if _whole(site) else end, step),)

    return bind_moving(site, move)


def _shape_space_to_batch(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    op = "space_to_batch"
    (block, pads), shape = asked(op, node, attributes, "block", "pads"), one_shape(op, node, inputs)
    fits = 0 < len(block) == len(pads) < len(shape) and min(block) >= 1 and all(n >= 0 for p in pads for n in p)
    fitting(op, node, fits, shape, block=block, pads=pads)
    sizes = [n + sum(ends) for n, ends in zip(shape[1:], pads, strict=False)]
    fits = not any(n % b for n, b in zip(sizes, block, strict=True))
    fitting(op, node, fits, shape, block=block, pads=pads)
    spatial = (n // b for n, b in zip(sizes, block, strict=True))
    return ((shape[0] * prod(block), *spatial, *shape[1 + len(block) :]),)


def _bind_space_to_batch(site: Site, bounds: Rounding) -> Bound:
    block, pads = site.attribute("block"), site.attribute("pads")

    def move(x: NDArray[Any], value: Any) -> tuple[NDArray[Any], ...]:
        return (layers.space_to_batch(x, block, pads, value, samples_of(site, x)),)

    return bind_moving(site, move, padding_of(site))


def _shape_batch_to_space(node: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    block, crops = asked("batch_to_space", node, attributes, "block", "crops")
    shape = one_shape("batch_to_space", node, inputs)
    fits = 0 < len(block) == len(crops) < len(shape) and min(block) >= 1 and all(n >= 0 for c in crops for n in c)
    fitting("batch_to_space", node, fits and shape[0] % prod(block) == 0, shape, block=block, crops=crops)
    spatial = [n * b - sum(ends) for n, b, ends in zip(shape[1:], block, crops, strict=False)]
    fitting("batch_to_space", node, min(spatial) >= 0, shape, block=block, crops=crops)
    return ((shape[0] // prod(block), *spatial, *shape[1 + len(block) :]),)


def _bind_batch_to_space(site: Site, bounds: Rounding) -> Bound:
    block, crops = site.attribute("block"), site.attribute("crops")
    return bind_moving(site, lambda x, value: (layers.batch_to_space(x, block, crops, samples_of(site, x)),))


def _blocks_batched(site: Site) -> bool:
    """Rows of whole samples go in."""
    return site.input(0).shape[0] > 0


OPS: tuple[Op, ...] = (
    Op(
        "pad", "more places, all holding one code", _shape_pad, _bind_pad,
        batched=lambda site: tuple(site.attribute("pads")[:1]) == ((0, 0),),
        attributes={"pads": "(before, after) a dimension, >= 0", "value": "a code; the output's zero point by default"},
    ),
    CONCAT,
    Op("reshape", "the same values in the declared shape", _shape_reshape, _bind_reshape, batched=_batched_reshape),
    Op(
        "transpose", "dimensions in another order", _shape_transpose, _bind_transpose,
        batched=lambda site: tuple(site.attribute("perm")[:1]) == (0,),
        attributes={"perm": "the dimension of the input for each of the output"},
    ),
    Op(
        "split", "parts along an axis", _shape_split, _bind_split, batched=lambda site: site.attribute("axis") != 0,
        attributes={"axis": "the dimension, >= 0", "sizes": "of the parts, which make the whole"},
    ),
    Op(
        "slice", "places range(begin, end, step) of each dimension", _shape_slice, _bind_slice, batched=_whole,
        attributes={
            "begin": "a place a dimension", "end": "one past the last; -1 before the first of a negative step",
            "step": "not 0",
        },
    ),
    Op(
        "space_to_batch", "places of blocks to batches", _shape_space_to_batch, _bind_space_to_batch,
        batched=_blocks_batched,
        attributes={"block": "its size along the dimensions after the first", "pads": "(before, after) for each"},
    ),
    Op(
        "batch_to_space", "batches back to places of blocks", _shape_batch_to_space, _bind_batch_to_space,
        batched=_blocks_batched,
        attributes={"block": "its size along the dimensions after the first", "crops": "(before, after) for each"},
    ),
)  # fmt: skip
"""The ops that move values."""
