"""Graph ops: float32 elementwise operations, each rounded once, concat, and the curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.floats_sites import (
    Explaining,
    bind_float,
    broadcast_point,
    exact,
    given,
    names_of,
    needed,
    point,
    same_shape,
)
from refq.graphs.ops.records import Arrays, Bound, Element, Op, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.floats_curves import CURVE_RULES, SOFTMAX_RULES, float_sigmoid, float_softmax, float_tanh

Attributes = Mapping[str, Any]
Inputs = tuple[Tensor | None, ...]
BINARY: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "float_add": (np.add, lambda a, b: a + b),
    "float_sub": (np.subtract, lambda a, b: a - b),
    "float_mul": (np.multiply, lambda a, b: a * b),
}


def _broadcast_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    a, b = needed(name, inputs, 0).shape, needed(name, inputs, 1).shape
    try:
        return (tuple(np.broadcast_shapes(a, b)),)
    except ValueError:
        raise ValueError(f"node {name}: shapes {a} and {b} do not broadcast") from None


def _bind_binary(site: Site, bounds: Rounding) -> Bound:
    array_way, exact_way = BINARY[site.node.op]

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            found: NDArray[Any] = array_way(given(arrays, 0), given(arrays, 1), dtype=np.float32)
            return found

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        operands = [(array, broadcast_point(index, array.shape)) for array in (given(arrays, 0), given(arrays, 1))]
        value = exact_way(*(exact(array[at]) for array, at in operands))
        fields = tuple((name, point(at)) for name, (_, at) in zip(names_of(site), operands, strict=False))
        return Element(fields, value=value, words="one float32 operation")

    return bind_float(site, compute, explain)


def float_relu(x: NDArray[Any]) -> NDArray[Any]:
    """x where it is above 0 or a zero of either sign, else 0."""
    return np.where(x < 0, np.float32(0), x)


def float_clip(x: NDArray[Any], low: float | None, high: float | None) -> NDArray[Any]:
    """x between low and high, which are rounded to float32; None for no bound."""
    floor = x if low is None else np.maximum(x, np.float32(low))
    return floor if high is None else np.minimum(floor, np.float32(high))


def float_leaky_relu(x: NDArray[Any], alpha: float) -> NDArray[Any]:
    """x where it is 0 or more, else alpha * x rounded to float32; alpha is rounded to float32."""
    return np.where(x >= 0, x, x * np.float32(alpha))


_UNARY: dict[str, Callable[[NDArray[Any], Attributes], NDArray[Any]]] = {
    "float_relu": lambda x, a: float_relu(x),
    "float_clip": lambda x, a: float_clip(x, a.get("low"), a.get("high")),
    "float_leaky_relu": lambda x, a: float_leaky_relu(x, a.get("alpha", 0.01)),
}


def _bind_unary(site: Site, bounds: Rounding) -> Bound:
    way, attributes = _UNARY[site.node.op], site.node.attributes

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            return way(given(arrays, 0), attributes)

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        x = given(arrays, 0)[index]
        value = exact(way(np.array(x), attributes))
        if site.node.op == "float_leaky_relu" and x < 0:
            value = exact(x) * exact(np.float32(attributes.get("alpha", 0.01)))
        return Element(((names_of(site)[0], point(index)),), value=value, words="one float32 operation")

    return bind_float(site, compute, explain)


def _digits(site: Site, function: Callable[[Decimal], Decimal]) -> Explaining:
    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        with localcontext() as context:
            context.prec = 40
            value = function(Decimal(float(given(arrays, 0)[index])))
        return Element(((names_of(site)[0], point(index)),), approximate=f"{value:.17g}", words=site.node.op)

    return explain


def _bind_sigmoid(site: Site, bounds: Rounding) -> Bound:
    explain = _digits(site, lambda x: 1 / (1 + (-x).exp()))
    return bind_float(site, lambda arrays, rule: float_sigmoid(given(arrays, 0), rule), explain)


def _bind_tanh(site: Site, bounds: Rounding) -> Bound:
    explain = _digits(site, lambda x: 1 - 2 / ((2 * min(x, Decimal(50))).exp() + 1))
    return bind_float(site, lambda arrays, rule: float_tanh(given(arrays, 0), rule), explain)


def _bind_softmax(site: Site, bounds: Rounding) -> Bound:
    axis = int(site.attribute("axis", -1))

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        at = axis % len(index)
        field = tuple(slice(0, given(arrays, 0).shape[i]) if i == at else s for i, s in enumerate(point(index)))
        row = np.ravel(given(arrays, 0)[field])
        with localcontext() as context:
            context.prec = 40
            powers = [(Decimal(float(v)) - Decimal(float(row.max()))).exp() for v in row]
            value = powers[index[at]] / sum(powers)
        return Element(((names_of(site)[0], field),), approximate=f"{value:.17g}", words=f"softmax of {row.size}")

    return bind_float(site, lambda arrays, rule: float_softmax(given(arrays, 0), axis, rule), explain)


def _softmax_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    x = needed(name, inputs, 0).shape
    _axis(name, attributes.get("axis", -1), len(x))
    return (x,)


def _axis(name: str, axis: Any, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"node {name}: axis={axis} outside {-rank}..{rank - 1}")
    return int(axis) % rank


def _concat_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    shapes = [needed(name, inputs, i).shape for i in range(len(inputs))]
    axis = _axis(name, attributes.get("axis", 0), len(shapes[0]))
    rests = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    if len(rests) != 1 or len({len(s) for s in shapes}) != 1:
        raise ValueError(f"node {name}: shapes {', '.join(map(str, shapes))} do not join along axis {axis}")
    return ((*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]),)


def _bind_concat(site: Site, bounds: Rounding) -> Bound:
    axis = _axis(site.node.name, site.attribute("axis", 0), len(site.input(0).shape))

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        return np.concatenate([given(arrays, i) for i in range(len(arrays))], axis)

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        place, rest = 0, index[axis]
        while rest >= given(arrays, place).shape[axis]:
            rest -= given(arrays, place).shape[axis]
            place += 1
        at = (*index[:axis], rest, *index[axis + 1 :])
        value = exact(given(arrays, place)[at])
        return Element(((names_of(site)[place], point(at)),), value=value, words="a copy")

    return bind_float(site, compute, explain)


OPS: tuple[Op, ...] = (
    Op("float_add", "float32 a + b, rounded once", _broadcast_shapes, _bind_binary),
    Op("float_sub", "float32 a - b, rounded once", _broadcast_shapes, _bind_binary),
    Op("float_mul", "float32 a * b, rounded once", _broadcast_shapes, _bind_binary),
    Op("float_relu", "float32 max(x, 0)", same_shape, _bind_unary),
    Op(
        "float_clip",
        "float32 between two bounds",
        same_shape,
        _bind_unary,
        attributes={"low": "a float or None", "high": "a float or None"},
    ),
    Op("float_leaky_relu", "float32 x, alpha * x below 0", same_shape, _bind_unary, attributes={"alpha": "a float"}),
    Op("float_sigmoid", "float32 1 / (1 + exp(-x))", same_shape, _bind_sigmoid, lambda site: CURVE_RULES),
    Op("float_tanh", "float32 tanh(x)", same_shape, _bind_tanh, lambda site: CURVE_RULES),
    Op(
        "float_softmax",
        "float32 exp(x) / sum of exp(x)",
        _softmax_shapes,
        _bind_softmax,
        lambda site: SOFTMAX_RULES,
        attributes={"axis": "a dimension"},
    ),
    Op("float_concat", "float32 tensors joined", _concat_shapes, _bind_concat, attributes={"axis": "a dimension"}),
)
