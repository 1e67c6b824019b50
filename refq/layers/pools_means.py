"""From sums of codes and the numbers of their elements to the codes of their means, under a rule given by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.formats import Rounding
from refq.layers.elementwise import Affine
from refq.layers.elementwise_float import converted
from refq.layers.ratios import nearest
from refq.layers.shifts import rescale
from refq.rules import Derivation, FixedScale

Ints = NDArray[np.int64]
Mean = Callable[[Ints, Ints, Affine, Affine], Ints]
"""(sums of raw codes, counts of one broadcastable shape, input, output) -> codes, not clamped."""


def raw(sums: Ints, counts: Ints, source: Affine, output: Affine, rounding: Rounding) -> Ints:
    """round(sum / count) of the codes as they are, zero point included; only for equal scales and zero points.

    Source: TFLite, TFLM and CMSIS-NN average pools (ties away).
    """
    return np.asarray(nearest(sums, np.broadcast_to(counts, sums.shape), rounding), np.int64)


def exact(sums: Ints, counts: Ints, source: Affine, output: Affine, rounding: Rounding, before: bool = False) -> Ints:
    """round(mean of the reals / output scale) + zero point, in real numbers; before: the zero point is rounded too."""
    ratio = Fraction(float(source.scale)) / Fraction(float(output.scale))
    shift = output.zero_point if before else 0
    largest = max(int(np.abs(sums).max(initial=1)), 1) + int(counts.max(initial=1)) * (1 << 17)
    wide = largest * ratio.numerator * 4 >= 1 << 62 or int(counts.max(initial=1)) * ratio.denominator << 20 >= 1 << 62
    kind: Any = object if wide else np.int64
    below = counts.astype(kind) * ratio.denominator
    above = (sums - counts * source.zero_point).astype(kind) * ratio.numerator + shift * below
    rounded = np.clip(nearest(above, below, rounding), -(1 << 40), 1 << 40)
    return np.asarray(rounded, np.int64) + (output.zero_point - shift)


def _by_count(one: Callable[[Ints, int, Affine, Affine], Ints]) -> Mean:
    """A rule that derives its constants from the count, run once for each count there is."""

    def mean(sums: Ints, counts: Ints, source: Affine, output: Affine) -> Ints:
        every = np.broadcast_to(counts, sums.shape)
        found = np.empty(sums.shape, np.int64)
        for count in np.unique(counts).tolist():
            at = every == count
            found[at] = one(sums[at], count, source, output)
        return found

    return mean


def divided_multiplier(count: int, source: Affine, output: Affine) -> FixedScale:
    """TFLite's multiplier of input scale / output scale with 1 / count worked in: (M << s) // count, s = log2 count.

    Source: TFLite QuantizedMeanOrSum; the quotient is cut, not rounded.
    """
    whole = derive(Fraction(float(source.scale) / float(output.scale)))
    shift = min(count.bit_length() - 1, 32, 62 - whole.shift)
    return FixedScale((whole.multiplier << shift) // count, whole.shift + shift)


def _tflite(sums: Ints, count: int, source: Affine, output: Affine, rule: str) -> Ints:
    acc = sums - count * source.zero_point
    return rescale(acc, rule, divided_multiplier(count, source, output)) + output.zero_point


def _x86(sums: Ints, count: int, source: Affine, output: Affine, rule: str) -> Ints:
    """The 4-dimensional kernel over height and width: raw sums, and a zero point rounded by itself, ties away.

    Source: TFLite optimized_integer_ops::Mean, optimized_ops::Mean; all scales are float32.
    """
    zero = np.float32(np.float32(np.float32(source.zero_point) * source.scale) / output.scale)
    half = np.float32(0.5) if zero > 0 else np.float32(-0.5)
    bias = output.zero_point - int(np.float32(zero + half))
    scale = np.float32(source.scale / np.float32(np.float32(count) * output.scale))
    return rescale(sums, rule, derive(Fraction(float(scale)))) + bias


def _xnnpack(sums: Ints, count: int, source: Affine, output: Affine) -> Ints:
    """rint(sum * scale + (zo - (n * zi) * scale)), every operation in float32; ties even, after the zero point.

    scale = (input scale / output scale) * (1 / n). Measured on the runtime; source: XNNPACK reduce-nd.
    """
    scale = np.float32(np.float32(source.scale / output.scale) * np.float32(np.float32(1) / np.float32(count)))
    bias = np.float32(output.zero_point) - np.float32(np.float32(count * source.zero_point) * scale)
    values = np.clip(sums.astype(np.float32) * scale + bias, -(2.0**40), 2.0**40)
    rounded: Ints = np.rint(values).astype(np.int64)
    return rounded


def _mlas_global(sums: Ints, count: int, source: Affine, output: Affine) -> Ints:
    """float32(sum - n * zi) * (si / (so * n)) in float32, ties even, then the zero point.

    Source: ONNX Runtime qlgavgpool.cpp (QLinearGlobalAveragePool, and QLinearAveragePool of one whole window).
    """
    scale = np.float32(source.scale / np.float32(output.scale * np.float32(count)))
    acc = sums - count * source.zero_point
    return converted(acc.astype(np.float32) * scale) + output.zero_point


def _tosa_reciprocal(sums: Ints, count: int, source: Affine, output: Affine) -> Ints:
    """(sum - n * zi) / n by TOSA's reciprocal_scale, SINGLE_ROUND, then the zero point; only for equal scales."""
    steps = (count - 1).bit_length()
    fixed = FixedScale((((1 << 30) + 1) << steps) // count, 30 + steps)
    acc = sums - count * source.zero_point
    return rescale(acc, "tosa_scale32_single", fixed) + output.zero_point


def _tosa_rescale(sums: Ints, count: int, source: Affine, output: Affine, rule: str) -> Ints:
    """sum - n * zi by one RESCALE of si / (so * n), a float64, then the zero point (REDUCE_SUM of int32)."""
    scale = Fraction(float(source.scale) * (1 / count) / float(output.scale))
    acc = sums - count * source.zero_point
    return rescale(acc, rule, derive(scale, Derivation.TOSA32)) + output.zero_point


X86 = "tflite_x86"
"""TFLite's optimized kernel on x86: its vector body of 16 channels differs from the loop over what is left."""
X86_LOOPS: tuple[Mean, Mean] = (
    _by_count(partial(_x86, rule="gemmlowp_double")),
    _by_count(partial(_x86, rule="double_up")),
)
"""What that kernel computes one channel at a time, and in its vector body."""

MEANS: dict[str, Mean] = {
    "raw:ties_away": partial(raw, rounding=Rounding.TIES_AWAY),
    "raw:ties_even": partial(raw, rounding=Rounding.TIES_EVEN),
    "raw:ties_up": partial(raw, rounding=Rounding.TIES_UP),
    "tflite:gemmlowp_double": _by_count(partial(_tflite, rule="gemmlowp_double")),
    "tflite:single_up": _by_count(partial(_tflite, rule="single_up")),
    "tflite:double_up": _by_count(partial(_tflite, rule="double_up")),
    "xnnpack_mean": _by_count(_xnnpack),
    "mlas_global": _by_count(_mlas_global),
    "tosa:reciprocal": _by_count(_tosa_reciprocal),
    "tosa:tosa_scale32_double": _by_count(partial(_tosa_rescale, rule="tosa_scale32_double")),
    "tosa:tosa_scale32_single": _by_count(partial(_tosa_rescale, rule="tosa_scale32_single")),
    "exact:ties_even/after": partial(exact, rounding=Rounding.TIES_EVEN),
    "exact:ties_even/before": partial(exact, rounding=Rounding.TIES_EVEN, before=True),
    "exact:ties_away/after": partial(exact, rounding=Rounding.TIES_AWAY),
    "exact:ties_up/after": partial(exact, rounding=Rounding.TIES_UP),
}
"""name -> the rule; "raw" and "tosa:reciprocal" need the output's scale (raw: and zero point) to be the input's."""


def mean_rules(source: Affine, output: Affine) -> tuple[str, ...]:
    """The names of MEANS that are defined for these scales and zero points."""
    same = source.scale == output.scale
    # a multiplier of 31 bits and a shift that is not negative, of TOSA at least 2
    fits = bool(source.scale / output.scale < 2.0**29)
    defined = {
        "raw": same and source.zero_point == output.zero_point,
        "tosa:reciprocal": same,
        "tosa": fits,
        "tflite": fits,
    }
    return tuple(n for n in MEANS if defined.get(n, True) and defined.get(n.split(":")[0], True))
