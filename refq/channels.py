"""One channel of batch norm as data: the float parameters, and the integer forms that replace them.

Standard library only, so that the definition in `refq.spec` can stand on it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from fractions import Fraction
from itertools import pairwise
from operator import index
from typing import Any

ACC_LIMIT = (1 << 63) - 1
MAX_LEVELS = 1 << 16
REALS = ("gamma", "beta", "mean", "variance", "epsilon", "acc_scale", "out_scale")
INTEGERS = ("zero_point", "acc_min", "acc_max", "qmin", "qmax")


class Crossing(IntEnum):
    """When a threshold counts as crossed: x >= t (FINN, QONNX) or x > t (gemmbitserial)."""

    INCLUSIVE = 0
    STRICT = 1


@dataclass(frozen=True)
class Channel:
    """Batch norm, activation and quantizer of one channel, for accumulators acc_min..acc_max.

    clamp(round((gamma * (acc_scale * x - mean) / sqrt(variance + epsilon) + beta) / out_scale) + zero_point).
    acc_scale: real per accumulator step (input scale * weight scale). out_scale: real per code. Each real
    is an int, float or Fraction, taken as the exact rational it is. The clamp is to qmin..qmax, at most
    2**16 codes; ReLU is qmin = zero_point. Raises TypeError for the kind and ValueError for the range.

    >>> Channel(gamma=0.75, beta=0, mean=12.5, variance=101, epsilon=0, acc_min=-256, acc_max=255).gamma
    Fraction(3, 4)
    """

    gamma: Fraction
    beta: Fraction
    mean: Fraction
    variance: Fraction
    epsilon: Fraction
    acc_scale: Fraction = Fraction(1)
    out_scale: Fraction = Fraction(1)
    zero_point: int = 0
    acc_min: int = -(1 << 31)
    acc_max: int = (1 << 31) - 1
    qmin: int = -128
    qmax: int = 127

    def __post_init__(self) -> None:
        for field in fields(self):
            exact = _integer if field.name in INTEGERS else _rational
            object.__setattr__(self, field.name, exact(field.name, getattr(self, field.name)))
        for name in ("variance", "epsilon"):
            if getattr(self, name) < 0:
                _refuse(name, getattr(self, name), "is negative; pass a value >= 0")
        if not self.variance + self.epsilon:
            _refuse("variance", 0, "and epsilon=0 leave nothing to divide by; pass epsilon > 0")
        for name in ("acc_scale", "out_scale"):
            if getattr(self, name) <= 0:
                _refuse(name, getattr(self, name), "is not positive; pass a scale > 0")
        for low, high in (("acc_min", "acc_max"), ("qmin", "qmax")):
            if getattr(self, low) > getattr(self, high):
                _refuse(low, getattr(self, low), f"is above {high}={getattr(self, high)}; the range is empty")
        if self.qmax - self.qmin >= MAX_LEVELS:
            _refuse("qmax", self.qmax, f"is {self.qmax - self.qmin} codes above qmin; pass at most {MAX_LEVELS - 1}")


def _refuse(name: str, value: object, why: str) -> None:
    raise ValueError(f"Channel: {name}={_plain(value)} {why}")


def _plain(value: object) -> str:
    """A rational as short as it can be told: 0.1 and not its 55-bit fraction."""
    try:
        short = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return str(value)
    return repr(short) if isinstance(value, Fraction) and value == Fraction(short) else str(value)


def _integer(name: str, value: Any) -> int:
    exact = _plain_integer(f"Channel: {name}", value)
    if abs(exact) > ACC_LIMIT:
        raise ValueError(f"Channel: {name}={exact} is outside -(2**63 - 1)..2**63 - 1, the 64 bits there are")
    return exact


def _rational(name: str, value: Any) -> Fraction:
    if isinstance(value, bool) or not (hasattr(value, "as_integer_ratio") or hasattr(value, "__index__")):
        raise TypeError(f"Channel: {name}={value!r} is not a number; pass an int, float or Fraction")
    try:
        return Fraction(*value.as_integer_ratio()) if hasattr(value, "as_integer_ratio") else Fraction(index(value))
    except (ValueError, OverflowError):
        raise ValueError(f"Channel: {name}={value} is not finite; pass a finite number") from None
    except TypeError:
        raise TypeError(f"Channel: {name}={value!r} is not a number; pass an int, float or Fraction") from None


@dataclass(frozen=True)
class FixedPoint:
    """clamp(floor((multiplier * x + bias) / divisor)); the zero point is part of the bias.

    >>> FixedPoint(19, -177, 64, 0, 15).shift
    6
    """

    multiplier: int
    bias: int
    divisor: int
    qmin: int
    qmax: int

    def __post_init__(self) -> None:
        _make_integers(self)
        if self.divisor < 1:
            raise ValueError(f"FixedPoint: divisor={self.divisor} is not positive; negate multiplier and bias too")

    @property
    def shift(self) -> int | None:
        """K of divisor = 2**K; None where the divisor is no power of two."""
        return None if self.divisor & (self.divisor - 1) else self.divisor.bit_length() - 1


@dataclass(frozen=True)
class ShiftForm:
    """clamp(floor((sign * x - bias) / 2**shift) + zero_point); sign is 1 or -1, a negative shift goes left."""

    bias: int
    shift: int
    qmin: int
    qmax: int
    sign: int = 1
    zero_point: int = 0

    def __post_init__(self) -> None:
        _make_integers(self)


@dataclass(frozen=True)
class ThresholdForm:
    """qmin + how many of the thresholds are crossed by sign * x; one threshold for each code above qmin.

    thresholds: rising, qmax - qmin of them; equal ones are a jump over a code.
    """

    thresholds: tuple[int, ...]
    qmin: int
    crossing: Crossing = Crossing.INCLUSIVE
    sign: int = 1

    def __post_init__(self) -> None:
        _make_integers(self)
        if any(after < before for before, after in pairwise(self.thresholds)):
            raise ValueError("ThresholdForm: thresholds fall; sort them")
        if self.crossing is not Crossing.INCLUSIVE and self.crossing is not Crossing.STRICT:
            raise ValueError(f"ThresholdForm: crossing={self.crossing!r} is no Crossing; legal: INCLUSIVE, STRICT")
        if self.qmin + len(self.thresholds) > ACC_LIMIT:
            raise ValueError(f"ThresholdForm: qmin={self.qmin} with {len(self.thresholds)} thresholds leaves 64 bits")


def _plain_integer(name: str, value: Any) -> int:
    """Any integer, NumPy's too, as Python's; bool and floats are refused."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}={value!r} is not an integer")
    return index(value)


def _make_integers(form: FixedPoint | ShiftForm | ThresholdForm) -> None:
    """Every field an integer, thresholds a tuple of them, codes inside 64 bits, a sign of 1 or -1, no empty range."""
    kind = type(form).__name__
    for field in fields(form):
        name, value = field.name, getattr(form, field.name)
        if name == "thresholds":
            exact: Any = tuple(_plain_integer(f"{kind}: {name}[{i}]", t) for i, t in enumerate(value))
        elif name != "crossing":
            exact = _plain_integer(f"{kind}: {name}", value)
            if name in ("qmin", "qmax", "zero_point") and not -ACC_LIMIT - 1 <= exact <= ACC_LIMIT:
                raise ValueError(f"{kind}: {name}={exact} is outside -2**63..2**63 - 1")
            if name == "sign" and exact not in (1, -1):
                raise ValueError(f"{kind}: sign={exact} is neither 1 nor -1")
        object.__setattr__(form, name, value if name == "crossing" else exact)
    if not isinstance(form, ThresholdForm) and form.qmin > form.qmax:
        raise ValueError(f"{kind}: qmin={form.qmin} is above qmax={form.qmax}; the range is empty")
