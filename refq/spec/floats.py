"""IEEE 754 rounding of a rational: one exactly rounded operation at a time, without any float."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from refq.formats import Rounding
from refq.spec.rounding import round_to_integer


@dataclass(frozen=True)
class FloatFormat:
    """`precision` significant bits, least exponent of the last place, first power of two too large."""

    name: str
    precision: int
    least: int
    overflow: int


FLOAT32 = FloatFormat("float32", 24, -149, 128)
FLOAT64 = FloatFormat("float64", 53, -1074, 1024)


def exponent(value: Fraction) -> int:
    """floor(log2(value)) of a positive rational.

    >>> exponent(Fraction(1, 3)), exponent(Fraction(4))
    (-2, 2)
    """
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if value >= Fraction(2) ** guess else guess - 1


def round_to_float(value: Fraction, fmt: FloatFormat) -> Fraction:
    """The float nearest to value, ties to even, subnormals included.

    >>> round_to_float(Fraction(34340863), FLOAT32)
    Fraction(34340864, 1)
    """
    if value == 0:
        return value
    last_place = max(exponent(abs(value)) - fmt.precision + 1, fmt.least)
    unit = Fraction(2) ** last_place
    rounded = round_to_integer(value / unit, Rounding.TIES_EVEN) * unit
    if abs(rounded) >= Fraction(2) ** fmt.overflow:
        raise OverflowError(f"round_to_float: value={value} is outside {fmt.name}")
    return rounded
