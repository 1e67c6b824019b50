"""Shifts and rescaling of small arrays in plain NumPy: nothing to compile for a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import in_range
from refq.formats import Rounding
from refq.rules import FixedScale

Ints = NDArray[np.int64]


def divide(x: Any, shift: Any, rounding: Rounding) -> Ints:
    """round(x / 2**shift) of int64, |x| < 2**62; ties away, ties up or floor.

    shift: 0..62, one, or one an element.

    >>> [divide(np.array([-3, -1, 1, 3]), 1, r).tolist() for r in (Rounding.TIES_AWAY, Rounding.TIES_UP)]
    [[-2, -1, 1, 2], [-1, 0, 1, 2]]
    """
    x, shift = np.asarray(x, np.int64), np.asarray(shift, np.int64)
    half = 0 if rounding == Rounding.FLOOR else (np.int64(1) << shift) >> 1
    # nothing is rounded where the shift is 0
    below_zero = (x < 0) & (shift > 0) if rounding == Rounding.TIES_AWAY else 0
    return np.asarray((x + half - below_zero) >> shift, np.int64)


def high_multiply(x: Ints, multiplier: int) -> Ints:
    """round(x * multiplier / 2**31), ties up; |x| <= 2**31 and |multiplier| < 2**31, so nothing saturates."""
    return (x * multiplier + (1 << 30)) >> 31


def wrap(x: Ints, bits: int) -> Ints:
    """The low bits of x as a signed number."""
    return np.asarray((x << (64 - bits)) >> (64 - bits), np.int64)


def _doubly(x: Ints, fixed: FixedScale, rounding: Rounding) -> Ints:
    left, right = max(31 - fixed.shift, 0), max(fixed.shift - 31, 0)
    return divide(high_multiply(wrap(x << left, 32), fixed.multiplier), right, rounding)


def rescale(x: Ints, rule: str, fixed: FixedScale) -> Ints:
    """x * multiplier / 2**shift under a rule of refq.semantics.RULES, as int32 in int64.

    rule: gemmlowp_double, double_up, single_up, tosa_scale32_single or tosa_scale32_double. x: inside int32, which is
    the width these rules are defined on; ValueError elsewhere. Equals `refq.spec.requantize.requantize` to int32.
    """
    in_range("rescale", "acc", x, -(1 << 31), (1 << 31) - 1, f"; {rule} is not defined there")
    if rule == "gemmlowp_double":
        found = _doubly(x, fixed, Rounding.TIES_AWAY)
    elif rule == "double_up":
        found = _doubly(x, fixed, Rounding.TIES_UP)
    else:
        nudge: Any = 0
        if rule == "tosa_scale32_double" and fixed.shift > 31:
            nudge = np.where(x >= 0, 1 << 30, -(1 << 30))
        found = divide(x * fixed.multiplier + nudge, fixed.shift, Rounding.TIES_UP)
    return np.clip(wrap(found, 32), -(1 << 31), (1 << 31) - 1)
