"""quantize (float32 -> codes), dequantize (codes -> float32), requantize (codes -> codes of another scale)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.records import Arrays, Bound, Element, Op
from refq.graphs.ops.tables_sites import RESCALINGS, grids_of, unary_shapes
from refq.graphs.records import Quantization, Tensor
from refq.graphs.sites import Site, format_of, quantization
from refq.layers.lookup import LONGEST_TABLE, Grids, all_codes, look_up, stored
from refq.layers.quantizing import (
    DEQUANTIZE,
    by_position,
    dequantize_codes,
    quantize_reals,
    requantize_q8,
    requantize_through_float,
    rescale_codes,
    xnnpack_converts,
)

QUANTIZE_BLOCKS = "blocks8:float32_ties_even/reciprocal/after/last+float64_ties_away/division/after/last"
"""LiteRT's builtin QUANTIZE on x86: eight at a time, the rest one by one; both convert to int32 before they clip."""
QUANTIZE = (
    "float32_ties_even/division/after",
    "float32_ties_even/division/after/last",
    "float32_ties_even/reciprocal/after",
    "float32_ties_even/reciprocal/before",
    "float32_ties_away/division/after",
    "float32_ties_away/division/after/last",
    "float32_ties_away/reciprocal/after",
    "float64_ties_even/division/after",
    "float64_ties_away/division/after",
    QUANTIZE_BLOCKS,
)
DEQUANTIZE_BLOCKS = "blocks8:float32_shifted+float32_product"
"""LiteRT's builtin DEQUANTIZE on x86."""
REQUANTIZE_BLOCKS = "blocks16:double_up/double_product/after+gemmlowp_double/double_product/after"
"""LiteRT's builtin QUANTIZE from 8 bits to 8 bits on x86."""
THROUGH_FLOAT = {
    "qdq:float32_ties_even": "float32_ties_even/division",
    "qdq:float32_ties_away": "float32_ties_away/division",
}
"""Rules of requantize that dequantize and quantize again."""


def _checked(site: Site, tensor: Tensor) -> Quantization:
    """Scales and zero points that fit the tensor."""
    found, place = quantization(site, tensor), f"{site.node.op} {site.node.name}: {tensor.name}"
    fmt = format_of(site, tensor)
    if found.scale.size != 1 and (found.axis is None or not -len(tensor.shape) <= found.axis < len(tensor.shape)):
        raise ValueError(f"{place} has {found.scale.size} scales along axis={found.axis}; pass an axis of its shape")
    if found.scale.size != 1 and tensor.shape[found.axis or 0] != found.scale.size:
        raise ValueError(f"{place} has {found.scale.size} scales for shape {tensor.shape}, axis={found.axis}")
    if not (np.isfinite(found.scale).all() and (found.scale > 0).all()):
        raise ValueError(f"{place} has a scale that is not finite and > 0")
    if found.zero_point.size and not fmt.qmin <= found.zero_point.min() <= found.zero_point.max() <= fmt.qmax:
        raise ValueError(f"{place} has a zero point outside {fmt.name} {fmt.qmin}..{fmt.qmax}")
    return found


def _axis_of(tensor: Tensor, found: Quantization) -> int | None:
    return None if found.scale.size == 1 or found.axis is None else found.axis % len(tensor.shape)


def _channel(tensor: Tensor, found: Quantization, index: tuple[int, ...]) -> tuple[Fraction, int]:
    """Scale and zero point of one element."""
    axis = _axis_of(tensor, found)
    place = 0 if axis is None else index[axis]
    zeros = found.zero_point
    return Fraction(float(found.scale[place])), int(zeros[place if zeros.size > 1 else 0])


def _field(site: Site, index: tuple[int, ...]) -> tuple[tuple[str, tuple[slice, ...]], ...]:
    return ((site.input(0).name, tuple(slice(i, i + 1) for i in index)),)


def _bind_quantize(site: Site, rounding: Rounding) -> Bound:
    x, y = site.input(0), site.outputs[0]
    if x.dtype != "float32":
        raise ValueError(f"quantize {site.node.name}: {x.name} is {x.dtype}; pass float32")
    found, fmt, period = _checked(site, y), format_of(site, y), prod(x.shape)
    axis = _axis_of(y, found)

    def finish(values: Any, rule: str) -> tuple[NDArray[Any], ...]:
        return (quantize_reals(values, rule, found.scale, found.zero_point, fmt, axis, period),)

    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        scale, zero = _channel(y, found, index)
        value = Fraction(float(np.asarray(arrays[0])[index])) / scale + zero
        return Element(_field(site, index), value=value, words="x / scale + zero_point")

    return Bound(lambda arrays: arrays[0], finish, element)


def _bind_dequantize(site: Site, rounding: Rounding) -> Bound:
    x = site.input(0)
    if site.outputs[0].dtype != "float32":
        raise ValueError(f"dequantize {site.node.name}: {site.outputs[0].name} is not float32")
    found, period = _checked(site, x), prod(x.shape)
    axis = _axis_of(x, found)

    def finish(codes: Any, rule: str) -> tuple[NDArray[Any], ...]:
        return (dequantize_codes(codes, rule, found.scale, found.zero_point, axis, period),)

    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        scale, zero = _channel(x, found, index)
        code = int(np.asarray(arrays[0])[index]) - zero
        return Element(_field(site, index), code, scale, code * scale, words="(code - zero_point) * scale")

    return Bound(lambda arrays: arrays[0], finish, element)


def _requantize_rules(grids: Grids) -> Mapping[str, Callable[[Any], Any]]:
    """Rule -> function of int64 codes of one dimension; those of blocks are made of them."""
    found: dict[str, Any] = {r: partial(rescale_codes, grids=grids, rule=r) for r in RESCALINGS}
    found |= {name: partial(requantize_through_float, grids=grids, rule=rule) for name, rule in THROUGH_FLOAT.items()}
    if xnnpack_converts(grids):
        found["xnnpack:q8"] = partial(requantize_q8, grids=grids)
    return found


def _bind_requantize(site: Site, rounding: Rounding) -> Bound:
    grids, period = grids_of(site, (8, 16, 32)), prod(site.input(0).shape)
    rules, made = _requantize_rules(grids), dict[str, NDArray[Any]]()

    def apply(codes: NDArray[Any], rule: str) -> NDArray[Any]:
        if grids.fmt.bits > LONGEST_TABLE:
            return stored(rules[rule](codes.astype(np.int64).ravel()), grids.out_fmt).reshape(codes.shape)
        if rule not in made:
            made[rule] = stored(rules[rule](all_codes(grids.fmt)), grids.out_fmt)
        return look_up(codes, made[rule], grids.fmt)

    def finish(codes: Any, rule: str) -> tuple[NDArray[Any], ...]:
        return (np.asarray(by_position(codes, rule, period, apply)),)

    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        difference = int(np.asarray(arrays[0])[index]) - grids.zero_point
        scale = Fraction(float(grids.scale)) / Fraction(float(grids.out_scale))
        words = "(code - zero_point) * scale / out_scale + out_zero_point"
        return Element(_field(site, index), difference, scale, difference * scale + grids.out_zero_point, words=words)

    return Bound(lambda arrays: arrays[0], finish, element)


def _requantize_names(site: Site) -> tuple[str, ...]:
    grids = grids_of(site, (8, 16, 32))
    return (*_requantize_rules(grids), *((REQUANTIZE_BLOCKS,) if grids.fmt.bits == 8 else ()))


def _quantize_tags(site: Site) -> frozenset[str]:
    y = site.outputs[0]
    return frozenset({y.dtype, *(("per_channel",) if quantization(site, y).scale.size > 1 else ())})


def _dequantize_tags(site: Site) -> frozenset[str]:
    x = site.input(0)
    return frozenset({x.dtype, *(("per_channel",) if quantization(site, x).scale.size > 1 else ())})


def _requantize_tags(site: Site) -> frozenset[str]:
    grids = grids_of(site, (8, 16, 32))
    taken = ("xnnpack",) if xnnpack_converts(grids) else ()
    narrow = ("8_to_8",) if grids.fmt.bits == grids.out_fmt.bits == 8 else ()
    return frozenset({site.input(0).dtype, f"to_{site.outputs[0].dtype}", *taken, *narrow})


def _channels_apart(site: Site) -> bool:
    """Channels do not run along the dimension in which samples are stacked."""
    tensor = site.outputs[0] if site.node.op == "quantize" else site.input(0)
    return _axis_of(tensor, quantization(site, tensor)) != 0


def _quantize_names(site: Site) -> tuple[str, ...]:
    return QUANTIZE


def _dequantize_names(site: Site) -> tuple[str, ...]:
    return (*DEQUANTIZE, DEQUANTIZE_BLOCKS)


def _op(name: str, what: str, bind: Any, rules: Any, tags: Any, batched: Any) -> Op:
    return Op(name, what, partial(unary_shapes, name), bind, rules, tags, batched)


OPS = (
    _op("quantize", "float32 to codes", _bind_quantize, _quantize_names, _quantize_tags, _channels_apart),
    _op("dequantize", "codes to float32", _bind_dequantize, _dequantize_names, _dequantize_tags, _channels_apart),
    _op(
        "requantize", "codes to another scale", _bind_requantize, _requantize_names, _requantize_tags, lambda site: True
    ),
)
"""The ops of this family."""
