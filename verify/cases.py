"""What to ask: parameters built to make rules differ, each with the reason it is there.

Random parameters have no ties and tell no tie rules apart; these have them. Every case can be made again
from its name alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from refq import INT8, UINT8, IntFormat, Scaling, effective_scale


@dataclass(frozen=True)
class Case:
    """Float32 scales (as exact Python floats), output zero point and format, and why it is asked."""

    name: str
    input_scale: float
    weight_scale: float
    output_scale: float
    zero_point: int
    fmt: IntFormat
    why: str

    @property
    def input_zero_point(self) -> int:
        """The middle of the format, so that activations of both signs fit."""
        return 0 if self.fmt.signed else 128


def float32(value: float) -> float:
    """The nearest float32 as a Python float."""
    return float(np.float32(value))


def _near(exponent: int, step: int) -> float:
    """A float32 with a busy significand near 2**exponent; step walks a full-period lattice of them."""
    fraction = (0x1234567 + step * 0x9E3779B1) % (1 << 23)
    return float32((1 + fraction / (1 << 23)) * 2.0**exponent)


def _spread(scales: tuple[float, float, float]) -> Fraction:
    """Smallest relative distance between the three scale products."""
    a, b, c = (
        effective_scale(*scales, scaling)
        for scaling in (Scaling.FLOAT32_PRODUCT, Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT)
    )
    return min(abs(a - b), abs(b - c), abs(a - c)) / b


def products_apart(exponent: int, tries: int = 64) -> tuple[float, float, float]:
    """Three scales, effective scale near 2**exponent, whose products differ most when rounded differently."""
    candidates = [(_near(-4, 3 * i), _near(-5, 3 * i + 1), _near(-9 - exponent, 3 * i + 2)) for i in range(tries)]
    return max(candidates, key=_spread)


# (24-bit multiplier, accumulator): their product is a tie of 2**47 plus or minus one and needs 54 bits, so
# float64 rounds it onto the tie. Solutions of multiplier * acc = (2 k + 1) 2**46 +- 1, acc = inverse * (2**46 +- 1).
OVER_TIE = (13253109, 854846045)
UNDER_TIE = (15649993, 714928775)

# Scales near n / 2**32 with n = 34751: n / 2**16 is a tie of 15 bits. 137/128 * 0.93430656 = 1 - 7.9e-9, which
# float32 rounds to 1; 1.8858738 = (1 + 3.6e-9) 2**16 / n.
SHORT_TIE = (34751 * 137 / 2.0**23, 0.9343065619468689, 2.0**16)
SHORT_QUOTIENT = (1.0, 1.0, 1.885873794555664 * 2.0**16)

_QUARTER = (0.5, 0.5, 1.0)
_HALF = (0.5, 1.0, 1.0)
_ISSUE_102943 = (0.05296124517917633, 0.024093778803944588, 0.11484327912330627)


def _case(name: str, scales: tuple[float, float, float], zero_point: int, fmt: IntFormat, why: str) -> Case:
    input_scale, weight_scale, output_scale = map(float32, scales)
    return Case(name, input_scale, weight_scale, output_scale, zero_point, fmt, why)


# Cases about huge accumulators: an op without bias pays for them with tens of thousands of products a probe.
_ONE_FORMAT = ("products-23", "over-tie", "under-tie", "short", "short-quotient", "short-end")


def requantize_cases(formats: tuple[IntFormat, ...] = (INT8, UINT8)) -> list[Case]:
    """The plan for ops that requantize an accumulator; zero points count from the middle of the format."""
    plan = [
        ("quarter", _QUARTER, 0, "ties of both signs: one or two roundings, and each tie rule"),
        ("quarter-odd", _QUARTER, 7, "an odd zero point: before or after rounding"),
        ("quarter-low", _QUARTER, -5, "a negative odd zero point"),
        ("half-odd", _HALF, 3, "every second accumulator is a tie"),
        ("width", (0.5, 0.5, 2.0**17), 1, "scale 2**-19: accumulators over 2**24 lose bits in float32"),
        ("issue-102943", _ISSUE_102943, -126, "the float32 scale product lands on a tie at 585"),
        ("double-rounding", (0.0372, 0.0113, 0.0438), 0, "a general scale: two roundings show"),
        ("products-20", products_apart(-20), 0, "float32, double and mixed scale products differ"),
        ("products-23", products_apart(-23), 11, "the same, for accumulators near 2**30"),
        ("products-16", products_apart(-16), -3, "the same, for accumulators near 2**23"),
        ("over-tie", (OVER_TIE[0] * 2.0**-47, 1.0, 1.0), 0, "float64 lands on a tie that the product just exceeds"),
        ("under-tie", (UNDER_TIE[0] * 2.0**-47, 1.0, 1.0), 0, "float64 lands on a tie that the product just misses"),
        ("sixth", (1.0, 0.5, 3.0), 1, "exact ties that no rounded scale keeps"),
        ("fraction", (3 + 3 * 2.0**-22, 1 - 2.0**-22, 2.0**17), 0, "the float32 product is a tie of a 16-bit fraction"),
        ("fraction-quotient", (1.0, 1.0, 2.0**17 / 3), -7, "so is the float32 quotient, but not the double one"),
        ("short", SHORT_TIE, 0, "the float32 product is a tie of a 15-bit multiplier, the double one is not"),
        ("short-quotient", SHORT_QUOTIENT, 0, "so is the float32 quotient, but not the double one"),
        ("short-end", (1 - 2.0**-17, 2.0**-8, 2.0**8), 0, "a 15-bit multiplier at its end: saturated or halved"),
        ("unit", (1 - 2.0**-15, 1 + 2.0**-15, 1.0), 101, "results at the ends of int32: clamp or add zero point first"),
        ("above-one", (0.9, 0.7, 0.37), 5, "scale over 1: left shifts, and overflow at the ends"),
    ]
    return [
        _case(f"{name}-{fmt.name}", scales, zero + (0 if fmt.signed else 128), fmt, why)
        for fmt, (name, scales, zero, why) in product(formats, plan)
        if fmt == formats[0] or name not in _ONE_FORMAT
    ]


def quantize_cases(formats: tuple[IntFormat, ...] = (INT8, UINT8)) -> list[Case]:
    """The plan for ops that quantize a real number; only the output scale counts."""
    plan = [
        ("one-odd", 1.0, 7, "ties at every half, odd zero point"),
        ("quarter", 0.25, -4, "dyadic, even zero point"),
        ("reciprocal", 0.00214854861, 0, "x / s and x * (1 / s) differ"),
        ("tenth", 0.1, 3, "a scale that float32 cannot hold"),
        ("third", 1 / 3, -11, "another, whose reciprocal is nearly exact"),
        ("forty-ninths", 49 / 64, 5, "division meets exact ties that the reciprocal misses, in float64 too"),
        ("large", 12345.678, 1, "codes reached by large numbers"),
        ("tiny", 3.1e-20, -1, "codes reached by tiny numbers"),
    ]
    return [
        _case(f"{name}-{fmt.name}", (1.0, 1.0, scale), zero + (0 if fmt.signed else 128), fmt, why)
        for fmt, (name, scale, zero, why) in product(formats, plan)
    ]
