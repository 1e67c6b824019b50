"""Pools and means, one result at a time: what every kernel of them must equal.

Results include the output's zero point and are not clamped (`refq.spec.layers.elementwise.stored` does that).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from refq.formats import INT32, Rounding
from refq.rules import FixedScale, Rule
from refq.spec.fixedpoint import quantize_multiplier, reciprocal_scale, tosa32
from refq.spec.floats import FLOAT32, FLOAT64, round_to_float
from refq.spec.layers.elementwise import Affine
from refq.spec.requantize import requantize
from refq.spec.rounding import round_to_integer


def _single(value: Fraction) -> Fraction:
    return round_to_float(value, FLOAT32)


def window(
    place: Sequence[int], sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
    padding: Sequence[tuple[int, int]], dilation: Sequence[int],
) -> list[tuple[int, ...]]:  # fmt: skip
    """The spatial indices that the window of one result has inside the picture, row by row.

    >>> window((0, 1), (2, 3), (2, 2), (1, 1), ((1, 0), (0, 0)), (1, 1))
    [(0, 1), (0, 2)]
    """
    found = []
    for tap in product(*(range(k) for k in kernel)):
        at = [o * s - p[0] + t * d for o, s, p, t, d in zip(place, stride, padding, tap, dilation, strict=True)]
        if all(0 <= i < size for i, size in zip(at, sizes, strict=True)):
            found.append(tuple(at))
    return found


def raw_mean(codes: Sequence[int], count: int, rounding: Rounding) -> int:
    """round(sum / count) of the codes as they are (TFLite, TFLM, CMSIS-NN average pools: ties away).

    >>> [raw_mean(codes, 4, Rounding.TIES_AWAY) for codes in ([10], [-10], [6], [-6], [-2])]
    [3, -3, 2, -2, -1]
    """
    return round_to_integer(Fraction(sum(codes), count), rounding)


def exact_mean(
    codes: Sequence[int], count: int, source: Affine, output: Affine, rounding: Rounding, before: bool = False
) -> int:
    """round(mean of the reals / output scale) + zero point; padding counts as zero where count exceeds the codes."""
    total = sum(code - source.zero_point for code in codes)
    value = total * source.scale / output.scale / count
    zero = output.zero_point
    return round_to_integer(value + zero, rounding) if before else round_to_integer(value, rounding) + zero


def tflite_mean(codes: Sequence[int], rule: Rule, source: Affine, output: Affine) -> int:
    """The scale ratio as a multiplier of 31 bits, divided by the count with what bits its power of two leaves.

    Source: TFLite QuantizedMeanOrSum.
    """
    count = len(codes)
    whole = quantize_multiplier(round_to_float(source.scale / output.scale, FLOAT64))
    up = min(count.bit_length() - 1, 32, 31 + (31 - whole.shift))
    fixed = FixedScale((whole.multiplier << up) // count, whole.shift + up)
    total = sum(codes) - source.zero_point * count
    return requantize(total, rule, fixed, 0, INT32) + output.zero_point


def x86_mean(codes: Sequence[int], rule: Rule, source: Affine, output: Affine) -> int:
    """TFLite's optimized mean over height and width: raw sums; the input's zero point is rescaled and rounded apart."""
    count = len(codes)
    zero = _single(_single(source.zero_point * source.scale) / output.scale)
    half = Fraction(1, 2) if zero > 0 else Fraction(-1, 2)
    bias = output.zero_point - round_to_integer(_single(zero + half), Rounding.TOWARD_ZERO)
    scale = _single(source.scale / _single(count * output.scale))
    return requantize(sum(codes), rule, quantize_multiplier(scale), 0, INT32) + bias


def xnnpack_mean(codes: Sequence[int], source: Affine, output: Affine) -> int:
    """rint(sum * scale + (zo - (n * zi) * scale)) with every operation in float32, scale = (si / so) * (1 / n)."""
    count = len(codes)
    scale = _single(_single(source.scale / output.scale) * _single(Fraction(1, count)))
    bias = _single(output.zero_point - _single(_single(Fraction(count * source.zero_point)) * scale))
    product_ = _single(_single(Fraction(sum(codes))) * scale)
    return round_to_integer(_single(product_ + bias), Rounding.TIES_EVEN)


def mlas_global(codes: Sequence[int], rule: Rule, source: Affine, output: Affine) -> int:
    """ONNX Runtime's global average pool: the sum without zero points by `rule`, float32_ties_even."""
    scale = _single(source.scale / _single(output.scale * len(codes)))
    total = sum(codes) - len(codes) * source.zero_point
    return requantize(total, rule, scale, 0, INT32) + output.zero_point


def float_mean(codes: Sequence[int], count: int, source: Affine, output: Affine, before: bool) -> int:
    """Reals added in order, divided by count and by the output scale, every operation in float32; ties even."""
    total = Fraction(0)
    for code in codes:
        total = _single(total + _single((code - source.zero_point) * source.scale))
    value = _single(_single(total / count) / output.scale)
    if before:
        return round_to_integer(_single(value + output.zero_point), Rounding.TIES_EVEN)
    return round_to_integer(value, Rounding.TIES_EVEN) + output.zero_point


def tosa_reciprocal(codes: Sequence[int], count: int, rule: Rule, source: Affine, output: Affine) -> int:
    """TOSA AVG_POOL2D: the sum without zero points times `reciprocal_scale`, SINGLE_ROUND."""
    total = sum(code - source.zero_point for code in codes)
    return requantize(total, rule, reciprocal_scale(count), 0, INT32) + output.zero_point


def tosa_rescale(codes: Sequence[int], rule: Rule, source: Affine, output: Affine) -> int:
    """TOSA REDUCE_SUM of int32 and one RESCALE by si / n / so, rounded to float64 at each step."""
    inverse = round_to_float(Fraction(1, len(codes)), FLOAT64)
    scale = round_to_float(round_to_float(source.scale * inverse, FLOAT64) / output.scale, FLOAT64)
    total = sum(codes) - len(codes) * source.zero_point
    return requantize(total, rule, tosa32(scale), 0, INT32) + output.zero_point
