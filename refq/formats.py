"""Integer formats, rounding rules and overflow rules: the words every other file uses.

Standard library only, so that the definition in `refq.spec` can stand on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum


class Rounding(IntEnum):
    """How a real number becomes an integer; the name says the direction or what a tie does.

    Values on -2.5, -1.5, -0.5, 0.5, 1.5, 2.5 are tabulated in docs/rounding.md.
    """

    FLOOR = 0
    CEIL = 1
    TOWARD_ZERO = 2
    AWAY_FROM_ZERO = 3
    TIES_EVEN = 4
    TIES_AWAY = 5
    TIES_UP = 6
    TIES_DOWN = 7
    TIES_TOWARD_ZERO = 8
    TIES_ODD = 9
    JAM = 10
    """Exact values stay; every inexact value goes to its odd neighbour."""


class Overflow(IntEnum):
    """What narrowing does with a value outside the format."""

    SATURATE = 0
    WRAP = 1
    ERROR = 2


@dataclass(frozen=True)
class IntFormat:
    """An integer format of `bits` 1..64; `narrow_range` drops the lowest code.

    >>> IntFormat(8).qmin, IntFormat(8).qmax, IntFormat(8, narrow_range=True).qmin
    (-128, 127, -127)
    >>> IntFormat(4, signed=False).name
    'uint4'
    """

    bits: int
    signed: bool = True
    narrow_range: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int):
            raise TypeError(f"IntFormat: bits={self.bits!r} is not an int; pass 1..64")
        if not 1 <= self.bits <= 64:
            raise ValueError(f"IntFormat: bits={self.bits} is outside 1..64")
        for name in ("signed", "narrow_range"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"IntFormat: {name}={getattr(self, name)!r} is not a bool")

    @property
    def qmin(self) -> int:
        """Smallest code."""
        lowest = -(1 << (self.bits - 1)) if self.signed else 0
        return lowest + self.narrow_range

    @property
    def qmax(self) -> int:
        """Largest code."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def name(self) -> str:
        """`int8`, `uint4`, `int8_narrow`."""
        return f"{'' if self.signed else 'u'}int{self.bits}{'_narrow' if self.narrow_range else ''}"


INT8 = IntFormat(8)
UINT8 = IntFormat(8, signed=False)
INT16 = IntFormat(16)
UINT16 = IntFormat(16, signed=False)
INT32 = IntFormat(32)
INT64 = IntFormat(64)


def parse_format(text: str) -> IntFormat:
    """The format a name such as `int8`, `uint4` or `int8_narrow` stands for.

    >>> parse_format("uint4").qmax
    15
    """
    match = re.fullmatch(r"(u?)int(\d{1,2})(_narrow)?", text)
    if not match:
        raise ValueError(f"parse_format: text={text!r} is no format name; write int8, uint4, int8_narrow, ...")
    return IntFormat(int(match[2]), signed=not match[1], narrow_range=bool(match[3]))
