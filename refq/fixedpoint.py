"""Array twins of refq.spec.fixedpoint: saturating primitives; and the derivation of multiplier and shift.

Deriving a multiplier happens once a layer, so it has a definition only; `derive` checks and calls it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import Real, dtype_of, in_range, integer, integer_array, member, real
from refq.formats import IntFormat, Overflow, Rounding
from refq.rounding import add_and_shift, constants, narrow
from refq.rules import Derivation, FixedScale, Scaling
from refq.spec import fixedpoint as spec


def _pair(function: str, a: Any, b: Any, bits: int) -> tuple[NDArray[Any], NDArray[Any], IntFormat]:
    fmt = IntFormat(integer(function, "bits", bits, 2, 32))
    left, right = (integer_array(function, name, x) for name, x in (("a", a), ("b", b)))
    for name, array in (("a", left), ("b", right)):
        in_range(function, name, array, fmt.qmin, fmt.qmax)
    left, right = np.broadcast_arrays(left.astype(np.int64), right.astype(np.int64))
    return left, right, fmt


@njit
def _high_multiply(a, b, shift, add, if_negative, if_odd, high, out):
    """|a * b| <= 2**62. Only the product of both minima exceeds `high`."""
    for i in range(a.size):
        out[i] = min(add_and_shift(a[i] * b[i], shift, add, if_negative, if_odd, 0), high)


def high_multiply(a: Any, b: Any, bits: int = 32, rounding: Rounding = Rounding.TIES_UP) -> NDArray[Any]:
    """saturate(round(a * b / 2**(bits-1))); equals `spec.fixedpoint.high_multiply`.

    a, b: broadcast together, integer dtypes, inside int`bits`, bits 2..32. Returns the dtype of that width.
    Source: gemmlowp SaturatingRoundingDoublingHighMul (TIES_UP), Arm SQRDMULH; FLOOR is SQDMULH.

    >>> high_multiply([1, -1, -3], 2**30)
    array([ 1,  0, -1], dtype=int32)
    """
    left, right, fmt = _pair("high_multiply", a, b, bits)
    out = np.empty(left.size, dtype_of(bits, True))
    stage = constants(Rounding(member("high_multiply", "rounding", rounding, Rounding)), bits - 1)
    _high_multiply(left.ravel(), right.ravel(), bits - 1, *stage, fmt.qmax, out)
    return out.reshape(left.shape)


def saturating_add(a: Any, b: Any, bits: int = 32) -> NDArray[Any]:
    """saturate(a + b) to int`bits`; arguments as high_multiply. Equals `spec.fixedpoint.saturating_add`.

    >>> saturating_add([127, -128], [1, -1], bits=8)
    array([ 127, -128], dtype=int8)
    """
    left, right, fmt = _pair("saturating_add", a, b, bits)
    return narrow(left + right, fmt, Overflow.SATURATE)


def saturating_left_shift(x: Any, shift: int, bits: int = 32) -> NDArray[Any]:
    """saturate(x * 2**shift) to int`bits`, shift 0..31. Equals `spec.fixedpoint.saturating_left_shift`.

    >>> saturating_left_shift([1, -(2**30)], 2)
    array([          4, -2147483648], dtype=int32)
    """
    fmt = IntFormat(integer("saturating_left_shift", "bits", bits, 2, 32))
    array = integer_array("saturating_left_shift", "x", x)
    in_range("saturating_left_shift", "x", array, fmt.qmin, fmt.qmax)
    count = integer("saturating_left_shift", "shift", shift, 0, 31)
    return narrow(array.astype(np.int64) << count, fmt, Overflow.SATURATE)


def derive(scale: Real, derivation: Derivation | str = Derivation.Q31, fraction_bits: int = 16) -> FixedScale:
    """The multiplier and shift made of a real scale > 0; `spec.fixedpoint` has each way and its source.

    derivation: q31, q31_saturated, mantissa24, mantissa15, reduced15, tosa32, tosa16, dyadic31 or
    fixed_point (with fraction_bits 0..62). A shift may come out negative for scales over 2**31.

    >>> derive(0.25), derive(0.25, "tosa16").multiplier
    (FixedScale(multiplier=1073741824, shift=32, addend=0), 16384)
    """
    exact = real("derive", "scale", scale)
    bits = integer("derive", "fraction_bits", fraction_bits, 0, 62)
    legal = [d.value for d in Derivation if d.value not in ("float32", "float64", "exact")]
    if derivation not in legal:
        raise ValueError(f"derive: derivation={derivation!r} is unknown; legal: {', '.join(legal)}")
    return spec.fixed_scale(exact, Derivation(derivation), bits)


def effective_scale(input: Real, weight: Real, output: Real, scaling: Scaling = Scaling.DOUBLE_PRODUCT) -> Fraction:
    """input * weight / output with the roundings of that scaling, as an exact rational.

    >>> effective_scale(0.5, 0.5, 1.0)
    Fraction(1, 4)
    """
    scales = [real("effective_scale", n, s) for n, s in (("input", input), ("weight", weight), ("output", output))]
    legal = [s.value for s in Scaling if s not in (Scaling.DIVISION, Scaling.RECIPROCAL)]
    if scaling not in legal:
        raise ValueError(f"effective_scale: scaling={scaling!r} is no scale product; legal: {', '.join(legal)}")
    return spec.effective_scale(scales[0], scales[1], scales[2], Scaling(scaling))
