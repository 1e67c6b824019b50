"""Plans on arrays by NumPy: what `refq.pipeline` does one accumulator at a time, for few values.

A kernel is compiled once a process for each arithmetic, which takes a second; a tracer that tries twenty rules on a
thousand sums needs none of them. Equal `refq.pipeline` value by value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of
from refq.formats import IntFormat
from refq.planned import run_prepared
from refq.plans import FloatPlan, IntegerPlan, Plan
from refq.rules import Arithmetic

FEW = 1 << 18
"""Up to so many values NumPy takes less time than the compiler: some 30 ns a value."""


def plan_codes(where: str, plan: Plan, acc: NDArray[Any], axis: int, fmt: IntFormat) -> NDArray[Any]:
    """Codes of checked accumulators (any shape, integers) under a plan; its channels lie along `axis`.

    where: for errors. Few values go through NumPy, many through `refq.planned.run_prepared`: the same codes.

    >>> from refq.formats import INT8
    >>> from refq.parameters import prepare
    >>> plan_codes("here", prepare("float64_ties_away", 0.5, 7, INT8)[0], np.array([-3, 1, 1000]), -1, INT8)
    array([  5,   8, 127], dtype=int8)
    """
    if acc.size > FEW:
        return run_prepared(where, plan, acc, None if plan.table.shape[1] == 1 else axis, fmt)
    codes = _exact(plan, acc, axis) if plan.arithmetic == Arithmetic.EXACT else _by_columns(plan, acc, axis)
    return codes.astype(dtype_of(fmt.bits, fmt.signed))


def _by_columns(plan: Plan, acc: NDArray[Any], axis: int) -> NDArray[Any]:
    """The table's rows in a shape that meets the sums along the axis of the channels."""
    shape = [1] * acc.ndim
    if plan.table.shape[1] > 1:
        shape[axis] = plan.table.shape[1]
    rows = plan.table.reshape(len(plan.table), *shape)
    x = acc.astype(np.int64)
    return _integer(x, IntegerPlan(*rows)) if plan.arithmetic == Arithmetic.INTEGER else _float(x, FloatPlan(*rows))


def _shifted(x: Any, shift: Any, add: Any, if_negative: Any, if_odd: Any, offset: Any = 0) -> NDArray[np.int64]:
    """`rounding.add_and_shift`; a shift of 0 adds nothing."""
    on = shift != 0
    total = x + add * on
    floor = (x >> shift) + offset
    if if_negative.any():
        total += (floor >> 63) & (if_negative * on)
    if if_odd.any():
        total += -(floor & 1) & (if_odd * on)
    result: NDArray[np.int64] = total >> shift
    return result


def _integer(x: Any, p: Any) -> NDArray[np.int64]:
    if p.move.any():
        moved = ((x << p.left) << p.wrap_in) >> p.wrap_in
        moved = _shifted(moved, p.pre, p.pre_add, p.pre_negative, p.pre_odd)
        x = np.where(p.move != 0, np.clip(moved, p.pre_low, p.pre_high), x)
    value = x * p.multiplier + p.addend
    value = (_shifted(value, p.high, p.high_add, p.high_negative, p.high_odd) << p.wrap_mid) >> p.wrap_mid
    value = _shifted(value, p.low, p.low_add, p.low_negative, p.low_odd, p.before) + p.inside
    value = ((value << p.wrap_out) >> p.wrap_out) + p.after
    codes: NDArray[np.int64] = np.clip(value, p.qmin, p.qmax)
    return codes


def _product(x: Any, p: Any) -> NDArray[np.float64]:
    """The product or quotient and the zero point that is added before rounding, in float64 or in float32."""
    kind = np.float32 if p.single.all() else np.float64
    scale, narrow = p.scale.astype(kind), x.astype(kind)
    with np.errstate(over="ignore"):
        found = narrow / scale if p.divide.all() else narrow * scale
        if p.before.any():
            found = found + p.before.astype(kind)
    wide: NDArray[np.float64] = found.astype(np.float64)
    return wide


def _rounded(value: Any, p: Any) -> NDArray[np.float64]:
    """`rounding.round_real`."""
    if (p.parity == 1.0).all():
        nearest: NDArray[np.float64] = np.rint(value)
        return nearest
    whole = np.trunc(value)
    with np.errstate(invalid="ignore"):
        rest = value - whole
    moved: NDArray[np.float64] = whole + (rest >= p.up) - (rest <= p.down)
    if (p.parity == 2.0).any():
        stays = ((np.abs(rest) == p.up) | (p.up < 0.5)) & (whole != 2.0 * np.floor(whole * 0.5))
        moved = np.where(stays, whole, moved)
    return moved


def _float(x: Any, p: Any) -> NDArray[Any]:
    value = _rounded(_product(x, p), p)
    if not p.last.any():
        codes: NDArray[Any] = np.clip(value, p.qmin - p.after, p.qmax - p.after) + p.after
        return codes
    value = np.where((value >= -(2.0**31)) & (value < 2.0**31), value, -(2.0**31))
    stored = ((value + p.after).astype(np.int64) << 32) >> 32
    result: NDArray[np.int64] = np.clip(stored, p.qmin.astype(np.int64), p.qmax.astype(np.int64))
    return result


def _exact(plan: Plan, acc: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """The number of thresholds at or below each sum."""
    if plan.table.shape[1] == 1:
        return np.searchsorted(plan.table[:, 0], acc, side="right") + plan.qmin
    found = np.empty(acc.shape, np.int64)
    for c in range(plan.table.shape[1]):
        place = (slice(None),) * (axis % acc.ndim) + (c,)
        found[place] = np.searchsorted(plan.table[:, c], acc[place], side="right") + plan.qmin
    return found
