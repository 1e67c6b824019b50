"""Sums and products in float32 as ONNX Runtime computes them, and in real numbers as the ONNX text says."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.layers.elementwise import Affine, Codes, Ints, Operands
from refq.layers.ratios import nearest

Floats = NDArray[np.float32]


def fused_multiply_add(x: Any, y: Any, z: Any) -> Floats:
    """x * y + z of float32 numbers with one rounding to float32.

    The product is exact in float64. The sum is rounded to odd there, so that rounding it again, to float32, is
    rounding the exact one (Boldo and Melquiond 2008: 53 >= 24 + 2).

    >>> float(fused_multiply_add(np.float32(3), np.float32(1 / 3), np.float32(-1))).hex()
    '0x1.0000000000000p-25'
    """
    product = np.asarray(x, np.float64) * np.asarray(y, np.float64)
    other = np.asarray(z, np.float64)
    total = np.atleast_1d(product + other)
    part = total - product
    error = np.atleast_1d((product - (total - part)) + (other - part))
    even = total.view(np.int64) & 1 == 0
    toward = np.where(error > 0, np.inf, -np.inf)
    odd = np.where((error != 0) & even, np.nextafter(total, toward), total)
    return odd.astype(np.float32).reshape(np.broadcast_shapes(product.shape, other.shape))


def mlas(a: Codes, b: Codes, operands: Operands) -> Ints:
    """Sums with the zero point, unclamped, in float32 with fused multiply-adds, rounded once, ties to even.

    fixed = zo - fma(ra, za, rb * zb) and then rint(fma(a, ra, fma(b, rb, fixed))), ra and rb the float32 ratios of
    scales; a and b change places where operands.swapped. Source: ONNX Runtime qladd_avx2.cpp, built with FMA.
    """
    if operands.swapped:
        a, b = b, a
    first, second = (operands.second, operands.first) if operands.swapped else (operands.first, operands.second)
    ratios = [np.float32(x.scale / operands.output.scale) for x in (first, second)]
    offset = fused_multiply_add(ratios[0], np.float32(first.zero_point), ratios[1] * np.float32(second.zero_point))
    fixed = np.float32(operands.output.zero_point) - offset
    inner = fused_multiply_add(b.astype(np.float32), ratios[1], fixed)
    return converted(fused_multiply_add(a.astype(np.float32), ratios[0], inner))


def converted(values: Floats) -> Ints:
    """Nearest integers, ties to even, as x86 converts float32 to int32: what is outside becomes -2**31."""
    rounded = np.rint(values.astype(np.float64))
    inside: Ints = np.where(np.abs(rounded + 0.5) < 2.0**31, rounded, -(2.0**31)).astype(np.int64)
    return inside


def real_of(codes: Codes, affine: Affine) -> Floats:
    """float32(code - zero_point) * scale in float32 (DequantizeLinear)."""
    return (codes.astype(np.int64) - affine.zero_point).astype(np.float32) * affine.scale


def float_steps(a: Codes, b: Codes, operands: Operands, product: bool = False) -> Ints:
    """The three float32 operators of an unfused QDQ group: dequantize both, add or multiply, quantize by division.

    Source: ONNX DequantizeLinear, Add, Sub, Mul, QuantizeLinear in float32.
    """
    x, y = real_of(a, operands.first), real_of(b, operands.second)
    # what leaves float32 is infinite and saturates
    with np.errstate(over="ignore"):
        result = x * y if product else x - y if operands.sign < 0 else x + y
        scaled = result / operands.output.scale
    rounded: Ints = np.rint(np.clip(scaled, -(2.0**40), 2.0**40)).astype(np.int64)
    return rounded + operands.output.zero_point


def exact_sum(a: Codes, b: Codes, operands: Operands, rounding: Rounding, before: bool = False) -> Ints:
    """round(real sum / output scale) + zero point in real numbers; before: the zero point is rounded with it.

    Source: ONNX QuantizeLinear's text on the exact sum of what the codes stand for.
    """
    ratios = [Fraction(float(x.scale)) / Fraction(float(operands.output.scale)) for x in _inputs(operands)]
    common = lcm(*(r.denominator for r in ratios))
    weights = [int(r * common) for r in ratios]
    # beyond int64 the same lines run on Python's integers
    largest = sum(abs(w) << 18 for w in weights) + (common << 18)
    kind: Any = np.int64 if largest < 1 << 61 else object
    total = (a.astype(kind) - operands.first.zero_point) * weights[0]
    total = total + (b.astype(kind) - operands.second.zero_point) * (operands.sign * weights[1])
    shift = operands.output.zero_point if before else 0
    rounded = np.clip(nearest(total + shift * common, common, rounding), -(1 << 40), 1 << 40)
    return np.asarray(rounded, np.int64) + (operands.output.zero_point - shift)


def _inputs(operands: Operands) -> tuple[Affine, Affine]:
    return operands.first, operands.second
