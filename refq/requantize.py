"""accumulator -> stored value under a named rule, and real -> code: array functions over `refq.pipeline`.

Equal `refq.spec.requantize` element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import Real, dtype_of, in_range, integer, integer_array, real
from refq.formats import INT8, IntFormat
from refq.pipeline import run_plan
from refq.plans import Plan, float_plan, plan
from refq.rules import Arithmetic, Derivation, FixedScale, Rule, Scaling, Split
from refq.semantics import QUANTIZE_RULES, RULES
from refq.spec.fixedpoint import fixed_scale
from refq.spec.floats import FLOAT32, round_to_float

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
    integer(function, "multiplier", fixed.multiplier, low, high)
    least = 1 if rule.split == Split.HALVE_LAST else 0
    integer(function, "shift", fixed.shift, *_SHIFTS.get(rule.derivation, (least, 62)))
    integer(function, "addend", fixed.addend, -(1 << 61), 1 << 61)
    if fixed.addend and rule.split != Split.SINGLE:
        raise ValueError(f"{function}: addend={fixed.addend} needs a rule of one shift; {rule.name} has two")
    return fixed


def check_scale(function: str, rule: Rule, scale: Real | FixedScale, name: str = "scale") -> Fraction | FixedScale:
    """A real scale as an exact rational whose multiplier the rule can hold, or a legal FixedScale."""
    if isinstance(scale, FixedScale):
        return check_fixed(function, rule, scale)
    exact = real(function, name, scale)
    if rule.arithmetic == Arithmetic.INTEGER:
        try:
            check_fixed(function, rule, fixed_scale(exact, rule.derivation, rule.fraction_bits))
        except ValueError as error:
            raise ValueError(
                f"{function}: {name}={scale} does not fit {rule.name}: {str(error).split(': ', 1)[1]}"
            ) from None
    return exact


def check_format(function: str, fmt: IntFormat) -> IntFormat:
    """An output format of at most 32 bits."""
    if not isinstance(fmt, IntFormat):
        raise TypeError(f"{function}: fmt={fmt!r} is not an IntFormat; pass IntFormat(8) or parse_format('int8')")
    integer(function, "fmt.bits", fmt.bits, 1, 32)
    return fmt


def acc_limits(rule: Rule, shift: int | None) -> tuple[int, int]:
    """The accumulators a rule is defined on; TOSA asks for |acc| < 2**(shift-1) besides."""
    bits = rule.acc_bits
    if rule.derivation == Derivation.TOSA32 and shift is not None:
        bits = min(bits, shift)
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _domain(rule: Rule, prepared: Plan, scales: list[Fraction | FixedScale]) -> tuple[int, int]:
    shifts = (
        [(s if isinstance(s, FixedScale) else fixed_scale(s, rule.derivation)).shift for s in scales]
        if (rule.derivation == Derivation.TOSA32)
        else []
    )
    low, high = acc_limits(rule, min(shifts, default=None))
    return max(low, -prepared.acc_bound), min(high, prepared.acc_bound)


def _channels(function: str, shape: tuple[int, ...], count: int, axis: int | None) -> tuple[int, int, int]:
    """(outer, channels, inner) of an array whose `axis` holds the channels; one channel spans everything."""
    size = int(np.prod(shape))
    if axis is None and count == 1:
        return 1, 1, size
    axis = -1 if axis is None else integer(function, "axis", axis, -len(shape), len(shape) - 1)
    if not shape:
        raise ValueError(f"{function}: {count} channels on a scalar; pass an array with a channel axis")
    axis %= len(shape)
    if shape[axis] != count:
        raise ValueError(f"{function}: axis={axis} has {shape[axis]} channels, the parameters have {count}")
    return int(np.prod(shape[:axis])), count, int(np.prod(shape[axis + 1 :]))


def _listed(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.ravel()) if value.ndim else [value[()]]
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _paired(function: str, scale: Any, zero_point: Any, fmt: IntFormat) -> tuple[list[Any], list[int]]:
    """One scale and one zero point a channel; a single value serves all channels."""
    scales, zeros = _listed(scale), _listed(zero_point)
    count = max(len(scales), len(zeros))
    for name, values in (("scale", scales), ("zero_point", zeros)):
        if len(values) not in (1, count):
            raise ValueError(f"{function}: {name} has {len(values)} channels, expected 1 or {count}")
    zeros = [integer(function, "zero_point", z, fmt.qmin, fmt.qmax) for z in zeros]
    return scales * (count // len(scales)), zeros * (count // len(zeros))


def _run(function: str, prepared: Plan, x: NDArray[Any], axis: int | None, fmt: IntFormat) -> NDArray[Any]:
    shape = _channels(function, x.shape, prepared.table.shape[1], axis)
    out = np.empty(shape, dtype_of(fmt.bits, fmt.signed))
    run_plan(prepared, np.ascontiguousarray(x).reshape(shape), out)
    return out.reshape(x.shape)


def prepare(
    rule: Rule | str, scale: Any, zero_point: Any = 0, fmt: IntFormat = INT8, function: str = "requantize"
) -> tuple[Plan, tuple[int, int]]:
    """A checked plan and the accumulators it is exact on."""
    rule, fmt = find(function, rule, RULES), check_format(function, fmt)
    scales, zeros = _paired(function, scale, zero_point, fmt)
    exact = [check_scale(function, rule, s) for s in scales]
    prepared = plan(rule, exact, zeros, fmt)
    return prepared, _domain(rule, prepared, exact)


def requantize(
    acc: Any,
    rule: Rule | str,
    scale: Real | FixedScale | Sequence[Real | FixedScale] | NDArray[Any],
    *,
    zero_point: int | Sequence[int] | NDArray[Any] = 0,
    fmt: IntFormat = INT8,
    axis: int | None = None,
) -> NDArray[Any]:
    """clamp(round(acc * scale) + zero_point) in the rule's own arithmetic; equals `spec.requantize.requantize`.

    acc: any shape, integer dtype, inside the rule's accumulator width. rule: a name of RULES or a Rule.
    scale: real units per unit of the accumulator, > 0, or a FixedScale (multiplier / 2**shift); one value,
    or one a channel along `axis` (default: last). zero_point: inside fmt, one or one a channel.
    Returns the smallest NumPy dtype that holds `fmt`, of acc's shape.
    Raises TypeError for kinds, ValueError for ranges and shapes. Source: see `Rule.source`.

    >>> requantize([-2, 1, 2, 10], "gemmlowp_double", 0.25)
    array([-1,  1,  1,  3], dtype=int8)
    >>> requantize([-2, 1, 2, 10], "float32_ties_even", 0.25, zero_point=7)
    array([7, 7, 7, 9], dtype=int8)
    """
    array = integer_array("requantize", "acc", acc)
    prepared, (low, high) = prepare(rule, scale, zero_point, fmt)
    in_range("requantize", "acc", array, low, high)
    if array.dtype == np.uint64:
        array = array.astype(np.int64)
    return _run("requantize", prepared, array, axis, fmt)


def quantize(
    x: Any,
    rule: Rule | str,
    scale: Real | Sequence[Real] | NDArray[Any],
    *,
    scaling: Scaling = Scaling.DIVISION,
    zero_point: int | Sequence[int] | NDArray[Any] = 0,
    fmt: IntFormat = INT8,
    axis: int | None = None,
) -> NDArray[Any]:
    """clamp(round(x / scale) + zero_point), or x times the rounded reciprocal; equals `spec.requantize.quantize`.

    x: any shape, float32 (taken exactly; infinities saturate, NaN is refused). rule: a name of
    QUANTIZE_RULES or a Rule of float arithmetic. scale: > 0, one or one a channel along `axis`, rounded to float32.
    Source: ONNX QuantizeLinear (division), XNNPACK f32 to qs8 (reciprocal).

    >>> import numpy as np
    >>> x, s = np.float32([0.273939937]), np.float32(0.00214854861)
    >>> [int(quantize(x, "float32_ties_even", s, scaling=how, fmt=IntFormat(9))[0])
    ...  for how in (Scaling.DIVISION, Scaling.RECIPROCAL)]
    [127, 128]
    """
    array = np.asarray(x)
    if array.dtype != np.float32:
        raise TypeError(f"quantize: x has dtype {array.dtype}; pass float32")
    if np.isnan(array).any():
        raise ValueError(f"quantize: x.flat[{int(np.argmax(np.isnan(array)))}] is NaN; NaN has no code")
    if scaling not in (Scaling.DIVISION, Scaling.RECIPROCAL):
        raise ValueError(f"quantize: scaling={scaling!r} is not Scaling.DIVISION or Scaling.RECIPROCAL")
    rule, fmt = find("quantize", rule, QUANTIZE_RULES), check_format("quantize", fmt)
    if rule.arithmetic not in (Arithmetic.FLOAT32, Arithmetic.FLOAT64):
        raise ValueError(f"quantize: rule={rule.name!r} has no float arithmetic; legal: {', '.join(QUANTIZE_RULES)}")
    scales, zeros = _paired("quantize", scale, zero_point, fmt)
    exact = [round_to_float(real("quantize", "scale", s), FLOAT32) for s in scales]
    columns = [float_plan(rule, s, z, fmt, scaling) for s, z in zip(exact, zeros, strict=True)]
    table = np.ascontiguousarray(np.array(columns, np.float64).reshape(len(columns), -1).T)
    return _run("quantize", Plan(rule.arithmetic, table, fmt.qmin, fmt.qmax, 1 << 63), array, axis, fmt)


__all__ = ["acc_limits", "prepare", "quantize", "requantize"]
