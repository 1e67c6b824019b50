"""LEAKY_RELU of codes: one scale for inputs at or above the zero point, alpha times it for those below.

Sources: TFLite reference/leaky_relu.h; XNNPACK qs8-vlrelu.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.formats import IntFormat
from refq.layers.lookup import Grids
from refq.requantize import requantize
from refq.rules import FixedScale

Codes = NDArray[np.int64]
INT32 = IntFormat(32)
NEGATED = "_negated"
"""Ends the name of an integer rule that multiplies by the size of a negative factor and changes the sign last."""


def _signed_multiple(x: Codes, rule: str, factor: np.float32) -> Codes:
    """round(x * factor) in int32 under an integer rule; a negative factor is a negative multiplier, or negated last."""
    if factor == 0:
        return np.zeros_like(x)
    if rule.endswith(NEGATED):
        size = _signed_multiple(x, rule.removesuffix(NEGATED), abs(factor))
        return size if factor > 0 else -size
    fixed = derive(abs(factor))
    signed = FixedScale(fixed.multiplier if factor > 0 else -fixed.multiplier, fixed.shift)
    return requantize(x, rule, signed, fmt=INT32).astype(np.int64)


def leaky_relu_integer(codes: Codes, grids: Grids, alpha: np.float32, rule: str) -> Codes:
    """round(d * s) + zero for d = code - zero_point >= 0, round(d * s_alpha) + zero below, under an integer rule.

    s = float32(scale / out_scale), s_alpha = float32(float32(scale * alpha) / out_scale). A rule RULE_negated computes
    -round(d * -s_alpha) where s_alpha < 0: gemmlowp's first rounding takes its ties up, so they part there.

    >>> from refq.formats import INT8
    >>> grids = Grids(np.float32(0.5), 0, INT8, np.float32(0.5), 0, INT8)
    >>> leaky_relu_integer(np.array([-12, -4, 4]), grids, np.float32(0.125), "gemmlowp_double")
    array([-2, -1,  4])
    >>> [leaky_relu_integer(np.array([-43, -44]), grids, np.float32(-0.125), rule).tolist()
    ...  for rule in ("gemmlowp_double", "gemmlowp_double_negated")]
    [[6, 6], [5, 6]]
    """
    x = codes - grids.zero_point
    above = _signed_multiple(np.maximum(x, 0), rule, grids.scale / grids.out_scale)
    below = _signed_multiple(np.minimum(x, 0), rule, grids.scale * alpha / grids.out_scale)
    total = np.where(x >= 0, above, below) + grids.out_zero_point
    result: Codes = np.clip(total, grids.out_fmt.qmin, grids.out_fmt.qmax)
    return result


def _ratios(grids: Grids, alpha: np.float32) -> tuple[np.float32, np.float32]:
    positive = grids.scale / grids.out_scale
    return positive, positive * alpha


def xnnpack_takes(grids: Grids, alpha: np.float32) -> bool:
    """Whether XNNPACK has the op: 8 bits, both ratios at least 2**-8 in size and in -127.99..128."""
    positive, negative = _ratios(grids, alpha)
    inside = 2.0**-8 <= positive <= 2.0**7 and abs(negative) >= 2.0**-8 and -127.99609375 <= negative <= 2.0**7
    return bool(inside) and grids.fmt.bits == 8 and grids.out_fmt == grids.fmt


def leaky_relu_xnnpack(codes: Codes, grids: Grids, alpha: np.float32) -> Codes:
    """(d * M + 128 + 256 zero) >> 8, M = round_even(256 s) above, round_even(256 s alpha) below; int8 and uint8.

    The positive ratio lies in 2**-8..2**7, the negative one in magnitude at or above 2**-8, and in -127.99..2**7.
    """
    positive, negative = _ratios(grids, alpha)
    if not xnnpack_takes(grids, alpha):
        raise ValueError(f"leaky_relu_xnnpack: ratios {positive}, {negative} are outside 2**-8..2**7 in magnitude")
    above, below = (int(np.rint(np.float32(256) * ratio)) for ratio in (positive, negative))
    x = codes - grids.zero_point
    total = (x * np.where(x >= 0, above, below) + 128 + (grids.out_zero_point << 8)) >> 8
    result: Codes = np.clip(total, grids.out_fmt.qmin, grids.out_fmt.qmax)
    return result


def leaky_relu_real(x: Fraction, alpha: np.float32) -> Fraction:
    """The real function."""
    return x if x >= 0 else x * Fraction(float(alpha))
