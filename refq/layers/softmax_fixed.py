"""SOFTMAX of 8-bit codes in fixed point: TFLite's reference kernel, TFLM and CMSIS-NN.

Each code is taken relative to the largest of its row, so exp is one table of 256 differences. Sums have 12 integer
bits. Source: TFLite reference/softmax.h and PreprocessSoftmaxScaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.formats import IntFormat
from refq.layers.sigmoid_fixed import divide_by_power, exp_on_negative_values, one_over_one_plus, product

Codes = NDArray[np.int64]
DIFFERENCE_BITS, SUM_BITS = 5, 12
"""Integer bits of scaled differences and of sums."""


@dataclass(frozen=True)
class Scaling:
    """difference * 2**left in int32, times multiplier / 2**31; differences below `least` count as exp = 0."""

    multiplier: int
    left: int
    least: int


def softmax_scaling(scale: np.float32, beta: np.float32) -> Scaling:
    """The multiplier of scale * beta, at most 2**31 - 1 in steps of 2**-26.

    >>> softmax_scaling(np.float32(0.0625), np.float32(1))
    Scaling(multiplier=1073741824, left=23, least=-248)
    """
    steps = min(Fraction(float(beta) * float(scale)) * (1 << 26), Fraction((1 << 31) - 1))
    if steps <= 1:
        raise ValueError(
            f"softmax_scaling: scale * beta={float(scale) * float(beta)} is at most 2**-26; pass a larger one"
        )
    fixed = derive(steps)
    left = 31 - fixed.shift
    return Scaling(fixed.multiplier, left, -floor(Fraction(31 << 26, 1 << left)))


def exp_table(scaling: Scaling) -> Codes:
    """exp of the differences 0, -1, ..., -255 without integer bits; 0 below the least one. int64 (256,)."""
    difference = -np.arange(256, dtype=np.int64)
    kept = np.maximum(difference, scaling.least)
    raw = exp_on_negative_values(product(kept << scaling.left, scaling.multiplier), DIFFERENCE_BITS)
    return np.where(difference >= scaling.least, raw, 0)


def _leading_zeros(x: Codes) -> Codes:
    """Of a positive int32: 32 minus its bit length; frexp is exact below 2**53."""
    return 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)


def softmax_fixed(codes: Codes, scale: np.float32, beta: np.float32, out: IntFormat) -> Codes:
    """Codes of the softmax along the last axis; int64 (..., depth) of int8 or uint8 codes, depth 1..4095.

    The output's scale is 2**-8 (2**-16 for int16) and its zero point its lowest code.

    >>> from refq.formats import INT8
    >>> softmax_fixed(np.array([[10, 10, 10, -40]]), np.float32(0.1), np.float32(1), INT8)
    array([[ -43,  -43,  -43, -127]])
    """
    if not 1 <= codes.shape[-1] < 1 << SUM_BITS:
        raise ValueError(f"softmax_fixed: codes have depth {codes.shape[-1]}; pass 1..{(1 << SUM_BITS) - 1}")
    scaling = softmax_scaling(scale, beta)
    difference = codes.max(axis=-1, keepdims=True) - codes
    exps = exp_table(scaling)[difference]
    total = divide_by_power(exps, SUM_BITS).sum(axis=-1, keepdims=True)
    zeros = _leading_zeros(total)
    reciprocal = one_over_one_plus((total << zeros) - (1 << 31))
    value = divide_by_power(product(reciprocal, exps), SUM_BITS - zeros + 31 - out.bits)
    value = np.where(-difference >= scaling.least, value, 0)
    return np.clip(value + out.qmin, out.qmin, out.qmax)
