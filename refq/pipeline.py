"""The three kernels of requantization, one accumulator at a time: integer, float and exact arithmetic.

Integer rules are one pipeline with the rule's numbers in it, float rules another, exact rules are a
search in their thresholds. Twins of `refq.spec.requantize`. Each comes with `turn`, which counts wraps.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from refq.plans import ExactPlan, FloatPlan, IntegerPlan
from refq.rounding import add_and_shift, round_real


@njit
def _move(x, p):
    """Left shift in int32, or a rounding right shift, then saturation. |x| < 2**48, left <= 31."""
    x = x << p.left
    if p.wrap_in != 0:
        x = (x << p.wrap_in) >> p.wrap_in
    x = add_and_shift(x, p.pre, p.pre_add, p.pre_negative, p.pre_odd, 0)
    return min(max(x, p.pre_low), p.pre_high)


@njit
def integer_value(x, p):
    """The rounded value before it is narrowed. |x| <= Plan.acc_bound keeps every sum below 2**63."""
    if p.move != 0:
        x = _move(x, p)
    value = x * p.multiplier + p.addend
    if p.high != 0:
        value = add_and_shift(value, p.high, p.high_add, p.high_negative, p.high_odd, 0)
    if p.wrap_mid != 0:
        value = (value << p.wrap_mid) >> p.wrap_mid
    if p.low != 0:
        value = add_and_shift(value, p.low, p.low_add, p.low_negative, p.low_odd, p.before)
    return value


@njit
def integer_code(x, p):
    """Twin of spec.requantize.requantize for integer arithmetic."""
    value = integer_value(x, p) + p.inside
    if p.wrap_out != 0:
        value = (value << p.wrap_out) >> p.wrap_out
    return min(max(value + p.after, p.qmin), p.qmax)


@njit
def integer_plain(x, p):
    """integer_code where all but these steps is idle: see `dispatch.fastest`."""
    value = x * p.multiplier
    if p.high != 0:
        value = (value + p.high_add) >> p.high
    total = value + p.low_add
    if p.low_negative != 0:
        # the sign of the floor is the sign of the value
        total += (value >> 63) & p.low_negative
    return min(max((total >> p.low) + p.after, p.qmin), p.qmax)


@njit
def integer_turn(x, p):
    """How many times the value has wrapped: monotone in x between two wraps of the input.

    Where the middle wraps, its halved value cannot wrap again.
    """
    if p.wrap_mid != 0:
        product = x * p.multiplier + p.addend
        middle = add_and_shift(product, p.high, p.high_add, p.high_negative, p.high_odd, 0)
        return (middle + 2147483648) >> 32
    if p.wrap_out == 0:
        return 0
    return (integer_value(x, p) + p.inside + 2147483648) >> 32


@njit
def float_value(x, p):
    """The rounded value, a float64 that is an integer. A float32 operation is rounded to float32 at once."""
    if p.single != 0.0:
        narrow = np.float32(x)
        scale = np.float32(p.scale)
        product = np.float64(narrow / scale) if p.divide != 0.0 else np.float64(narrow * scale)
        if p.before != 0.0:
            product = np.float64(np.float32(product) + np.float32(p.before))
    else:
        product = np.float64(x) / p.scale if p.divide != 0.0 else np.float64(x) * p.scale
        product += p.before
    return round_real(product, p.parity, p.up, p.down)


@njit
def float_code(x, p):
    """Twin of spec.requantize.requantize for float arithmetic; bounds and zero point are integers <= 2**31."""
    value = float_value(x, p)
    if p.last == 0.0:
        return np.int64(min(max(value, p.qmin - p.after), p.qmax - p.after) + p.after)
    if not (-2147483648.0 <= value < 2147483648.0):
        value = -2147483648.0
    stored = ((np.int64(value + p.after)) << 32) >> 32
    return min(max(stored, np.int64(p.qmin)), np.int64(p.qmax))


@njit
def float32_plain(x, p):
    """float_code where a float32 multiply is all there is: see `dispatch.fastest`."""
    value = round_real(np.float64(np.float32(x) * np.float32(p.scale)), p.parity, p.up, p.down)
    return np.int32(min(max(value, p.qmin - p.after), p.qmax - p.after) + p.after)


@njit
def float64_plain(x, p):
    """float_code where a float64 multiply is all there is: see `dispatch.fastest`."""
    value = round_real(np.float64(x) * p.scale, p.parity, p.up, p.down)
    return np.int32(min(max(value, p.qmin - p.after), p.qmax - p.after) + p.after)


@njit
def float_turn(x, p):
    """-2 below int32, 2 above it, between them how often adding the zero point wraps: monotone in x."""
    if p.last == 0.0:
        return 0
    value = float_value(x, p)
    if value < -2147483648.0:
        return -2
    if value >= 2147483648.0:
        return 2
    return np.int64(value + p.after + 2147483648.0) >> 32


@njit
def exact_code(x, p):
    """Number of thresholds at or below x, by bisection."""
    low, high = 0, p.thresholds.size
    while low < high:
        middle = (low + high) >> 1
        if p.thresholds[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low + p.qmin


@njit
def integer_column(table, c, qmin):
    """Column c of an integer table as a record."""
    t = table[:, c]
    return IntegerPlan(
        t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12],
        t[13], t[14], t[15], t[16], t[17], t[18], t[19], t[20], t[21], t[22], t[23], t[24], t[25],
    )  # fmt: skip


@njit
def float_column(table, c, qmin):
    """Column c of a float table as a record."""
    t = table[:, c]
    return FloatPlan(t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10])


@njit
def exact_column(table, c, qmin):
    """Column c of a threshold table as a record."""
    return ExactPlan(table[:, c], qmin)
