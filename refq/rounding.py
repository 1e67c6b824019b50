"""Array twins of refq.spec.rounding: shift with rounding, float to integer, narrowing to a format.

Every rounding of x / 2**s is the floor of x plus a constant, plus one constant more if the
floor is negative and another if it is odd:  (x + add + [q < 0] if_negative + [q odd] if_odd) >> s.
One branch-free line serves the eleven rules; `constants` is the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import dtype_of, in_range, integer, integer_array
from refq.formats import IntFormat, Overflow, Rounding

EVEN = int(Rounding.TIES_EVEN)
CEIL = int(Rounding.CEIL)
AWAY_FROM_ZERO = int(Rounding.AWAY_FROM_ZERO)
TOWARD_ZERO = int(Rounding.TOWARD_ZERO)
TIES_AWAY = int(Rounding.TIES_AWAY)
TIES_UP = int(Rounding.TIES_UP)
TIES_DOWN = int(Rounding.TIES_DOWN)
TIES_ODD = int(Rounding.TIES_ODD)
FLOOR = int(Rounding.FLOOR)
JAM = int(Rounding.JAM)


def constants(rounding: Rounding, shift: int) -> tuple[int, int, int]:
    """(add, if_negative, if_odd) of the line above for a right shift of `shift` bits.

    >>> constants(Rounding.TIES_AWAY, 3)
    (4, -1, 0)
    """
    if shift == 0:
        return 0, 0, 0
    half, mask = 1 << (shift - 1), (1 << shift) - 1
    return {
        Rounding.FLOOR: (0, 0, 0),
        Rounding.CEIL: (mask, 0, 0),
        Rounding.TOWARD_ZERO: (0, mask, 0),
        Rounding.AWAY_FROM_ZERO: (mask, -mask, 0),
        Rounding.TIES_EVEN: (half - 1, 0, 1),
        Rounding.TIES_AWAY: (half, -1, 0),
        Rounding.TIES_UP: (half, 0, 0),
        Rounding.TIES_DOWN: (half - 1, 0, 0),
        Rounding.TIES_TOWARD_ZERO: (half - 1, 1, 0),
        Rounding.TIES_ODD: (half, 0, -1),
        Rounding.JAM: (mask, 0, -mask),
    }[rounding]


@njit
def add_and_shift(x, shift, add, if_negative, if_odd, offset):
    """Twin of spec.rounding.shift_right; sign and parity are those of the floor plus `offset`.

    |x| < 2**62 and 0 <= shift <= 62, so x + 2**62 - 1 does not wrap.
    """
    total = x + add
    if if_negative != 0:
        total += (((x >> shift) + offset) >> 63) & if_negative
    if if_odd != 0:
        total += -(((x >> shift) + offset) & 1) & if_odd
    return total >> shift


@njit
def _shift_right(x, shift, add, if_negative, if_odd, out):
    for i in range(x.size):
        out[i] = add_and_shift(x[i], shift, add, if_negative, if_odd, 0)


def shift_right(x: Any, shift: int, rounding: Rounding) -> NDArray[np.int64]:
    """round(x / 2**shift), element by element; equals `spec.rounding.shift_right`.

    x: any shape, integer dtype, -2**62 < x < 2**62. shift: 0..62 bits. Returns int64 of x's shape.
    Raises TypeError for a non-integer dtype, ValueError for values outside those ranges.

    >>> shift_right([-3, -1, 1, 3], 1, Rounding.TIES_UP)
    array([-1,  0,  1,  2])
    """
    array = integer_array("shift_right", "x", x)
    bits = integer("shift_right", "shift", shift, 0, 62)
    in_range("shift_right", "x", array, -(1 << 62) + 1, (1 << 62) - 1)
    out = np.empty(array.size, np.int64)
    _shift_right(array.astype(np.int64).ravel(), bits, *constants(Rounding(rounding), bits), out)
    return out.reshape(array.shape)


@njit
def round_real(value, rounding):
    """Twin of spec.rounding.round_to_integer for a float64; every step is exact.

    value - trunc(value) has no more significant bits than value, so it is a float64.
    """
    if rounding == EVEN:
        return np.rint(value)
    whole = np.trunc(value)
    rest = abs(value - whole)
    sign = -1.0 if value < 0.0 else 1.0
    odd = whole != 2.0 * np.floor(whole * 0.5)
    if rounding == FLOOR:
        away = rest > 0.0 and sign < 0.0
    elif rounding == CEIL:
        away = rest > 0.0 and sign > 0.0
    elif rounding == TOWARD_ZERO:
        away = False
    elif rounding == AWAY_FROM_ZERO:
        away = rest > 0.0
    elif rounding == JAM:
        away = rest > 0.0 and not odd
    elif rest != 0.5:
        away = rest > 0.5
    elif rounding == TIES_AWAY:
        away = True
    elif rounding == TIES_UP:
        away = sign > 0.0
    elif rounding == TIES_DOWN:
        away = sign < 0.0
    elif rounding == TIES_ODD:
        away = not odd
    else:
        away = False
    return whole + sign if away else whole


@njit
def _round_to_integer(x, rounding, out):
    for i in range(x.size):
        out[i] = np.int64(round_real(x[i], rounding))


def round_to_integer(x: Any, rounding: Rounding) -> NDArray[np.int64]:
    """round(x) of float32 or float64 values; equals `spec.rounding.round_to_integer` of the exact value.

    x: any shape, finite, |x| <= 2**62. Returns int64 of x's shape.
    Raises TypeError for other dtypes, ValueError for NaN, infinities and larger values.

    >>> round_to_integer([-2.5, -0.5, 0.5, 2.5], Rounding.TIES_EVEN)
    array([-2,  0,  0,  2])
    """
    array = np.asarray(x)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"round_to_integer: x has dtype {array.dtype}; pass float32 or float64")
    bad = ~(np.abs(array) <= 2.0**62)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"round_to_integer: x.flat[{at}]={array.flat[at]} is outside -2**62..2**62")
    out = np.empty(array.size, np.int64)
    _round_to_integer(array.astype(np.float64).ravel(), int(Rounding(rounding)), out)
    return out.reshape(array.shape)


def narrow(x: Any, fmt: IntFormat, overflow: Overflow) -> NDArray[Any]:
    """x brought into the format; equals `spec.rounding.narrow` element by element.

    x: any shape, integer dtype. Returns the smallest NumPy dtype that holds the format.
    ERROR raises ValueError at the first value outside; WRAP is undefined for a narrow range.

    >>> from refq.formats import INT8
    >>> narrow([200, -129], INT8, Overflow.WRAP)
    array([-56, 127], dtype=int8)
    """
    array = integer_array("narrow", "x", x)
    dtype = dtype_of(fmt.bits, fmt.signed)
    if overflow == Overflow.SATURATE:
        low = np.maximum(array, fmt.qmin) if _reaches_below(array, fmt.qmin) else array
        high = np.minimum(low, fmt.qmax) if fmt.qmax <= np.iinfo(low.dtype).max else low
        return np.asarray(high).astype(dtype)
    if overflow == Overflow.ERROR:
        in_range("narrow", "x", array, fmt.qmin, fmt.qmax, f", the range of {fmt.name}")
        return array.astype(dtype)
    if fmt.narrow_range:
        raise ValueError(f"narrow: overflow=WRAP has no meaning for {fmt.name}; pass Overflow.SATURATE")
    spare = np.uint64(64 - fmt.bits)
    top = array.astype(np.uint64) << spare
    return (top.view(np.int64) >> spare.astype(np.int64) if fmt.signed else top >> spare).astype(dtype)


def _reaches_below(array: NDArray[Any], low: int) -> bool:
    """Whether the dtype holds values under low (NumPy refuses to compare with a bound it cannot hold)."""
    return int(np.iinfo(array.dtype).min) < low
