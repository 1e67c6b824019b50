"""add, sub and mul of two quantized tensors with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.elementwise_sites import ATTRIBUTES, batched, operands_of, rules, shapes, tags, takes_xnnpack
from refq.graphs.ops.records import Arrays, Bound, Element, Op
from refq.graphs.sites import Site
from refq.layers.elementwise import Operands, look_up, table_of
from refq.layers.elementwise_places import SCALAR, vector_run
from refq.layers.elementwise_rules import WIDTHS, X86, Binary, bind_multiply, bind_sum, bind_x86
from refq.layers.rescaling import activation_bounds

Codes = NDArray[Any]


@dataclass(frozen=True, eq=False)
class _Site:
    """A site with its operands, the bounds of its activation, and what was made ready for each rule."""

    site: Site
    operands: Operands
    limits: tuple[int, int]
    tables: dict[str, NDArray[np.uint8]] = field(default_factory=dict)


def _rule(bound: _Site, rule: str) -> Binary:
    bind = bind_multiply if bound.site.node.op == "mul" else bind_sum
    return bind(rule, bound.operands, bound.limits)


def _under(bound: _Site, name: str, make: Callable[[], Binary], a: Codes, b: Codes) -> Codes:
    """The codes under one rule; 8-bit ones from a table of all pairs that is made once."""
    operands = bound.operands
    if operands.output.fmt.bits != 8:
        return make()(a, b)
    if name not in bound.tables:
        bound.tables[name] = table_of(make(), operands.first.fmt, operands.second.fmt)
    return look_up(bound.tables[name], a, b, operands.output.fmt)


def _x86(bound: _Site, a: Codes, b: Codes) -> Codes:
    """Each element from the loop that computes it in a run of one sample."""
    op, first, second = bound.site.node.op, bound.site.input(0), bound.site.input(1)
    widths = WIDTHS[op][bound.operands.output.fmt.name]
    loop, length, body = vector_run(first.shape, second.shape, widths)
    loops = bind_x86(op, bound.operands, bound.limits)

    def under(place: int, a: Codes, b: Codes) -> Codes:
        return _under(bound, f"{X86}:{place}", partial(loops.__getitem__, place), a, b)

    if loop == SCALAR or body in (0, length) or not a.size:
        return under(loop if body else SCALAR, a, b)
    runs = [x.reshape(-1, length) for x in (a, b)]
    parts = [under(loop, *(x[:, :body] for x in runs)), under(SCALAR, *(x[:, body:] for x in runs))]
    return np.concatenate(parts, axis=1).reshape(a.shape)


def _gather(inputs: Arrays) -> tuple[Codes, Codes]:
    a, b = np.broadcast_arrays(*(np.asarray(x) for x in inputs))
    return np.asarray(a, order="C"), np.asarray(b, order="C")


def _finish(bound: _Site, gathered: tuple[Codes, Codes], rule: str) -> tuple[Codes, ...]:
    if rule == X86 and rule in rules(bound.site):
        return (_x86(bound, *gathered),)
    return (_under(bound, rule, lambda: _rule(bound, rule), *gathered),)


def _code(array: Codes, index: tuple[int, ...]) -> tuple[int, tuple[slice, ...]]:
    """The code that one element reads from an input, and where."""
    own = index[len(index) - array.ndim :]
    at = tuple(0 if size == 1 else i for i, size in zip(own, array.shape, strict=True))
    return int(array[at]), tuple(slice(i, i + 1) for i in at)


def _element(bound: _Site, inputs: Arrays, place: int, index: tuple[int, ...]) -> Element:
    operands, names = bound.operands, bound.site.node.inputs
    read = [_code(np.asarray(array), index) for array in inputs]
    steps = [code - x.zero_point for (code, _), x in zip(read, (operands.first, operands.second), strict=True)]
    scales = [Fraction(float(x.scale)) for x in (operands.first, operands.second, operands.output)]
    fields = tuple((str(name), at) for name, (_, at) in zip(names, read, strict=True))
    zero = operands.output.zero_point
    if bound.site.node.op == "mul":
        scale, total = scales[0] * scales[1] / scales[2], steps[0] * steps[1]
        return Element(fields, total, scale, total * scale + zero, words=f"{steps[0]} * {steps[1]}")
    value = (steps[0] * scales[0] + operands.sign * steps[1] * scales[1]) / scales[2] + zero
    sign = "-" if operands.sign < 0 else "+"
    words = f"{steps[0]} * {operands.first.scale} {sign} {steps[1]} * {operands.second.scale}"
    return Element(fields, value=value, words=words)


def bind(site: Site, rounding: Rounding) -> Bound:
    """The site ready to run; arrays of any number of samples, whole ones."""
    operands = operands_of(site)
    part, activation = operands.output, site.attribute("activation", "none")
    # what LiteRT's default delegate does not take, TFLite's kernels run, bounds included
    taken = site.format != "tflite" or takes_xnnpack(site, operands)
    bounds = rounding if taken else Rounding.TIES_AWAY
    limits = activation_bounds(activation, part.scale, part.zero_point, part.fmt, bounds)
    bound = _Site(site, operands, limits)
    return Bound(_gather, partial(_finish, bound), partial(_element, bound))


def _op(name: str, what: str, attributes: Mapping[str, str]) -> Op:
    return Op(name, what, partial(shapes, name), bind, rules, tags, batched, attributes)


OPS = (
    _op("add", "sum of two tensors, NumPy broadcasting", ATTRIBUTES),
    _op("sub", "difference of two tensors, NumPy broadcasting", ATTRIBUTES),
    _op("mul", "product of two tensors, NumPy broadcasting", {"activation": ATTRIBUTES["activation"]}),
)
