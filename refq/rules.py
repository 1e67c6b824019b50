"""A requantization rule as data: the axes on which runtimes differ, and the records that hold them.

Standard library only. The named rules themselves are in `refq.semantics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from refq.formats import Rounding


class Arithmetic(StrEnum):
    """In which numbers the scale is applied to the accumulator."""

    INTEGER = "integer"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    EXACT = "exact"


class Derivation(StrEnum):
    """How the real scale becomes the number the arithmetic multiplies by (docs/rules.md)."""

    Q31 = "q31"
    Q31_SATURATED = "q31_saturated"
    MANTISSA24 = "mantissa24"
    MANTISSA15 = "mantissa15"
    REDUCED15 = "reduced15"
    TOSA32 = "tosa32"
    TOSA16 = "tosa16"
    DYADIC31 = "dyadic31"
    FIXED_POINT = "fixed_point"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    EXACT = "exact"


class Split(StrEnum):
    """How many roundings the total right shift is cut into, and where."""

    SINGLE = "single"
    """One shift, one rounding."""
    HIGH_MULTIPLY = "high_multiply"
    """Left shift in int32, doubling high multiply (31 bits), then the rest of the shift."""
    SHIFT_FIRST = "shift_first"
    """Shift to int16 with saturation, then a 15-bit high multiply."""
    HALVE_LAST = "halve_last"
    """All bits but one with floor, wrap to int32, then the last bit."""


class Scaling(StrEnum):
    """Which product of float32 scales goes in, or how a quantizer applies its one scale."""

    FLOAT32_PRODUCT = "float32_product"
    DOUBLE_PRODUCT = "double_product"
    MIXED_PRODUCT = "mixed_product"
    EXACT_PRODUCT = "exact_product"
    DIVISION = "division"
    RECIPROCAL = "reciprocal"


class ZeroPoint(StrEnum):
    """Whether the zero point is added before or after the last rounding."""

    BEFORE = "before"
    AFTER = "after"


class Clamp(StrEnum):
    """FIRST: clamp, then add the zero point, nothing overflows. LAST: through 32-bit integers, then clamp.

    LAST wraps at 32 bits in integer arithmetic; a float outside int32 converts to -2**31 (x86).
    """

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True)
class Rule:
    """A named way from an accumulator to a stored value: one choice on every axis.

    `rounding` is the last (or only) rounding, `high_rounding` the first of two.
    `nudge` adds TOSA's sign-dependent 2**30 before a single shift of more than 31 bits.
    `acc_bits` is the accumulator width the rule is defined on, `result_bits` the width its result
    wraps to before the zero point (64: never). `fraction_bits` serves FIXED_POINT only.
    """

    name: str
    arithmetic: Arithmetic
    derivation: Derivation
    rounding: Rounding
    split: Split = Split.SINGLE
    high_rounding: Rounding = Rounding.TIES_UP
    nudge: bool = False
    acc_bits: int = 32
    result_bits: int = 32
    zero_point: ZeroPoint = ZeroPoint.AFTER
    clamp: Clamp = Clamp.LAST
    fraction_bits: int = 16
    source: str = ""


@dataclass(frozen=True)
class FixedScale:
    """The real factor multiplier / 2**shift, with `addend` added to the product before the shift.

    `shift` counts bits to the right of the whole product: TFLite's (M, s) is (M, 31 - s) here.
    """

    multiplier: int
    shift: int
    addend: int = 0


@dataclass(frozen=True)
class Semantics:
    """A rule together with the scale product that feeds it: what `identify` looks for."""

    rule: Rule
    scaling: Scaling

    @property
    def label(self) -> str:
        """`gemmlowp_double/double_product/after`, as the command line reads and writes it."""
        return f"{self.rule.name}/{self.scaling.value}/{self.rule.zero_point.value}"
