"""The rules that sums of products can follow on their way to codes, by label, and the two-rule labels of vector code.

A label is RULE/PRODUCT/ZERO_POINT as `refq.parse_semantics` reads it; or FIRST+SECOND_tail/PRODUCT/ZERO_POINT, where
the channels in whole vectors of eight follow FIRST and the channels behind them SECOND.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from refq.labels import parse_semantics
from refq.rules import Arithmetic, Semantics

LANES = 8
"""Channels of one vector in LiteRT's depthwise output stage on x86 (optimized_ops.h, Quantize of int8)."""

VECTORS_OF_EIGHT = "double_up+gemmlowp_double_tail/double_product/after"
"""LiteRT's depthwise convolution of int8 on x86: vectors round ties up, the scalar code behind them away from zero."""

_SUMS_OF_32_BITS = (
    "gemmlowp_double/double_product/after",
    "double_up/double_product/after",
    "single_up/double_product/after",
    "float32_ties_even/float32_product/after",
    "float64_ties_away/double_product/after",
    "gemmlowp_double/mixed_product/after",
    "double_up/mixed_product/after",
    "single_up/mixed_product/after",
    "float32_ties_even/float32_product/before",
    "float64_ties_even/float32_product/before",
    "float64_ties_even/double_product/after",
    "float32_ties_away/float32_product/after",
    "single_even/double_product/after",
    "single_away/double_product/after",
    "xnnpack_rndnu/float32_product/after",
    "qnnpack_precise/float32_product/after",
    "tosa_scale32_single/double_product/after",
    "tosa_scale32_double/double_product/after",
)
_EXACT = ("exact_ties_even/exact_product/after", "exact_ties_away/exact_product/after")
_SUMS_OF_64_BITS = (
    "reduced_int64/double_product/after",
    "reduced_int64/mixed_product/after",
    "reduced_int64_halved/double_product/after",
    "reduced_int64_halved/mixed_product/after",
    "float64_ties_away/double_product/after",
    "float32_ties_even/float32_product/after",
    "tosa_scale16/double_product/after",
    "gemmlowp_double/double_product/after",
    "double_up/double_product/after",
    "single_up/double_product/after",
    "gemmlowp_double/mixed_product/after",
    "double_up/mixed_product/after",
    "single_up/mixed_product/after",
    "float64_ties_even/double_product/after",
    "float64_ties_even/float32_product/before",
    "tosa_scale32_double/double_product/after",
)


def product_rules(bits: int, *, wide: bool = False, tail: bool = False) -> tuple[str, ...]:
    """The rules to try on a layer of products whose codes have `bits` bits, those of released runtimes first.

    wide: its sums have 64 bits (int16 activations with an int64 bias). tail: of LiteRT's depthwise kind. Rules with a
    table of all thresholds are left out above 8 bits, where making the table takes longer than the layer.

    >>> product_rules(8)[0], len(product_rules(8)), VECTORS_OF_EIGHT in product_rules(8, tail=True)
    ('gemmlowp_double/double_product/after', 20, True)
    """
    found = _SUMS_OF_64_BITS if wide else _SUMS_OF_32_BITS
    return found + (VECTORS_OF_EIGHT,) * tail + _EXACT * (bits <= 8)


def tail_channels(channels: int) -> NDArray[np.bool_]:
    """Which channels lie behind the last whole vector: (channels,). The pixel plays no part, nor does the filter.

    >>> tail_channels(11).nonzero()[0]
    array([ 8,  9, 10])
    """
    behind: NDArray[np.bool_] = np.arange(channels) >= channels // LANES * LANES
    return behind


def parse_product_rule(label: str, *, wide: bool = False) -> tuple[Semantics, Semantics]:
    """What whole vectors follow, and what the channels behind them: twice the same but for a two-rule label.

    wide: sums of 64 bits; float64 rules then take all sums that a float64 holds. ValueError for an unknown label.

    >>> [each.rule.name for each in parse_product_rule(VECTORS_OF_EIGHT)]
    ['double_up', 'gemmlowp_double']
    """
    head, slash, rest = label.partition("/")
    first, plus, second = head.partition("+")
    if plus and not second.endswith("_tail"):
        raise ValueError(f"parse_product_rule: label={label!r} has {second!r}; write FIRST+SECOND_tail/PRODUCT")
    names = (first, second.removesuffix("_tail") if plus else first)
    ahead, behind = (_widened(parse_semantics(name + slash + rest), wide) for name in names)
    return ahead, behind


def _widened(semantics: Semantics, wide: bool) -> Semantics:
    """A float64 product takes sums of 53 bits exactly; runtimes with 32-bit sums never see more than 32."""
    if not wide or semantics.rule.arithmetic != Arithmetic.FLOAT64 or semantics.rule.acc_bits > 32:
        return semantics
    return replace(semantics, rule=replace(semantics.rule, acc_bits=54))
