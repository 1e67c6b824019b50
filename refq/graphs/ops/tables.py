"""Ops that map each code to a code: relu, relu6, relu_n1_to_1, leaky_relu, hard_swish, logistic, tanh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.records import Arrays, Bound, Element, Op
from refq.graphs.ops.tables_sites import (
    RESCALINGS,
    Rules,
    bind_codes,
    dtype_tags,
    grids_of,
    rational_element,
    real_of,
    unary_shapes,
)
from refq.graphs.sites import Site
from refq.layers import sigmoid_int16, tables
from refq.layers.hard_swish import hard_swish_fixed
from refq.layers.leaky import leaky_relu_integer, leaky_relu_real, leaky_relu_xnnpack, xnnpack_takes
from refq.layers.lookup import Grids
from refq.layers.quantizing import rescale_codes
from refq.layers.rescaling import ACTIVATIONS, activation_bounds
from refq.layers.sigmoid_exact import exact_curve, steps
from refq.layers.sigmoid_fixed import logistic_codes, tanh_codes
from refq.layers.sigmoid_libm import tanh_glibc

Codes = NDArray[np.int64]


def _curve_element(site: Site, grids: Grids, curve: str) -> Any:
    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        fields = ((site.input(0).name, tuple(slice(i, i + 1) for i in index)),)
        code = int(np.asarray(arrays[0])[index])
        value = steps(curve, real_of(grids, code), grids.out_scale, 20) + Decimal(grids.out_zero_point)
        words = f"{curve}(scale * (code - zero_point)) / out_scale + out_zero_point"
        return Element(fields, accumulator=code - grids.zero_point, approximate=str(value), words=words)

    return element


def _float_table(rule: str, grids: Grids, function: tables.Function32) -> Callable[[Codes], Codes]:
    return lambda codes: tables.FLOAT_TABLES[rule](codes, grids, function)


def _float_tables(grids: Grids, functions: Mapping[str, tables.Function32]) -> dict[str, Any]:
    return {rule: _float_table(rule, grids, function) for rule, function in functions.items()}


def _qdq_relu(codes: Codes, grids: Grids, ends: tuple[int | None, int | None]) -> Codes:
    low, high = (np.float32(limit if end is None else end) for end, limit in zip(ends, (-np.inf, np.inf), strict=True))
    return tables.onnxruntime_table(codes, grids, lambda x: np.minimum(np.maximum(x, low), high))


def _relu_rules(site: Site, grids: Grids) -> Rules:
    """The bounds of the op itself are rounded away from zero in every mode of LiteRT, unlike those that are fused."""
    low, high = ACTIVATIONS[site.node.op]
    limits = activation_bounds(site.node.op, grids.out_scale, grids.out_zero_point, grids.out_fmt)
    found: dict[str, Any] = {r: partial(rescale_codes, grids=grids, rule=r, limits=limits) for r in RESCALINGS}
    found["qdq:float32_ties_even"] = partial(_qdq_relu, grids=grids, ends=(low, high))
    real = partial(tables.relu_real, low=low, high=high)
    return found | {"real:ties_even": partial(tables.exact_table, grids=grids, function=real)}


def _leaky_rules(site: Site, grids: Grids) -> Rules:
    alpha = _alpha(site)
    negated = ("gemmlowp_double_negated",) if alpha < 0 else ()
    found: dict[str, Any] = {
        f"tflite:{name}": partial(leaky_relu_integer, grids=grids, alpha=alpha, rule=name)
        for name in ("gemmlowp_double", *negated, "double_up", "single_up")
    }
    if xnnpack_takes(grids, alpha):
        found["xnnpack:q8"] = partial(leaky_relu_xnnpack, grids=grids, alpha=alpha)
    found |= _float_tables(grids, dict.fromkeys(tables.FLOAT_TABLES, partial(tables.leaky32, alpha=alpha)))
    real = partial(leaky_relu_real, alpha=alpha)
    return found | {"real:ties_even": partial(tables.exact_table, grids=grids, function=real)}


def _alpha(site: Site) -> np.float32:
    alpha = site.attribute("alpha")
    if not isinstance(alpha, int | float | np.floating) or not np.isfinite(np.float32(alpha)):
        raise ValueError(f"leaky_relu {site.node.name}: alpha={alpha!r} is not a finite number; pass a float32")
    return np.float32(alpha)


def _hard_swish_rules(site: Site, grids: Grids) -> Rules:
    found: dict[str, Any] = (
        {} if grids.fmt.bits > 8 else {"tflite:fixed_point16": partial(hard_swish_fixed, grids=grids)}
    )
    found |= _float_tables(grids, dict.fromkeys(tables.FLOAT_TABLES, tables.hard_swish32))
    return found | {"real:ties_even": partial(tables.exact_table, grids=grids, function=tables.hard_swish_real)}


_CURVE_FUNCTIONS: dict[str, dict[str, tables.Function32]] = {
    "logistic": {
        "tflite:float_table": tables.logistic32,
        "xnnpack:float_table": tables.logistic_once,
        "onnxruntime:float_table": tables.logistic_once,
    },
    "tanh": {
        "tflite:float_table": tanh_glibc,
        "xnnpack:float_table": tanh_glibc,
        "onnxruntime:float_table": tables.tanh32,
    },
}
"""Which float32 function each runtime calls."""


def _curve_rules(site: Site, grids: Grids) -> Rules:
    name = site.node.op
    functions = _CURVE_FUNCTIONS[name]
    found: dict[str, Any] = dict(_float_tables(grids, functions))
    if grids.fmt.bits == 8:
        fixed = logistic_codes if name == "logistic" else tanh_codes
        found["gemmlowp:fixed_point32"] = partial(fixed, grids=grids)
    elif sigmoid_int16.takes(grids):
        table = sigmoid_int16.LOGISTIC if name == "logistic" else sigmoid_int16.TANH
        found |= {rule: partial(function, grids=grids) for rule, function in table.items()}
    return found | {"real:ties_even": partial(exact_curve, name, grids=grids)}


_MAKE: dict[str, Callable[[Site, Grids], Rules]] = {
    "relu": _relu_rules,
    "relu6": _relu_rules,
    "relu_n1_to_1": _relu_rules,
    "leaky_relu": _leaky_rules,
    "hard_swish": _hard_swish_rules,
    "logistic": _curve_rules,
    "tanh": _curve_rules,
}


def _element(site: Site, grids: Grids) -> Any:
    name = site.node.op
    if name in ("logistic", "tanh"):
        return _curve_element(site, grids, name)
    if name == "leaky_relu":
        return rational_element(site, grids, partial(leaky_relu_real, alpha=_alpha(site)), "x, or alpha * x below 0")
    if name == "hard_swish":
        return rational_element(site, grids, tables.hard_swish_real, "x * min(max(x + 3, 0), 6) / 6")
    low, high = ACTIVATIONS[name]
    return rational_element(site, grids, partial(tables.relu_real, low=low, high=high), f"x kept in {low}..{high}")


def _bind(site: Site, rounding: Rounding) -> Bound:
    grids = grids_of(site)
    return bind_codes(grids, _MAKE[site.node.op](site, grids), _element(site, grids))


def _rules(site: Site) -> tuple[str, ...]:
    return tuple(_MAKE[site.node.op](site, grids_of(site)))


def _leaky_tags(site: Site) -> frozenset[str]:
    taken = {"xnnpack"} if xnnpack_takes(grids_of(site), _alpha(site)) else set()
    return dtype_tags(site) | taken | ({"negative_alpha"} if _alpha(site) < 0 else set())


def _op(name: str, what: str, tags: Callable[[Site], frozenset[str]] = dtype_tags, **attributes: str) -> Op:
    return Op(name, what, partial(unary_shapes, name), _bind, _rules, tags, attributes=attributes)


OPS = (
    _op("relu", "max(x, 0), to the scale of the output"),
    _op("relu6", "min(max(x, 0), 6), to the scale of the output"),
    _op("relu_n1_to_1", "min(max(x, -1), 1), to the scale of the output"),
    _op("leaky_relu", "x, or alpha * x where x < 0", _leaky_tags, alpha="slope below 0, float32, finite"),
    _op("hard_swish", "x * min(max(x + 3, 0), 6) / 6"),
    _op("logistic", "1 / (1 + exp(-x))"),
    _op("tanh", "hyperbolic tangent"),
)
"""The ops of this family."""
