"""How the bits of a code make a number: unsigned, two's complement, and odd-level (bipolar) encodings.

Standard library only. Every encoding is affine in its bits, value = offset + sum(weight[b] * bit[b]), and that is all
the products need to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from refq.formats import IntFormat


class Kind(StrEnum):
    """What a bit stands for."""

    UNSIGNED = "unsigned"
    """0 .. 2**bits - 1."""
    SIGNED = "signed"
    """Two's complement; the top bit weighs -2**(bits - 1)."""
    ODD = "odd"
    """The odd numbers of -(2**bits - 1) .. 2**bits - 1: every bit is a -1 or +1. One bit is bipolar."""


@dataclass(frozen=True)
class Encoding:
    """An encoding of `bits` 1..16.

    >>> Encoding(3, Kind.SIGNED).plane_weights, Encoding(2, Kind.ODD).plane_weights, Encoding(2, Kind.ODD).offset
    ((1, 2, -4), (2, 4), -3)
    >>> Encoding(1, Kind.ODD).name, Encoding(2, Kind.ODD).minimum, Encoding(2, Kind.ODD).maximum
    ('bipolar', -3, 3)
    """

    bits: int
    kind: Kind = Kind.UNSIGNED

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int):
            raise TypeError(f"Encoding: bits={self.bits!r} is not an int; pass 1..16")
        if not 1 <= self.bits <= 16:
            raise ValueError(f"Encoding: bits={self.bits} is outside 1..16")
        if not isinstance(self.kind, Kind):
            raise TypeError(f"Encoding: kind={self.kind!r} is not a Kind; legal: {', '.join(Kind)}")

    @property
    def plane_weights(self) -> tuple[int, ...]:
        """What bit b adds to the value when it is set, lowest bit first."""
        step = 2 if self.kind is Kind.ODD else 1
        weights = [step << b for b in range(self.bits)]
        if self.kind is Kind.SIGNED:
            weights[-1] = -weights[-1]
        return tuple(weights)

    @property
    def offset(self) -> int:
        """The value of the code whose bits are all 0."""
        return 1 - (1 << self.bits) if self.kind is Kind.ODD else 0

    @property
    def minimum(self) -> int:
        """Smallest value."""
        return self.offset + sum(w for w in self.plane_weights if w < 0)

    @property
    def maximum(self) -> int:
        """Largest value."""
        return self.offset + sum(w for w in self.plane_weights if w > 0)

    @property
    def name(self) -> str:
        """`uint2`, `int4`, `bipolar`, `odd3`."""
        if self.kind is Kind.ODD:
            return "bipolar" if self.bits == 1 else f"odd{self.bits}"
        return f"{'u' if self.kind is Kind.UNSIGNED else ''}int{self.bits}"


LEGAL = "write uint1..uint16, int1..int16, bipolar, odd2..odd16, or pass an IntFormat or Encoding"


def parse_encoding(value: object, argument: str = "parse_encoding: value") -> Encoding:
    """The encoding a name, an `IntFormat` or an `Encoding` stands for; errors begin with `argument`.

    >>> parse_encoding("odd2").maximum, parse_encoding(IntFormat(4)).name, parse_encoding("bipolar").bits
    (3, 'int4', 1)
    """
    if isinstance(value, Encoding):
        return value
    if isinstance(value, IntFormat):
        if value.narrow_range:
            raise ValueError(f"{argument}={value.name} has no bits of its own; pass IntFormat({value.bits})")
        if value.bits > 16:
            raise ValueError(f"{argument}={value.name} is no encoding; {LEGAL}")
        return Encoding(value.bits, Kind.SIGNED if value.signed else Kind.UNSIGNED)
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r} is no encoding; {LEGAL}")
    found = _by_name(value)
    if found is None:
        raise ValueError(f"{argument}={value!r} is no encoding; {LEGAL}")
    return found


@lru_cache(256)
def _by_name(name: str) -> Encoding | None:
    match = re.fullmatch(r"(uint|int|odd)(\d{1,2})", "odd1" if name == "bipolar" else name)
    if not match or not 1 <= int(match[2]) <= 16:
        return None
    kinds = {"uint": Kind.UNSIGNED, "int": Kind.SIGNED, "odd": Kind.ODD}
    return Encoding(int(match[2]), kinds[match[1]])
