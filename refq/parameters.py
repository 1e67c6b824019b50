"""From what a user passes to a checked plan: rule, scales, zero points, format, and the accumulators allowed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refq.arguments import Real, format_of, integer, real
from refq.formats import INT8, IntFormat
from refq.planner import plan
from refq.plans import Plan
from refq.rules import Arithmetic, Derivation, FixedScale, Rule, Split
from refq.semantics import RULES
from refq.spec.fixedpoint import fixed_scale

_Q31, _Q15 = (1 << 31) - 1, (1 << 15) - 1
_MULTIPLIERS = {
    Derivation.TOSA32: (0, _Q31),
    Derivation.TOSA16: (0, _Q15),
    Derivation.REDUCED15: (0, _Q15),
    Derivation.MANTISSA15: (0, _Q15),
    Derivation.DYADIC31: (0, 1 << 31),
}
_SHIFTS = {Derivation.TOSA32: (2, 62), Derivation.TOSA16: (2, 62)}


def find(function: str, rule: Rule | str, rules: dict[str, Rule]) -> Rule:
    """A rule given by record or by name."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise TypeError(f"{function}: rule={rule!r} is not a Rule or a name; legal names: {', '.join(rules)}")
    if rule not in rules:
        raise ValueError(f"{function}: rule={rule!r} is unknown; legal: {', '.join(rules)}")
    return rules[rule]


def check_fixed(function: str, rule: Rule, fixed: FixedScale) -> FixedScale:
    """Multiplier and shift inside what the rule's arithmetic is defined on."""
    low, high = _MULTIPLIERS.get(rule.derivation, (-_Q31, _Q31))
    if rule.arithmetic == Arithmetic.EXACT:
        # its thresholds are divisions by the scale
        low = 1
    integer(function, "multiplier", fixed.multiplier, low, high)
    least = 1 if rule.split == Split.HALVE_LAST else 0
    integer(function, "shift", fixed.shift, *_SHIFTS.get(rule.derivation, (least, 62)))
    integer(function, "addend", fixed.addend, -(1 << 61), 1 << 61)
    if fixed.addend and (rule.split != Split.SINGLE or rule.nudge):
        raise ValueError(f"{function}: addend={fixed.addend} needs a rule of one plain shift; {rule.name} is none")
    return fixed


def check_scale(function: str, rule: Rule, scale: Real | FixedScale, name: str = "scale") -> Fraction | FixedScale:
    """A legal FixedScale for integer arithmetic, given or derived; else the real scale as an exact rational."""
    if isinstance(scale, FixedScale):
        return check_fixed(function, rule, scale)
    exact = real(function, name, scale)
    if rule.arithmetic != Arithmetic.INTEGER:
        return exact
    try:
        return check_fixed(function, rule, fixed_scale(exact, rule.derivation, rule.fraction_bits))
    except ValueError as error:
        raise ValueError(
            f"{function}: {name}={scale} does not fit {rule.name}: {str(error).split(': ', 1)[1]}"
        ) from None


def check_format(function: str, fmt: IntFormat) -> IntFormat:
    """An output format of at most 32 bits."""
    integer(function, "fmt.bits", format_of(function, fmt).bits, 1, 32)
    return fmt


def acc_limits(rule: Rule, shift: int | None) -> tuple[int, int]:
    """The accumulators a rule is defined on; TOSA asks for |acc| < 2**(shift-1) besides."""
    bits = rule.acc_bits
    if rule.derivation == Derivation.TOSA32 and shift is not None:
        bits = min(bits, shift)
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _domain(rule: Rule, prepared: Plan, scales: list[Fraction | FixedScale]) -> tuple[int, int]:
    shifts = [s.shift for s in scales if isinstance(s, FixedScale)]
    low, high = acc_limits(rule, min(shifts, default=None))
    return max(low, -prepared.acc_bound), min(high, prepared.acc_bound)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.ravel()) if value.ndim else [value[()]]
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def paired(function: str, scale: Any, zero_point: Any, fmt: IntFormat) -> tuple[list[Any], list[int]]:
    """One scale and one zero point a channel; a single value serves all channels."""
    scales, zeros = _listed(scale), _listed(zero_point)
    count = max(len(scales), len(zeros))
    for name, values in (("scale", scales), ("zero_point", zeros)):
        if len(values) not in (1, count):
            raise ValueError(f"{function}: {name} has {len(values)} channels, expected 1 or {count}")
    zeros = [integer(function, "zero_point", z, fmt.qmin, fmt.qmax) for z in zeros]
    return scales * (count // len(scales)), zeros * (count // len(zeros))


def prepare(
    rule: Rule | str, scale: Any, zero_point: Any = 0, fmt: IntFormat = INT8, function: str = "requantize"
) -> tuple[Plan, tuple[int, int]]:
    """A checked plan and the accumulators it is exact on."""
    rule, fmt = find(function, rule, RULES), check_format(function, fmt)
    if rule.arithmetic == Arithmetic.EXACT:
        # the kernel searches a table of all thresholds
        integer(function, "fmt.bits", fmt.bits, 1, 16)
    scales, zeros = paired(function, scale, zero_point, fmt)
    exact = [check_scale(function, rule, s) for s in scales]
    prepared = plan(rule, exact, zeros, fmt)
    return prepared, _domain(rule, prepared, exact)
