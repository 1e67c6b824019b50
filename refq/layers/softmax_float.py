"""SOFTMAX of 8-bit codes through a table of exp in float32: TFLite's optimized kernel and ONNX Runtime.

LiteRT's exp is glibc's. Sums are float32, in the order of the row.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat
from refq.layers.sigmoid_libm import exp_glibc

Codes = NDArray[np.int64]
Floats = NDArray[np.float32]


def row_sum(values: Floats) -> Floats:
    """Sums along the last axis, kept, each addition rounded to float32, first element first."""
    total = np.zeros(values.shape[:-1], np.float32)
    for place in range(values.shape[-1]):
        total = total + values[..., place]
    return total[..., None]


def _away(x: Floats) -> Codes:
    wide = x.astype(np.float64)
    return np.trunc(wide + np.copysign(0.5, wide)).astype(np.int64)


def tflite_exps(scale: np.float32, beta: np.float32) -> Floats:
    """exp(-(scale * beta) * d) for d = 0..255, both products float32. Source: PopulateSoftmaxLookupTable."""
    return exp_glibc((-scale * beta) * np.arange(256, dtype=np.float32))


def softmax_tflite(
    codes: Codes, scale: np.float32, beta: np.float32, out_scale: np.float32, out_zero: int, out: IntFormat
) -> Codes:
    """round(e * (1 / (sum * out_scale))) + out_zero along the last axis, in float32.

    Ties away; for uint8 the value plus 1/2, a float32 sum, is truncated and the zero point is left out.
    Source: TFLite optimized_ops.h Softmax, QuantizeSoftmaxOutput.
    """
    exps = tflite_exps(scale, beta)[codes.max(axis=-1, keepdims=True) - codes]
    inverse = np.float32(1) / (row_sum(exps) * out_scale)
    value = exps * inverse
    found = _away(value) + out_zero if out.signed else (value + np.float32(0.5)).astype(np.int64)
    return np.clip(found, out.qmin, out.qmax)


def onnxruntime_exps(scale: np.float32, depth: int) -> Floats:
    """exp((i - 255 + shift) * scale) for i = 0..255, in float64, rounded to float32 once.

    shift = max(0, log(largest float32 / depth) - 5) / scale, so that a row's sum stays finite; the quotient and the
    logarithm are float32, the rest float64.
    """
    largest = np.finfo(np.float32).max / np.float32(depth)
    shift = max(0.0, float(np.float32(math.log(float(largest)))) - 5.0) / float(scale)
    return np.array([math.exp((i - 255 + shift) * float(scale)) for i in range(256)], np.float32)


def softmax_onnxruntime(codes: Codes, scale: np.float32, out_scale: np.float32, out_zero: int, out: IntFormat) -> Codes:
    """round_even(e * floor(1 / out_scale) / sum) + out_zero along the last axis.

    1 / out_scale is a float32 quotient: for out_scale = float32(1 / 255) its floor is 254.
    Source: ONNX Runtime contrib_ops QLinearSoftmax.
    """
    table = onnxruntime_exps(scale, codes.shape[-1])
    exps = table[255 - (codes.max(axis=-1, keepdims=True) - codes)]
    factor = np.floor(np.float32(1) / out_scale)
    with np.errstate(over="ignore"):
        value = np.rint(exps * factor / row_sum(exps)).astype(np.float64)
    # depth 1: the product is infinite, and x86 converts it to 0 (uint32) or -2**31 (int32), which may wrap next
    value = np.where(np.isfinite(value), value, -(2.0**31) if out.signed else 0.0)
    found = value.astype(np.int64) + out_zero
    found = ((found + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    return np.clip(found, out.qmin, out.qmax)
