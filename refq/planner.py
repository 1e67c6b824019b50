"""A rule with its parameters, reduced to a plan.

All the decisions of a rule record are taken here, once, so that the kernels have none to take.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from refq.exact import thresholds
from refq.formats import IntFormat, Rounding
from refq.plans import FloatPlan, IntegerPlan, Plan
from refq.rounding import REAL_CONSTANTS, constants
from refq.rules import Arithmetic, Clamp, FixedScale, Rule, Scaling, Split, ZeroPoint
from refq.semantics import TRANSLATION_INVARIANT
from refq.spec.floats import FLOAT32, FLOAT64, round_to_float
from refq.spec.requantize import operand

# Fields of IntegerPlan that do nothing; pre_low..pre_high is all of int64.
_IDLE = dict.fromkeys(IntegerPlan._fields, 0) | {"pre_low": -(1 << 63), "pre_high": (1 << 63) - 1}


def _stage(name: str, rounding: Rounding, shift: int, nudge: bool = False) -> dict[str, int]:
    add, negative, odd = constants(rounding, shift)
    if nudge and shift > 31:
        add, negative = add + (1 << 30), negative - (1 << 31)
    return {name: shift, f"{name}_add": add, f"{name}_negative": negative, f"{name}_odd": odd}


def _single(rule: Rule, shift: int) -> dict[str, int]:
    return _stage("low", rule.rounding, shift, rule.nudge)


def _high_multiply(rule: Rule, shift: int) -> dict[str, int]:
    left = max(31 - shift, 0)
    move = {"move": 1, "left": left, "wrap_in": 32} if left else {}
    low = _stage("low", rule.rounding, max(shift - 31, 0))
    return move | _stage("high", rule.high_rounding, 31) | low


def _shift_first(rule: Rule, shift: int) -> dict[str, int]:
    right = shift - 15
    move = {"move": 1, "left": max(-right, 0), "pre_low": -(1 << 15), "pre_high": (1 << 15) - 1}
    return move | _stage("pre", rule.high_rounding, max(right, 0)) | _stage("low", rule.rounding, 15)


def _halve_last(rule: Rule, shift: int) -> dict[str, int]:
    high = _stage("high", rule.high_rounding, shift - 1)
    return high | {"wrap_mid": 32} | _stage("low", rule.rounding, 1)


_SPLIT = {
    Split.SINGLE: _single,
    Split.HIGH_MULTIPLY: _high_multiply,
    Split.SHIFT_FIRST: _shift_first,
    Split.HALVE_LAST: _halve_last,
}


def integer_plan(rule: Rule, fixed: FixedScale, zero_point: int, fmt: IntFormat) -> IntegerPlan:
    """The columns of one channel for integer arithmetic."""
    before = rule.zero_point == ZeroPoint.BEFORE
    # added outside the width of the result only where it follows both the rounding and the clamp
    after = zero_point if rule.clamp == Clamp.FIRST and not before else 0
    fields = _IDLE | _SPLIT[rule.split](rule, fixed.shift)
    fields |= {"multiplier": fixed.multiplier, "addend": fixed.addend, "qmin": fmt.qmin, "qmax": fmt.qmax}
    # before the last rounding it changes the sign and parity that the rounding sees
    seen = zero_point if before and rule.rounding not in TRANSLATION_INVARIANT else 0
    fields |= {"before": seen, "inside": zero_point - after, "after": after}
    if rule.result_bits == 32 and _may_leave_int32(rule, fixed, zero_point):
        fields["wrap_out"] = 32
    else:
        fields |= {"inside": 0, "after": zero_point}
    return IntegerPlan(**fields)


def _may_leave_int32(rule: Rule, fixed: FixedScale, zero_point: int) -> bool:
    """|acc * multiplier + addend| / 2**shift + |zero point| + 2 can reach 2**31."""
    largest = (abs(fixed.multiplier) << (rule.acc_bits - 1)) + abs(fixed.addend)
    return (largest >> fixed.shift) + abs(zero_point) + 2 >= 1 << 31


def _float_leaves_int32(rule: Rule, scale: Fraction, zero_point: int, scaling: Scaling | None) -> bool:
    """Whether int32 matters to a float rule: its result is narrowed to it and may exceed it (a real input may)."""
    if rule.clamp == Clamp.FIRST or rule.result_bits != 32:
        return False
    largest = (scale + scale / (1 << 20)) * (1 << (rule.acc_bits - 1)) + abs(zero_point) + 2
    return scaling in (Scaling.DIVISION, Scaling.RECIPROCAL) or largest >= 1 << 31


def float_plan(
    rule: Rule, scale: Fraction, zero_point: int, fmt: IntFormat, scaling: Scaling | None = None
) -> FloatPlan:
    """The columns of one channel for float arithmetic; the scale must be exact in it."""
    before = rule.zero_point == ZeroPoint.BEFORE
    number = FLOAT32 if rule.arithmetic == Arithmetic.FLOAT32 else FLOAT64
    if scaling == Scaling.RECIPROCAL:
        scale = round_to_float(1 / scale, number)
    parity, up, down = REAL_CONSTANTS[rule.rounding]
    return FloatPlan(
        scale=float(scale),
        single=number is FLOAT32,
        divide=scaling == Scaling.DIVISION,
        before=zero_point if before else 0,
        parity=parity,
        up=up,
        down=down,
        last=_float_leaves_int32(rule, scale, zero_point, scaling),
        after=0 if before else zero_point,
        qmin=fmt.qmin,
        qmax=fmt.qmax,
    )


def _exact_column(rule: Rule, scale: Fraction, zero_point: int, fmt: IntFormat) -> list[int]:
    before = zero_point if rule.zero_point == ZeroPoint.BEFORE else 0
    found = thresholds(scale, rule.rounding, before, zero_point - before, fmt)
    # a threshold beyond int64 is never reached from below and always passed from above
    return [min(max(t, -(1 << 63)), (1 << 63) - 1) for t in found]


def _acc_bound(arithmetic: Arithmetic, columns: list[Any]) -> int:
    """Largest |acc| for which |acc * multiplier + addend| plus every constant added to it stays below 2**63."""
    if arithmetic != Arithmetic.INTEGER:
        # an exact threshold over int64 is held as its largest value, which is therefore not asked
        return (1 << 63) - 2 if arithmetic == Arithmetic.EXACT else 1 << 63
    return min((_room(p) // max(abs(p.multiplier), 1) for p in columns), default=0)


def _room(p: IntegerPlan) -> int:
    high = abs(p.high_add) + abs(p.high_negative) + abs(p.high_odd)
    low = abs(p.low_add) + abs(p.low_negative) + abs(p.low_odd)
    return (1 << 63) - 1 - abs(p.addend) - max(high, low)


def laid_out(arithmetic: Arithmetic, columns: list[Any], dtype: Any, fmt: IntFormat) -> Plan:
    """The columns of all channels as one table."""
    rows = np.array(columns, dtype=dtype).reshape(len(columns), -1)
    return Plan(arithmetic, np.ascontiguousarray(rows.T), fmt.qmin, fmt.qmax, _acc_bound(arithmetic, columns))


def plan(rule: Rule, scales: list[Fraction | FixedScale], zero_points: list[int], fmt: IntFormat) -> Plan:
    """One column a channel from the rule, real or fixed scales, zero points and the output format."""
    operands = [operand(rule, scale) for scale in scales]
    columns: list[Any]
    dtype: Any = np.int64
    if rule.arithmetic == Arithmetic.INTEGER:
        columns = [integer_plan(rule, f, z, fmt) for f, z in zip(operands, zero_points, strict=True)]  # type: ignore[arg-type]
    elif rule.arithmetic == Arithmetic.EXACT:
        columns = [_exact_column(rule, s, z, fmt) for s, z in zip(operands, zero_points, strict=True)]  # type: ignore[arg-type]
    else:
        dtype = np.float64
        columns = [float_plan(rule, s, z, fmt) for s, z in zip(operands, zero_points, strict=True)]  # type: ignore[arg-type]
    return laid_out(rule.arithmetic, columns, dtype, fmt)
