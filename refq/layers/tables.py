"""Tables of float functions: dequantize, function, quantize, each as one runtime writes them in float32.

A float32 function is computed in float64 and rounded once, but for LiteRT's exp and tanh, which are glibc's. Rules
take codes, int64, and the grids of input and output, and return codes, int64, inside the output's format.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.layers.lookup import Grids
from refq.layers.ratios import nearest
from refq.layers.sigmoid_libm import exp_glibc

Codes = NDArray[np.int64]
Floats = NDArray[np.float32]
Function32 = Callable[[Floats], Floats]


def tanh32(x: Floats) -> Floats:
    """tanh of float32 values, rounded to float32 once."""
    return np.array([math.tanh(v) for v in x.tolist()], np.float32)


def logistic32(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), exp by glibc, sum and quotient rounded to float32."""
    return np.float32(1) / (np.float32(1) + exp_glibc(-x))


def logistic_once(x: Floats) -> Floats:
    """1 / (1 + exp(-x)) in float64, rounded to float32 once."""
    return np.array([1 / (1 + math.exp(-v)) if v > -700 else 0.0 for v in x.tolist()], np.float32)


def hard_swish32(x: Floats) -> Floats:
    """x / 6 * min(max(x + 3, 0), 6), each operation rounded to float32."""
    six = np.float32(6)
    result: Floats = x / six * np.maximum(np.minimum(x + np.float32(3), six), np.float32(0))
    return result


def leaky32(x: Floats, alpha: np.float32) -> Floats:
    """x where x >= 0, else alpha * x, rounded to float32."""
    return np.where(x >= 0, x, alpha * x)


def _dequantized(codes: Codes, grids: Grids) -> Floats:
    return (codes - grids.zero_point).astype(np.float32) * grids.scale


def _saturated(values: NDArray[np.floating], grids: Grids) -> Codes:
    fmt = grids.out_fmt
    return np.clip(values.astype(np.float64), fmt.qmin, fmt.qmax).astype(np.int64)


def _away(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """C round: ties away from zero."""
    wide = x.astype(np.float64)
    return np.trunc(wide + np.copysign(0.5, wide))


def tflite_table(codes: Codes, grids: Grids, function: Function32) -> Codes:
    """round_away(f(scale * (code - zero)) * (1 / out_scale)) + out_zero. Source: TFLite LUTPopulate."""
    inverse = np.float32(1) / grids.out_scale
    rescaled = _away(function(_dequantized(codes, grids)) * inverse).astype(np.float32)
    return _saturated(np.trunc(rescaled + np.float32(grids.out_zero_point)), grids)


def xnnpack_table(codes: Codes, grids: Grids, function: Function32) -> Codes:
    """round_even(f(scale * (code - zero)) * (1 / out_scale) + out_zero): the zero point before the rounding.

    Source: XNNPACK reference unary kernels.
    """
    inverse = np.float32(1) / grids.out_scale
    rescaled = function(_dequantized(codes, grids)) * inverse + np.float32(grids.out_zero_point)
    return _saturated(np.rint(rescaled), grids)


def onnxruntime_table(codes: Codes, grids: Grids, function: Function32) -> Codes:
    """round_even(f(scale * (code - zero)) / out_scale) + out_zero. Source: ONNX Runtime QlinearBuildLookupTable."""
    quotient = function(_dequantized(codes, grids)) / grids.out_scale
    return _saturated(np.rint(quotient.astype(np.float64)) + grids.out_zero_point, grids)


FLOAT_TABLES: dict[str, Callable[[Codes, Grids, Function32], Codes]] = {
    "tflite:float_table": tflite_table,
    "xnnpack:float_table": xnnpack_table,
    "onnxruntime:float_table": onnxruntime_table,
}
"""Rules of tables of float32 functions, by name."""


def exact_table(codes: Codes, grids: Grids, function: Callable[[Fraction], Fraction], even: bool = True) -> Codes:
    """One rounding of the real value, ties even or away, for a function that takes rationals to rationals."""
    scale, out = Fraction(float(grids.scale)), Fraction(float(grids.out_scale))
    ratios = [function(scale * (c - grids.zero_point)) / out for c in codes.tolist()]
    rounding, fmt = Rounding.TIES_EVEN if even else Rounding.TIES_AWAY, grids.out_fmt
    values = [nearest(r.numerator, r.denominator, rounding) for r in ratios]
    return np.array([min(max(v + grids.out_zero_point, fmt.qmin), fmt.qmax) for v in values], np.int64)


def relu_real(x: Fraction, low: int | None, high: int | None) -> Fraction:
    """x kept between real bounds; None: no bound."""
    x = x if low is None else max(x, Fraction(low))
    return x if high is None else min(x, Fraction(high))


def hard_swish_real(x: Fraction) -> Fraction:
    """x * min(max(x + 3, 0), 6) / 6."""
    return x * min(max(x + 3, Fraction(0)), Fraction(6)) / 6
