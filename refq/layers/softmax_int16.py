"""SOFTMAX of int16 codes: TFLite's, with interpolated tables of exp and of 1 / (1 + x).

Sources: TFLite reference/softmax.h SoftmaxInt16, LUTPopulate and LUTLookup of common.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.formats import IntFormat
from refq.requantize import requantize

Codes = NDArray[np.int64]
STEPS = 512
INT32 = IntFormat(32)


def _away(value: float) -> float:
    return math.floor(abs(value) + 0.5) * (1.0 if value >= 0 else -1.0)


def _nodes(function: Callable[[float], float], low: float, high: float) -> Codes:
    """513 values of a function on low..high in steps of 1 / 32768; each node is lowered by half the error of the
    chord in the middle of its step. Everything is float64; roundings are ties away."""
    step, inverse = (high - low) / STEPS, 65536.0 / (2.0 / 65535 * 65535)
    found = []
    for i in range(STEPS):
        value, middle = function(low + i * step), function(low + i * step + step / 2)
        after = function(low + (i + 1) * step)
        sample = _away(value * inverse)
        error = _away((after * inverse + sample) / 2) - _away(middle * inverse)
        found.append(sample - _away(error / 2))
    found.append(_away(function(high) * inverse))
    result: Codes = np.clip(np.array(found), -32768, 32767).astype(np.int64)
    return result


@cache
def exp_nodes() -> Codes:
    """exp on -10..0."""
    return _nodes(math.exp, 10.0 / 65535 * -65535, 10.0 / 65535 * 0)


@cache
def reciprocal_nodes() -> Codes:
    """1 / (1 + x) on 0..1."""
    return _nodes(lambda x: 1.0 / (1.0 + x), 1.0 / 65535 * 0, 1.0 / 65535 * 65535)


def interpolate(nodes: Codes, x: Codes) -> Codes:
    """The table at int16 x: 9 bits pick the node, 7 interpolate, ties up."""
    place, rest = 256 + (x >> 7), x & 127
    result: Codes = nodes[place] + (((nodes[place + 1] - nodes[place]) * rest + 64) >> 7)
    return result


def softmax_int16(codes: Codes, scale: np.float32, beta: np.float32, rule: str = "gemmlowp_double") -> Codes:
    """Codes 0..32767 of scale 2**-15 along the last axis; int64 (..., depth) of int16 codes, depth 1..65535.

    rule: by which the differences are scaled, from 65535 steps to -10..0.

    >>> softmax_int16(np.array([[0, 0], [0, -20000]]), np.float32(2.0**-12), np.float32(1))
    array([[16384, 16384],
           [32522,   246]])
    """
    if not 1 <= codes.shape[-1] <= 65535:
        raise ValueError(f"softmax_int16: codes have depth {codes.shape[-1]}; pass 1..65535")
    factor = derive(Fraction(float(scale * beta) / (10.0 / 65535.0)))
    difference = codes - codes.max(axis=-1, keepdims=True)
    scaled = requantize(difference, rule, factor, fmt=INT32).astype(np.int64) + 32767
    exps = interpolate(exp_nodes(), np.clip(scaled, -32768, 32767))
    total = exps.sum(axis=-1, keepdims=True)
    length = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    shifted = ((total << (31 - length)) + (1 << 13)) >> 14
    reciprocal = interpolate(reciprocal_nodes(), np.clip(shifted - (1 << 15) - (1 << 16), -32768, 32767))
    shift = length - 1
    result: Codes = np.clip((exps * reciprocal + (np.int64(1) << (shift - 1))) >> shift, 0, 32767)
    return result
