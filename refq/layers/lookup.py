"""Functions of one code as tables: every code of a format once, then a look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of, in_range, integer_array
from refq.formats import IntFormat

LONGEST_TABLE = 16
"""Bits of the widest code that a table is made for."""


@dataclass(frozen=True)
class Grids:
    """What the codes of an input and of an output stand for: value = scale * (code - zero_point).

    Scales are float32, finite and > 0; zero points lie inside their formats.
    """

    scale: np.float32
    zero_point: int
    fmt: IntFormat
    out_scale: np.float32
    out_zero_point: int
    out_fmt: IntFormat

    def __post_init__(self) -> None:
        for name in ("scale", "out_scale"):
            value = getattr(self, name)
            if not np.isfinite(value) or value <= 0:
                raise ValueError(f"Grids: {name}={value} is not a finite number > 0; pass a scale")
        for name, fmt in (("zero_point", self.fmt), ("out_zero_point", self.out_fmt)):
            value = getattr(self, name)
            if not fmt.qmin <= value <= fmt.qmax:
                raise ValueError(f"Grids: {name}={value} is outside {fmt.name} {fmt.qmin}..{fmt.qmax}")


def all_codes(fmt: IntFormat) -> NDArray[np.int64]:
    """Every code of a format of at most 16 bits, ascending, int64.

    >>> all_codes(IntFormat(2))
    array([-2, -1,  0,  1])
    """
    if fmt.bits > LONGEST_TABLE:
        raise ValueError(f"all_codes: fmt={fmt.name} has more than 2**{LONGEST_TABLE} codes; pass at most 16 bits")
    return np.arange(fmt.qmin, fmt.qmax + 1, dtype=np.int64)


def stored(values: NDArray[Any], fmt: IntFormat) -> NDArray[Any]:
    """Integers saturated to a format, in its smallest dtype.

    >>> stored(np.array([-300, 5, 300]), IntFormat(8))
    array([-128,    5,  127], dtype=int8)
    """
    result: NDArray[Any] = np.clip(values, fmt.qmin, fmt.qmax).astype(dtype_of(fmt.bits, fmt.signed))
    return result


def look_up(x: Any, table: NDArray[Any], fmt: IntFormat) -> NDArray[Any]:
    """table[code - lowest code] of every code; the dtype of the table, the shape of x.

    >>> look_up(np.array([[-2, 1]], np.int8), np.array([10, 11, 12, 13]), IntFormat(2))
    array([[10, 13]])
    """
    codes = integer_array("look_up", "x", x)
    if table.shape != (fmt.qmax - fmt.qmin + 1,):
        raise ValueError(f"look_up: table has shape {table.shape}; {fmt.name} has {fmt.qmax - fmt.qmin + 1} codes")
    in_range("look_up", "x", codes, fmt.qmin, fmt.qmax)
    return table[codes.astype(np.int64) - fmt.qmin]
