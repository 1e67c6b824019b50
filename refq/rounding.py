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

from refq.arguments import dtype_of, format_of, in_range, integer, integer_array, member
from refq.formats import IntFormat, Overflow, Rounding


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

    0 <= shift <= 62 and |x| + |add| + |if_negative| + |if_odd| < 2**63, so nothing wraps.
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
    rule = Rounding(member("shift_right", "rounding", rounding, Rounding))
    in_range("shift_right", "x", array, -(1 << 62) + 1, (1 << 62) - 1)
    out = np.empty(array.size, np.int64)
    _shift_right(array.astype(np.int64).ravel(), bits, *constants(rule, bits), out)
    return out.reshape(array.shape)


# Smallest float64 above 0.5 and above 0: "more than a half" and "anything" as closed comparisons.
_MORE, _ANY, _NEVER = 0.5000000000000001, 5e-324, 2.0
# parity: whether an even or an odd neighbour is preferred; else the first rest that moves up, and down
PREFER_NONE, PREFER_EVEN, PREFER_ODD = 0.0, 1.0, 2.0
REAL_CONSTANTS: dict[Rounding, tuple[float, float, float]] = {
    Rounding.FLOOR: (PREFER_NONE, _NEVER, -_ANY),
    Rounding.CEIL: (PREFER_NONE, _ANY, -_NEVER),
    Rounding.TOWARD_ZERO: (PREFER_NONE, _NEVER, -_NEVER),
    Rounding.AWAY_FROM_ZERO: (PREFER_NONE, _ANY, -_ANY),
    Rounding.TIES_EVEN: (PREFER_EVEN, 0.5, -0.5),
    Rounding.TIES_AWAY: (PREFER_NONE, 0.5, -0.5),
    Rounding.TIES_UP: (PREFER_NONE, 0.5, -_MORE),
    Rounding.TIES_DOWN: (PREFER_NONE, _MORE, -0.5),
    Rounding.TIES_TOWARD_ZERO: (PREFER_NONE, _MORE, -_MORE),
    Rounding.TIES_ODD: (PREFER_ODD, 0.5, -0.5),
    Rounding.JAM: (PREFER_ODD, _ANY, -_ANY),
}


@njit
def round_real(value, parity, up, down):
    """Twin of spec.rounding.round_to_integer for a float64, its rule given by REAL_CONSTANTS.

    rest = value - trunc(value) is exact: it has no more significant bits than value. The rounded value is
    one further from zero where rest >= up or rest <= down; an odd preference keeps an odd whole part there.
    """
    if parity == 1.0:
        return np.rint(value)
    whole = np.trunc(value)
    rest = value - whole
    moved = whole + np.float64(rest >= up) - np.float64(rest <= down)
    # TIES_ODD moves what is past the half whatever the parity
    if parity == 2.0 and (abs(rest) == up or up < 0.5) and whole != 2.0 * np.floor(whole * 0.5):
        return whole
    return moved


@njit
def _round_to_integer(x, parity, up, down, out):
    for i in range(x.size):
        out[i] = np.int64(round_real(x[i], parity, up, down))


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
    rule = Rounding(member("round_to_integer", "rounding", rounding, Rounding))
    bad = ~(np.abs(array) <= 2.0**62)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"round_to_integer: x.flat[{at}]={array.flat[at]} is outside -2**62..2**62")
    out = np.empty(array.size, np.int64)
    _round_to_integer(array.astype(np.float64).ravel(), *REAL_CONSTANTS[rule], out)
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
    fmt, overflow = format_of("narrow", fmt), Overflow(member("narrow", "overflow", overflow, Overflow))
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
