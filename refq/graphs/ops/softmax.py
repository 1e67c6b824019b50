"""softmax along one axis of quantized codes, and argmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.records import Arrays, Bound, Element, Op, Shapes
from refq.graphs.ops.tables_sites import grids_of, unary_shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.lookup import Grids, stored
from refq.layers.softmax_exact import softmax_exact, softmax_steps
from refq.layers.softmax_fixed import softmax_fixed
from refq.layers.softmax_float import softmax_onnxruntime, softmax_tflite
from refq.layers.softmax_int16 import softmax_int16

Codes = NDArray[np.int64]
Rules = Mapping[str, Callable[[Codes], Codes]]


def _axis(site: Site) -> int:
    rank, axis = len(site.input(0).shape), site.attribute("axis", -1)
    if not -rank <= axis < rank:
        raise ValueError(f"{site.node.op} {site.node.name}: axis={axis} is outside {-rank}..{rank - 1}")
    return int(axis % rank)


def _beta(site: Site) -> np.float32:
    beta = np.float32(site.attribute("beta", 1.0))
    if not np.isfinite(beta) or beta <= 0:
        raise ValueError(f"softmax {site.node.name}: beta={beta} is not a finite number > 0; pass a float32")
    return beta


def _depth(site: Site) -> int:
    depth = site.input(0).shape[_axis(site)]
    if depth < 1:
        raise ValueError(f"softmax {site.node.name}: axis={_axis(site)} has no elements; pass 1 or more")
    return depth


def _takes_fixed(grids: Grids, beta: np.float32, depth: int) -> bool:
    """What TFLite's 8-bit kernels accept: output scale 2**-bits, its zero point the lowest code (uint8: 0)."""
    near = abs(float(grids.out_scale) * 2.0**grids.out_fmt.bits - 1) < 1e-3
    steep = float(grids.scale) * float(beta) * 2.0**26 > 1
    return near and steep and grids.out_zero_point == grids.out_fmt.qmin and depth < 4096


def _takes_int16(grids: Grids, depth: int) -> bool:
    near = abs(float(grids.out_scale) * 2.0**15 - 1) < 1e-3
    return near and grids.out_zero_point == grids.zero_point == 0 and grids.out_fmt.bits == 16 and depth < 65536


def softmax_rules(grids: Grids, beta: np.float32, depth: int) -> Rules:
    """Rule -> function of codes, the row along the last axis."""
    out = (grids.out_scale, grids.out_zero_point, grids.out_fmt)
    found: dict[str, Any] = {}
    if grids.fmt.bits == 8 and _takes_fixed(grids, beta, depth):
        found["tflite:fixed_point32"] = lambda x: softmax_fixed(x, grids.scale, beta, grids.out_fmt)
    if grids.fmt.bits == 8 and (grids.out_fmt.signed or grids.out_zero_point == 0):
        found["tflite:float_table"] = lambda x: softmax_tflite(x, grids.scale, beta, *out)
    if grids.fmt.bits == 16 and _takes_int16(grids, depth):
        found["tflite:interpolated_tables"] = lambda x: softmax_int16(x, grids.scale, beta)
    if grids.fmt == grids.out_fmt and grids.fmt.bits == 8 and beta == 1:
        found["onnxruntime:float_table"] = lambda x: softmax_onnxruntime(x, grids.scale, *out)
    return found | {"real:ties_even": lambda x: softmax_exact(x, grids.scale, beta, *out)}


def _softmax_element(site: Site, grids: Grids, axis: int, step: Fraction) -> Any:
    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        x = np.asarray(arrays[0])
        field = tuple(slice(None) if d == axis else slice(i, i + 1) for d, i in enumerate(index))
        row = x[field].astype(np.int64).ravel()
        value = softmax_steps(row, index[axis], step, grids.out_scale, 20) + Decimal(grids.out_zero_point)
        words = f"exp of {row.size} codes times {float(step)}, one of them over their sum"
        return Element(((site.input(0).name, field),), approximate=str(value), words=words)

    return element


def _bind_softmax(site: Site, rounding: Rounding) -> Bound:
    grids, axis, beta = grids_of(site), _axis(site), _beta(site)
    rules = softmax_rules(grids, beta, _depth(site))
    step = Fraction(float(grids.scale)) * Fraction(float(beta))

    def gather(arrays: Arrays) -> Codes:
        return np.moveaxis(np.asarray(arrays[0]).astype(np.int64), axis, -1)

    def finish(codes: Codes, rule: str) -> tuple[NDArray[Any], ...]:
        found = stored(rules[rule](codes), grids.out_fmt) if codes.size else stored(codes, grids.out_fmt)
        return (np.ascontiguousarray(np.moveaxis(found, -1, axis)),)

    return Bound(gather, finish, _softmax_element(site, grids, axis, step))


def _softmax_names(site: Site) -> tuple[str, ...]:
    return tuple(softmax_rules(grids_of(site), _beta(site), _depth(site)))


def _softmax_tags(site: Site) -> frozenset[str]:
    return frozenset({site.input(0).dtype, f"to_{site.outputs[0].dtype}"})


def _rows_apart(site: Site) -> bool:
    return _axis(site) != 0


def _argmax_shapes(name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    (shape,) = unary_shapes("argmax", name, attributes, inputs)
    axis = attributes.get("axis", -1)
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"argmax {name}: axis={axis} is outside {-len(shape)}..{len(shape) - 1}")
    axis %= len(shape)
    middle = (1,) if attributes.get("keep_dims", False) else ()
    return ((*shape[:axis], *middle, *shape[axis + 1 :]),)


def _bind_argmax(site: Site, rounding: Rounding) -> Bound:
    axis, keep, dtype = _axis(site), bool(site.attribute("keep_dims", False)), site.outputs[0].dtype
    if dtype not in ("int32", "int64"):
        raise ValueError(f"argmax {site.node.name}: {site.outputs[0].name} is {dtype}; pass int32 or int64")
    if site.input(0).shape[axis] < 1:
        raise ValueError(f"argmax {site.node.name}: axis={axis} has no elements; pass 1 or more")

    def finish(codes: Any, rule: str) -> tuple[NDArray[Any], ...]:
        return (np.argmax(codes, axis=axis, keepdims=keep).astype(dtype),)

    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        x = np.asarray(arrays[0])
        kept = iter(index)
        outer = [next(kept) if d != axis or keep else 0 for d in range(x.ndim)]
        field = tuple(slice(None) if d == axis else slice(i, i + 1) for d, i in enumerate(outer))
        found = int(np.argmax(x[field]))
        words = f"the first of the largest of {x.shape[axis]} codes"
        return Element(((site.input(0).name, field),), value=Fraction(found), words=words)

    return Bound(lambda arrays: arrays[0], finish, element)


OPS = (
    Op(
        "softmax",
        "exp(beta * x) over its sum along an axis",
        partial(unary_shapes, "softmax"),
        _bind_softmax,
        _softmax_names,
        _softmax_tags,
        _rows_apart,
        {"beta": "factor of x, float32, finite and > 0", "axis": "the dimension that is summed"},
    ),
    Op(
        "argmax",
        "the place of the largest code along an axis, the first of equals",
        _argmax_shapes,
        _bind_argmax,
        batched=_rows_apart,
        attributes={"axis": "the dimension searched", "keep_dims": "whether it stays, with length 1"},
    ),
)
"""The ops of this family."""
