"""Float32 sigmoid, tanh and softmax: as MLAS approximates them on x86-64, or correctly rounded.

Source of polynomials and coefficients: onnxruntime core/mlas/lib/logistic.cpp, tanh.cpp, compute.cpp and
x86_64/LogisticKernelFma3.S, TransKernelAvx512F.S.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.layers.floats_exact import finite
from refq.layers.floats_sums import fused

F32 = np.float32
SIGMOID = tuple(
    np.array(c, np.float32)
    for c in (
        [4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03, 2.48287947061529e-01],
        [6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
         9.93151921023180e-01],
    )
)  # fmt: skip
"""Numerator / x and denominator of sigmoid(x) - 1/2 in x * x, highest power first."""
TANH = tuple(
    np.array(c, np.float32)
    for c in (
        [-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08, 1.48572235717979e-05,
         6.37261928875436e-04, 4.89352455891786e-03],
        [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03],
    )
)  # fmt: skip
"""Numerator / x and denominator of tanh(x) in x * x, highest power first."""
EXP = np.array([0x1694, 0x1125EDC, 0x1555B5A, 0x1555450, 0x1FFFFF6, 1, 1], np.float64)
EXP = (EXP * 2.0 ** np.array([-22, -31, -29, -27, -26, 0, 0])).astype(np.float32)
"""exp(x) for |x| <= ln(2) / 2, highest power first."""
CURVE_RULES = ("mlas_fma3", "exact", "numpy")
SOFTMAX_RULES = ("mlas_avx512", "exact", "numpy")


@njit(nogil=True)
def horner(coefficients, x):
    """The polynomial, highest power first, by fused operations."""
    value = coefficients[0]
    for i in range(1, coefficients.size):
        value = fused(value, x, coefficients[i])
    return value


@njit(nogil=True)
def rational(x, top, bottom, bound, offset):
    """x * P(x * x) / Q(x * x) + offset of float32 (n,), x clamped to -bound..bound, at least 0 where offset is."""
    result = np.empty_like(x)
    for i in range(x.size):
        value = min(max(x[i], -bound), bound)
        square = value * value
        quotient = value * horner(top, square) / horner(bottom, square)
        result[i] = max(quotient + offset, np.float32(0)) if offset > 0 else quotient
    return result


@njit(nogil=True)
def exponentials(x, largest, coefficients, result):
    """result = exp(x - largest) of float32 (n,); the sum of all, kept on 16 lanes."""
    lanes = np.zeros(16, np.float32)
    bias = np.float32(12582912.0)
    for i in range(x.size):
        value = max(x[i] - largest, np.float32(-103.9720840454))
        power = fused(value, np.float32(1.44269504088896341), bias) - bias
        value = fused(power, np.float32(-6.93145752e-1), value)
        value = fused(power, np.float32(-1.42860677e-6), value)
        result[i] = np.float32(math.ldexp(np.float64(horner(coefficients, value)), int(power)))
        lanes[i % 16] = lanes[i % 16] + result[i]
    halves = lanes[:8] + lanes[8:]
    low = (halves[0] + halves[1]) + (halves[2] + halves[3])
    return low + ((halves[4] + halves[5]) + (halves[6] + halves[7]))


def float_sigmoid(x: NDArray[Any], rule: str) -> NDArray[Any]:
    """1 / (1 + exp(-x)) of float32: "mlas_fma3" as ONNX Runtime on x86-64, "exact" correctly rounded.

    "numpy": exp(x) / (1 + exp(x)), above 0 1 / (1 + exp(-x)), as the ONNX reference evaluator writes it in NumPy.

    >>> float_sigmoid(np.array([0, 20], np.float32), "mlas_fma3").tolist()
    [0.5, 1.0]
    """
    if rule == "exact":
        finite("float_sigmoid", x=x)
        return _pointwise(x, _sigmoid_decimal)
    if rule == "numpy":
        with np.errstate(all="ignore"):
            power = np.exp(x)
            halves: NDArray[Any] = np.where(x > 0, 1 / (1 + np.exp(-x)), power / (1 + power))
            return halves
    flat = np.ascontiguousarray(x).reshape(-1)
    found: NDArray[Any] = rational(flat, *SIGMOID, F32(18), F32(0.5)).reshape(x.shape)
    return found


def float_tanh(x: NDArray[Any], rule: str) -> NDArray[Any]:
    """tanh(x) of float32: "mlas_fma3" as ONNX Runtime on x86-64, "exact" correctly rounded, "numpy" NumPy's.

    >>> float_tanh(np.array([0, 10], np.float32), "exact").tolist()
    [0.0, 1.0]
    """
    if rule == "exact":
        finite("float_tanh", x=x)
        return _pointwise(x, _tanh_decimal)
    if rule == "numpy":
        return np.asarray(np.tanh(x), np.float32)
    flat = np.ascontiguousarray(x).reshape(-1)
    found: NDArray[Any] = rational(flat, *TANH, F32(9), F32(0)).reshape(x.shape)
    return found


def float_softmax(x: NDArray[Any], axis: int, rule: str) -> NDArray[Any]:
    """exp(x) / sum of exp(x) along an axis of float32: "mlas_avx512" as ONNX Runtime, "exact" correctly rounded.

    "numpy": exp(x - max) over its sum, as the ONNX reference evaluator writes it in NumPy.
    """
    if x.size == 0:
        return x.copy()
    if rule == "numpy":
        return _numpy_softmax(x, axis)
    moved = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    rows = moved.reshape(-1, moved.shape[-1])
    result = np.empty_like(rows)
    if rule == "exact":
        finite("float_softmax", x=x)
    for i, row in enumerate(rows):
        result[i] = _softmax_decimal(row) if rule == "exact" else _softmax_row(row)
    return np.moveaxis(result.reshape(moved.shape), -1, axis)


def _numpy_softmax(x: NDArray[Any], axis: int) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        powers: NDArray[Any] = np.exp(x - x.max(axis=axis, keepdims=True))
        powers /= powers.sum(axis=axis, keepdims=True)
        return powers


def _softmax_row(row: NDArray[Any]) -> NDArray[Any]:
    result = np.empty_like(row)
    total = exponentials(row, row.max(), EXP, result)
    scaled: NDArray[Any] = result * (F32(1) / F32(total))
    return scaled


def _pointwise(x: NDArray[Any], function: Any) -> NDArray[Any]:
    """Each distinct value once: dequantized codes repeat."""
    values, places = np.unique(x, return_inverse=True)
    found = np.array([function(float(v)) for v in values], np.float32)
    return found[places].reshape(x.shape)


def narrow_decimal(value: Decimal) -> np.float32:
    """A Decimal of many digits rounded to float32 with no rounding between, ties to even.

    >>> float(narrow_decimal(Decimal(2**24) + 1))
    16777216.0
    """
    if value == 0:
        return F32(0)
    with localcontext() as context:
        context.prec = 200
        exponent = max(math.frexp(float(value))[1] - 24, -149)
        steps = (value / Decimal(2) ** exponent).to_integral_value("ROUND_HALF_EVEN")
        return F32(math.ldexp(int(steps), exponent))


def _sigmoid_decimal(x: float) -> np.float32:
    with localcontext() as context:
        context.prec = 60
        return narrow_decimal(1 / (1 + (-Decimal(x)).exp()))


def _tanh_decimal(x: float) -> np.float32:
    if x == 0:
        return F32(x)
    with localcontext() as context:
        context.prec = 120
        grown = (2 * Decimal(min(max(x, -50), 50))).exp()
        return narrow_decimal((grown - 1) / (grown + 1))


def _softmax_decimal(row: NDArray[Any]) -> NDArray[Any]:
    with localcontext() as context:
        context.prec = 60
        powers = [(Decimal(float(v)) - Decimal(float(row.max()))).exp() for v in row]
        total = sum(powers)
        return np.array([narrow_decimal(p / total) for p in powers], np.float32)
