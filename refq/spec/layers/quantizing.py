"""DEQUANTIZE, conversions between scales, and which rule a position follows, one element at a time."""

from __future__ import annotations

from fractions import Fraction

from refq.formats import Overflow, Rounding
from refq.rules import Arithmetic, Clamp, Derivation, Rule, Scaling
from refq.spec.layers.tables import Ends
from refq.spec.layers.tables_floats import f32, f64
from refq.spec.requantize import quantize
from refq.spec.rounding import narrow, round_to_integer, shift_right


def rule_at(place: int, period: int, rule: str) -> str:
    """The rule of the element at a place of a tensor of stacked inferences of `period` elements each.

    >>> [rule_at(place, 3, "blocks2:A+B") for place in range(4)]
    ['A', 'A', 'B', 'A']
    """
    if not rule.startswith("blocks"):
        return rule
    size, both = rule[len("blocks") :].split(":")
    body, rest = both.split("+")
    return body if place % period < period // int(size) * int(size) else rest


def dequantize(code: int, scale: Fraction, zero_point: int, rule: str) -> Fraction:
    """The float32 value of a code.

    >>> [float(dequantize(1, Fraction(3, 10), 100, r)) for r in ("float32_product", "float32_shifted")]
    [-29.700000762939453, -29.700000762939453]
    """
    if rule == "float32_shifted":
        return f32(f32(f32(Fraction(code)) * scale) + f32(-zero_point * scale))
    difference = Fraction(code - zero_point)
    return f32(f32(difference) * scale) if rule == "float32_product" else f32(f64(difference * scale))


def requantize_q8(code: int, ends: Ends) -> int:
    """XNNPACK: the ratio of scales with 8 fraction bits, ties to even; the product with it, ties up."""
    factor = round_to_integer(f32(256 * f32(ends.scale / ends.out_scale)), Rounding.TIES_EVEN)
    value = shift_right((code - ends.zero_point) * factor, 8, Rounding.TIES_UP)
    return narrow(value + ends.out_zero_point, ends.out_fmt, Overflow.SATURATE)


def through_float(code: int, ends: Ends, rounding: Rounding) -> int:
    """Dequantized to float32, then quantized by division in float32, rounded as told."""
    value = dequantize(code, ends.scale, ends.zero_point, "float32_product")
    kind = Derivation.FLOAT32
    rule = Rule("divide", Arithmetic.FLOAT32, kind, rounding, acc_bits=64, clamp=Clamp.FIRST)
    return quantize(value, rule, Scaling.DIVISION, ends.out_scale, ends.out_zero_point, ends.out_fmt)
