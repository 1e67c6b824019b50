"""accumulator -> stored value under a rule, step by step: the definition that everything else must equal.

Float arithmetic is written as exactly rounded operations on rationals (`refq.spec.floats`).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from refq.formats import INT16, INT32, IntFormat, Overflow, Rounding
from refq.rules import Arithmetic, Clamp, Derivation, FixedScale, Rule, Scaling, Split, ZeroPoint
from refq.spec.fixedpoint import fixed_scale, high_multiply
from refq.spec.floats import FLOAT32, FLOAT64, FloatFormat, round_to_float
from refq.spec.rounding import narrow, round_to_integer, shift_right

_FLOATS = (Arithmetic.FLOAT32, Arithmetic.FLOAT64)


@dataclass(frozen=True)
class Step:
    """One line of the arithmetic: what was computed and its exact value."""

    what: str
    value: Fraction


def operand(rule: Rule, scale: Fraction | FixedScale) -> Fraction | FixedScale:
    """What the rule multiplies by: a FixedScale for integer arithmetic, else a rational that is exact.

    A FixedScale given to integer arithmetic is taken as it is; elsewhere it stands for multiplier / 2**shift.
    """
    if isinstance(scale, FixedScale):
        if rule.arithmetic == Arithmetic.INTEGER:
            return scale
        scale = Fraction(scale.multiplier, 1 << scale.shift)
    if rule.derivation == Derivation.FLOAT32:
        return round_to_float(scale, FLOAT32)
    if rule.derivation == Derivation.FLOAT64:
        return round_to_float(scale, FLOAT64)
    if rule.derivation == Derivation.EXACT:
        return scale
    fixed = fixed_scale(scale, rule.derivation, rule.fraction_bits)
    if rule.arithmetic == Arithmetic.INTEGER:
        return fixed
    return Fraction(fixed.multiplier) / Fraction(2) ** fixed.shift


def _single(acc: int, rule: Rule, fixed: FixedScale) -> tuple[list[Step], Fraction]:
    product = acc * fixed.multiplier + fixed.addend
    steps = [Step("product", Fraction(product))]
    if rule.nudge and fixed.shift > 31:
        # TOSA: the constant moves by 2**30 away from zero; TIES_UP below adds the half
        product += 1 << 30 if acc >= 0 else -(1 << 30)
        steps.append(Step("product nudged by 2**30", Fraction(product)))
    return steps, Fraction(product, 1 << fixed.shift)


def _high_multiply(acc: int, rule: Rule, fixed: FixedScale) -> tuple[list[Step], Fraction]:
    left, right = max(31 - fixed.shift, 0), max(fixed.shift - 31, 0)
    shifted = narrow(acc << left, INT32, Overflow.WRAP)
    steps = [Step(f"left shift by {left} in int32", Fraction(shifted))] if left else []
    high = high_multiply(shifted, fixed.multiplier, 32, rule.high_rounding)
    steps.append(Step("exact high product / 2**31", Fraction(shifted * fixed.multiplier, 1 << 31)))
    steps.append(Step(f"rounded once, {rule.high_rounding.name.lower()}", Fraction(high)))
    return steps, Fraction(high, 1 << right)


def _shift_first(acc: int, rule: Rule, fixed: FixedScale) -> tuple[list[Step], Fraction]:
    right = fixed.shift - 15
    moved = shift_right(acc, right, rule.high_rounding) if right > 0 else acc << -right
    saturated = narrow(moved, INT16, Overflow.SATURATE)
    steps = [Step(f"shift right by {right}, saturated to int16", Fraction(saturated))]
    return steps, Fraction(saturated * fixed.multiplier, 1 << 15)


def _halve_last(acc: int, rule: Rule, fixed: FixedScale) -> tuple[list[Step], Fraction]:
    floored = shift_right(acc * fixed.multiplier, fixed.shift - 1, rule.high_rounding)
    wrapped = narrow(floored, INT32, Overflow.WRAP)
    return [Step(f"all bits but one, {rule.high_rounding.name.lower()}, in int32", Fraction(wrapped))], Fraction(
        wrapped, 2
    )


_SPLIT = {
    Split.SINGLE: _single,
    Split.HIGH_MULTIPLY: _high_multiply,
    Split.SHIFT_FIRST: _shift_first,
    Split.HALVE_LAST: _halve_last,
}


def _float_format(rule: Rule) -> FloatFormat:
    return FLOAT32 if rule.arithmetic == Arithmetic.FLOAT32 else FLOAT64


def _rounded(value: Fraction, fmt: FloatFormat) -> Fraction:
    """round_to_float, where 2**overflow stands for infinity: whatever follows saturates either."""
    try:
        return round_to_float(value, fmt)
    except OverflowError:
        return Fraction(2) ** fmt.overflow * (1 if value > 0 else -1)


def _float_product(acc: int, scale: Fraction, fmt: FloatFormat) -> tuple[list[Step], Fraction]:
    converted = _rounded(Fraction(acc), fmt)
    product = _rounded(converted * scale, fmt)
    return [
        Step(f"accumulator as {fmt.name}", converted),
        Step("exact product with it", converted * scale),
        Step(f"product as {fmt.name}", product),
    ], product


def _scaled(acc: int, rule: Rule, scale: Fraction | FixedScale) -> tuple[list[Step], Fraction]:
    """The value whose rounding is the rule's last one."""
    factor = operand(rule, scale)
    if isinstance(factor, FixedScale):
        return _SPLIT[rule.split](acc, rule, factor)
    if rule.arithmetic == Arithmetic.EXACT:
        return [Step("exact product", acc * factor)], acc * factor
    return _float_product(acc, factor, _float_format(rule))


def _add_zero_point(value: Fraction, rule: Rule, zero_point: int) -> Fraction:
    if rule.arithmetic in _FLOATS:
        number = _float_format(rule)
        return _rounded(value + _rounded(Fraction(zero_point), number), number)
    return value + zero_point


def _store(rounded: int, rule: Rule, offset: int, fmt: IntFormat) -> int:
    """Zero point (if still to come), width of the result, clamp."""
    if rule.arithmetic == Arithmetic.INTEGER and rule.result_bits == 32:
        rounded = narrow(rounded, INT32, Overflow.WRAP)
    last = rule.clamp == Clamp.LAST and rule.arithmetic != Arithmetic.EXACT and rule.result_bits == 32
    if last and not INT32.qmin <= rounded <= INT32.qmax:
        rounded = INT32.qmin  # what x86 converts every float outside int32 to
    total = rounded + offset
    if last:
        total = narrow(total, INT32, Overflow.WRAP)
    return narrow(total, fmt, Overflow.SATURATE)


def _finish(steps: list[Step], value: Fraction, rule: Rule, zero_point: int, fmt: IntFormat) -> list[Step]:
    before = rule.zero_point == ZeroPoint.BEFORE
    if before and zero_point:
        value = _add_zero_point(value, rule, zero_point)
        steps.append(Step(f"plus zero point {zero_point}, before rounding", value))
    else:
        steps.append(Step("to round last", value))
    rounded = round_to_integer(value, rule.rounding)
    steps.append(Step(f"rounded, {rule.rounding.name.lower()}", Fraction(rounded)))
    stored = _store(rounded, rule, 0 if before else zero_point, fmt)
    steps.append(Step("stored", Fraction(stored)))
    return steps


def requantize_steps(acc: int, rule: Rule, scale: Fraction | FixedScale, zero_point: int, fmt: IntFormat) -> list[Step]:
    """Every intermediate value on the way from acc to the stored code, the last step being the code."""
    steps, value = _scaled(acc, rule, scale)
    return _finish(steps, value, rule, zero_point, fmt)


def requantize(acc: int, rule: Rule, scale: Fraction | FixedScale, zero_point: int, fmt: IntFormat) -> int:
    """The stored code: clamp(round(acc * scale) + zero_point), in the rule's arithmetic and order.

    >>> from refq.formats import INT8
    >>> from refq.semantics import RULES
    >>> [requantize(-2, RULES[n], Fraction(1, 4), 0, INT8) for n in ("gemmlowp_double", "double_up")]
    [-1, 0]
    """
    return int(requantize_steps(acc, rule, scale, zero_point, fmt)[-1].value)


def quantize_steps(
    x: Fraction, rule: Rule, scaling: Scaling, scale: Fraction, zero_point: int, fmt: IntFormat
) -> list[Step]:
    """Every intermediate value on the way from a real x to its code: x / scale, or x * (1 / scale).

    The scale is a float32, as model files hold it, whatever the arithmetic.
    """
    number = _float_format(rule)
    scale = round_to_float(scale, FLOAT32)
    if scaling == Scaling.DIVISION:
        value = _rounded(x / scale, number)
        return _finish([Step(f"x / scale as {number.name}", value)], value, rule, zero_point, fmt)
    inverse = _rounded(1 / scale, number)
    value = _rounded(x * inverse, number)
    steps = [Step(f"1 / scale as {number.name}", inverse), Step(f"x times it as {number.name}", value)]
    return _finish(steps, value, rule, zero_point, fmt)


def quantize(x: Fraction, rule: Rule, scaling: Scaling, scale: Fraction, zero_point: int, fmt: IntFormat) -> int:
    """The code of a real number (ONNX QuantizeLinear, TFLite QUANTIZE).

    >>> from refq.formats import INT8
    >>> from refq.semantics import QUANTIZE_RULES
    >>> half, rule = Fraction(1, 2), QUANTIZE_RULES["float32_ties_even"]
    >>> quantize(-3 * half, rule, Scaling.DIVISION, half + half, 7, INT8)
    5
    """
    return int(quantize_steps(x, rule, scaling, scale, zero_point, fmt)[-1].value)


__all__ = ["Rounding", "Step", "operand", "quantize", "quantize_steps", "requantize", "requantize_steps"]
