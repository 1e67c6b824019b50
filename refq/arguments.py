"""Checks of public arguments: one-line errors that name function, argument, value, legal set and way out."""

from __future__ import annotations

from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat

Real = float | int | Fraction | np.floating[Any]
SMALLEST_SCALE = Fraction(1, 1 << 126)
LARGEST_SCALE = Fraction(2**128 - 2**104)


def integer(function: str, name: str, value: object, low: int, high: int) -> int:
    """`value` as an int inside low..high; bool and floats are refused, never converted."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{function}: {name}={value!r} is not an integer; pass {low}..{high}")
    if not low <= int(value) <= high:
        raise ValueError(f"{function}: {name}={value} is outside {low}..{high}")
    return int(value)


def integer_array(function: str, name: str, value: Any) -> NDArray[Any]:
    """`value` as an array of an integer dtype; float, bool and object are refused, never converted."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{function}: {name} is ragged; pass rows of equal length") from error
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}: {name} has dtype {array.dtype}; pass an integer dtype, int8..int64")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def member(function: str, name: str, value: object, kind: type[IntEnum]) -> int:
    """`value` as a member of an enumeration, given by member or by its number."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value not in list(kind):
        legal = ", ".join(m.name for m in kind)
        raise ValueError(f"{function}: {name}={value!r} is no {kind.__name__}; legal: {legal}")
    return int(value)


def format_of(function: str, value: object) -> IntFormat:
    """`value`, if it is a format."""
    if not isinstance(value, IntFormat):
        raise TypeError(f"{function}: fmt={value!r} is not an IntFormat; pass IntFormat(8) or parse_format('int8')")
    return value


def in_range(function: str, name: str, array: NDArray[Any], low: int, high: int, way_out: str = "") -> None:
    """Every element inside low..high; the error names the first offender and its place."""
    limits = np.iinfo(array.dtype)
    if array.size == 0 or (low <= limits.min and limits.max <= high):
        return
    if low <= int(array.min()) and int(array.max()) <= high:
        return
    outside = (array < low) | (array > high)
    at = np.unravel_index(int(np.argmax(outside)), array.shape)
    place = f"[{', '.join(str(int(i)) for i in at)}]" if array.ndim else ""
    raise ValueError(f"{function}: {name}{place}={array[at]} is outside {low}..{high}{way_out}")


def per_column(
    function: str, name: str, value: Any, columns: int, low: int, high: int, way_out: str = ""
) -> NDArray[np.int64]:
    """One number inside low..high, or one a column, as int64 (columns,)."""
    array = integer_array(function, name, value)
    if array.shape not in ((), (columns,)):
        raise ValueError(f"{function}: {name} has shape {array.shape}; pass one number or one a column, ({columns},)")
    in_range(function, name, array, low, high, way_out)
    return np.array(np.broadcast_to(array, (columns,)), np.int64)


def real(function: str, name: str, value: object) -> Fraction:
    """A positive scale as the exact rational it is: int, float, numpy float or Fraction."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Fraction | np.floating | np.integer):
        raise TypeError(f"{function}: {name}={value!r} is not a number; pass a float, int or Fraction")
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        raise ValueError(f"{function}: {name}={value} is not finite; pass a scale > 0")
    exact = value if isinstance(value, Fraction) else Fraction(value.item() if isinstance(value, np.generic) else value)
    if exact <= 0:
        raise ValueError(f"{function}: {name}={value} is not positive; pass a scale > 0")
    if exact < SMALLEST_SCALE:
        raise ValueError(
            f"{function}: {name}={value} is below 2**-126 (subnormal in float32); runtimes may flush it to zero"
        )
    if exact > LARGEST_SCALE:
        raise ValueError(f"{function}: {name}={value} is outside 2**-126..(2 - 2**-23) * 2**127, the float32 range")
    return exact


def dtype_of(bits: int, signed: bool) -> np.dtype[Any]:
    """The smallest NumPy integer dtype that holds the format."""
    width = next(w for w in (8, 16, 32, 64) if bits <= w)
    return np.dtype(f"{'int' if signed else 'uint'}{width}")
