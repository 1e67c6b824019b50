"""Ops of one code, one code at a time: logistic, tanh, hard_swish, leaky_relu, relu under every rule.

Float rules are exactly rounded operations on rationals (`refq.spec.floats`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from refq.formats import INT16, IntFormat, Overflow, Rounding
from refq.rules import Arithmetic, Derivation, FixedScale, Rule, Split
from refq.spec.fixedpoint import high_multiply, quantize_multiplier, reduce_multiplier
from refq.spec.layers.tables_floats import exp_libm, f32, f64, logistic, tanh, tanh_libm
from refq.spec.requantize import requantize
from refq.spec.rounding import narrow, round_to_integer, shift_right

AWAY, EVEN = Rounding.TIES_AWAY, Rounding.TIES_EVEN
INT32 = IntFormat(32)
INTEGER = {
    rule.name: rule
    for rule in (
        Rule("gemmlowp_double", Arithmetic.INTEGER, Derivation.Q31, AWAY, Split.HIGH_MULTIPLY),
        Rule("double_up", Arithmetic.INTEGER, Derivation.Q31, Rounding.TIES_UP, Split.HIGH_MULTIPLY),
        Rule("single_up", Arithmetic.INTEGER, Derivation.Q31, Rounding.TIES_UP),
    )
}
"""The integer rules of LEAKY_RELU; the first one serves wherever TFLite's reference kernels scale by a multiplier."""


@dataclass(frozen=True)
class Ends:
    """Scale (a float32), zero point and format of the input and of the output."""

    scale: Fraction
    zero_point: int
    fmt: IntFormat
    out_scale: Fraction
    out_zero_point: int
    out_fmt: IntFormat


def _logistic_libm(x: Fraction) -> Fraction:
    return f32(1 / f32(1 + exp_libm(-x)))


def _hard_swish32(x: Fraction) -> Fraction:
    return f32(f32(x / 6) * max(min(f32(x + 3), Fraction(6)), Fraction(0)))


FUNCTIONS: dict[tuple[str, str], Callable[[Fraction], Fraction]] = {
    ("logistic", "tflite:float_table"): _logistic_libm,
    ("logistic", "xnnpack:float_table"): lambda x: f32(f64(logistic(x))),
    ("logistic", "onnxruntime:float_table"): lambda x: f32(f64(logistic(x))),
    ("tanh", "tflite:float_table"): tanh_libm,
    ("tanh", "xnnpack:float_table"): tanh_libm,
    ("tanh", "onnxruntime:float_table"): lambda x: f32(tanh(x)),
    ("hard_swish", "tflite:float_table"): _hard_swish32,
    ("hard_swish", "xnnpack:float_table"): _hard_swish32,
    ("hard_swish", "onnxruntime:float_table"): _hard_swish32,
}
"""The float32 function that a rule of an op calls."""


def _stored(value: int, ends: Ends) -> int:
    return narrow(value, ends.out_fmt, Overflow.SATURATE)


def float_table(code: int, ends: Ends, rule: str, function: Callable[[Fraction], Fraction]) -> int:
    """Dequantize, function, quantize, in float32, in the order of the rule."""
    y = function(f32(ends.scale * (code - ends.zero_point)))
    inverse = f32(1 / ends.out_scale)
    if rule == "tflite:float_table":
        return _stored(round_to_integer(f32(y * inverse), AWAY) + ends.out_zero_point, ends)
    if rule == "xnnpack:float_table":
        return _stored(round_to_integer(f32(f32(y * inverse) + ends.out_zero_point), EVEN), ends)
    return _stored(round_to_integer(f32(y / ends.out_scale), EVEN) + ends.out_zero_point, ends)


def real(code: int, ends: Ends, function: Callable[[Fraction], Fraction]) -> int:
    """round_even(f(scale * (code - zero)) / out_scale) + out_zero."""
    y = function(ends.scale * (code - ends.zero_point))
    return _stored(round_to_integer(y / ends.out_scale, EVEN) + ends.out_zero_point, ends)


def hard_swish(code: int, ends: Ends) -> int:
    """TFLite's 16-bit fixed point, 8-bit codes."""
    fine_scale = f32(ends.scale / 128)
    output = reduce_multiplier(quantize_multiplier(f32(fine_scale / ends.out_scale)))
    ramp = reduce_multiplier(quantize_multiplier(f32(fine_scale / f32(Fraction(3, 32768)))))
    fine = (code - ends.zero_point) * 128
    value, left = fine, 15 - ramp.shift
    if left > 0:
        value = narrow(value << (left - 1), INT16, Overflow.SATURATE)
    value = high_multiply(value, ramp.multiplier, 16)
    if left > 0:
        value = narrow(value << 1, INT16, Overflow.SATURATE)
    elif left < 0:
        value = shift_right(value, -left, AWAY)
    zero_to_one = (value + 32768) // 2
    product = zero_to_one * high_multiply(fine, output.multiplier, 16)
    cut = round_to_integer(Fraction(product, 1 << 15), Rounding.TOWARD_ZERO)
    return _stored(shift_right(cut, output.shift - 15, AWAY) + ends.out_zero_point, ends)


def leaky_relu(code: int, ends: Ends, alpha: Fraction, rule: str) -> int:
    """TFLite's two multipliers (`rule` an integer rule), "xnnpack:q8", a float table, or "real:ties_even"."""
    x, ratio = code - ends.zero_point, f32(ends.scale / ends.out_scale)
    if rule.endswith("float_table"):
        return float_table(code, ends, rule, lambda v: v if v >= 0 else f32(alpha * v))
    if rule == "real:ties_even":
        return real(code, ends, lambda v: v if v >= 0 else alpha * v)
    if rule == "xnnpack:q8":
        factor = f32(256 * ratio) if x >= 0 else f32(256 * f32(ratio * alpha))
        total = x * round_to_integer(factor, EVEN) + 256 * ends.out_zero_point
        return _stored(shift_right(total, 8, Rounding.TIES_UP), ends)
    factor = ratio if x >= 0 else f32(f32(ends.scale * alpha) / ends.out_scale)
    fixed = quantize_multiplier(abs(factor))
    if rule == "gemmlowp_double_negated":
        size = requantize(x, INTEGER["gemmlowp_double"], fixed, 0, INT32)
        return _stored((size if factor > 0 else -size) + ends.out_zero_point, ends)
    signed = FixedScale(fixed.multiplier if factor > 0 else -fixed.multiplier, fixed.shift)
    return _stored(requantize(x, INTEGER[rule], signed, 0, INT32) + ends.out_zero_point, ends)
