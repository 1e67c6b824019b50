"""The scale as people write it on a command line, and what each rule makes of it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from fractions import Fraction

from refq import FixedScale, Scaling, Semantics, effective_scale
from refq.arguments import integer, real
from verify.failures import UsageError

LEGAL = (
    "0.25, 1/4, 0x1p-2, a float32 pattern 0x3e800000, MULTIPLIER>>SHIFT, "
    "or INPUT*WEIGHT/OUTPUT whose three scales are float32"
)


@dataclass(frozen=True)
class Scale:
    """One real scale, one fixed scale, or the three float32 scales of a layer (input, weight, output)."""

    text: str
    value: Fraction | FixedScale | tuple[Fraction, Fraction, Fraction]

    def under(self, semantics: Semantics) -> Fraction | FixedScale:
        """The factor that goes into the rule: three scales are multiplied as its scaling says."""
        if isinstance(self.value, tuple):
            return effective_scale(*self.value, semantics.scaling)
        return self.value

    @property
    def exact(self) -> Fraction:
        """The real number meant."""
        if isinstance(self.value, tuple):
            return effective_scale(*self.value, Scaling.EXACT_PRODUCT)
        if isinstance(self.value, FixedScale):
            return Fraction(self.value.multiplier, 1 << self.value.shift)
        return self.value


def _number(text: str) -> Fraction:
    """A decimal is the float64 it denotes; a fraction is exact; hexadecimal is a pattern or a C hex float."""
    word = text.strip().lower()
    if re.fullmatch(r"0x[0-9a-f]{8}", word):
        pattern: float = struct.unpack(">f", bytes.fromhex(word[2:]))[0]
        return real("scale", "value", pattern)
    try:
        if "/" in word:
            return real("scale", "value", Fraction(word))
        return real("scale", "value", float.fromhex(word) if word.startswith("0x") else float(word))
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        if str(error).startswith("scale:"):
            raise
        raise UsageError(f"scale={text!r} is not a number; write {LEGAL}") from None


def _float32(text: str) -> Fraction:
    value = _number(text)
    return Fraction(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def parse_scale(text: str) -> Scale:
    """Read one scale argument.

    >>> parse_scale("1/4").exact, parse_scale("1527099593>>37").value.shift, parse_scale("0.5*0.5/1").exact
    (Fraction(1, 4), 37, Fraction(1, 4))
    """
    fixed = re.fullmatch(r"\s*(-?\d+)\s*>>\s*(\d+)\s*", text)
    if fixed:
        return Scale(text, fixed_scale(int(fixed[1]), int(fixed[2])))
    triple = re.fullmatch(r"([^*/]+)\*([^*/]+)/([^*/]+)", text)
    if triple:
        return Scale(text, (_float32(triple[1]), _float32(triple[2]), _float32(triple[3])))
    return Scale(text, _number(text))


def fixed_scale(multiplier: int, shift: int) -> FixedScale:
    """A checked multiplier / 2**shift."""
    return FixedScale(
        integer("scale", "multiplier", multiplier, -(1 << 31) + 1, 1 << 31), integer("scale", "shift", shift, 0, 62)
    )


def chosen_scale(text: str | None, multiplier: int | None, shift: int | None) -> Scale:
    """--scale, or --multiplier with --shift; exactly one of the two."""
    if (multiplier is None) != (shift is None):
        raise UsageError("--multiplier and --shift go together")
    if (text is None) == (multiplier is None):
        raise UsageError(f"give --scale ({LEGAL}) or --multiplier with --shift")
    if multiplier is not None and shift is not None:
        return Scale(f"{multiplier}>>{shift}", fixed_scale(multiplier, shift))
    return parse_scale(str(text))
