"""What ops of one code share: the grids of a site, a table a rule, the exact value of an element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.records import Arrays, Bound, Element, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, scale_of, zero_point_of
from refq.layers.lookup import Grids, all_codes, look_up, stored

Codes = NDArray[np.int64]
Rules = Mapping[str, Callable[[Codes], Codes]]
"""Rule -> a function of codes, int64, defined on every code of the input."""

RESCALINGS = (
    "gemmlowp_double/float32_product/after",
    "gemmlowp_double/double_product/after",
    "double_up/float32_product/after",
    "double_up/double_product/after",
    "single_up/float32_product/after",
    "single_up/double_product/after",
    "tosa_scale32_double/double_product/after",
    "tosa_scale32_single/double_product/after",
    "float32_ties_even/float32_product/after",
    "float64_ties_away/double_product/after",
    "exact_ties_even/exact_product/after",
)
"""Rules by which relu and requantize take codes to another scale."""


def unary_shapes(op: str, name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """One input; the output has its shape."""
    if len(inputs) != 1 or inputs[0] is None:
        raise ValueError(f"{op} {name}: inputs={len(inputs)}; pass one tensor")
    return (inputs[0].shape,)


def grids_of(site: Site, widths: tuple[int, ...] = (8, 16)) -> Grids:
    """Scales, zero points and formats of the one input and the one output of a site."""
    x, y = site.input(0), site.outputs[0]
    for tensor in (x, y):
        if format_of(site, tensor).bits not in widths:
            legal = " or ".join(str(w) for w in widths)
            raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} is {tensor.dtype}; pass {legal} bits")
    ends = [(scale_of(site, t), zero_point_of(site, t), format_of(site, t)) for t in (x, y)]
    try:
        return Grids(*ends[0], *ends[1])
    except ValueError as error:
        raise ValueError(f"{site.node.op} {site.node.name}: {error}") from None


def dtype_tags(site: Site) -> frozenset[str]:
    """The dtype of the input, and `equal_scales` where input and output have one scale and zero point."""
    x, y = site.input(0), site.outputs[0]
    equal = scale_of(site, x) == scale_of(site, y) and zero_point_of(site, x) == zero_point_of(site, y)
    return frozenset({x.dtype, *(("equal_scales",) if equal else ())})


def real_of(grids: Grids, code: int) -> Fraction:
    """What a code of the input stands for."""
    return Fraction(float(grids.scale)) * (code - grids.zero_point)


def rational_element(site: Site, grids: Grids, function: Callable[[Fraction], Fraction], words: str) -> Any:
    """Bound.element of a function from rationals to rationals."""

    def element(arrays: Arrays, place: int, index: tuple[int, ...]) -> Element:
        fields = ((site.input(0).name, tuple(slice(i, i + 1) for i in index)),)
        code = int(np.asarray(arrays[0])[index])
        value = function(real_of(grids, code)) / Fraction(float(grids.out_scale)) + grids.out_zero_point
        return Element(fields, accumulator=code - grids.zero_point, value=value, words=words)

    return element


def bind_codes(grids: Grids, rules: Rules, element: Any) -> Bound:
    """A bound site whose rules are functions of one code: a table a rule, made when it is first asked for."""
    made: dict[str, NDArray[Any]] = {}

    def finish(codes: Any, rule: str) -> tuple[NDArray[Any], ...]:
        if rule not in made:
            made[rule] = stored(rules[rule](all_codes(grids.fmt)), grids.out_fmt)
        return (look_up(codes, made[rule], grids.fmt),)

    return Bound(lambda arrays: arrays[0], finish, element)
