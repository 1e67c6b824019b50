"""Batch norm, activation and quantizer of one channel: the exact target, and each integer form of it.

y(x) = gamma * (acc_scale * x - mean) / sqrt(variance + epsilon) + beta is p + q * sqrt(v) with rational p, q, v.
Its order with any rational is known by squaring; the root itself is never computed.
Guo et al. 2021 (arXiv 2106.00127) for the shift form, Blott et al. 2018 (FINN-R) for the thresholds.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, isqrt

from refq.channels import Channel, Crossing, FixedPoint, ShiftForm, ThresholdForm
from refq.formats import Rounding
from refq.spec.rounding import HALF, round_to_integer

QUARTER = HALF / 2


def root_order(rest: Fraction, factor: Fraction, square: Fraction) -> int:
    """The sign, -1, 0 or 1, of factor * sqrt(square) - rest; square >= 0.

    >>> root_order(Fraction(3, 2), Fraction(1), Fraction(2)), root_order(Fraction(-3, 2), Fraction(-1), Fraction(2))
    (-1, 1)
    """
    left, right = factor * abs(factor) * square, rest * abs(rest)
    return (left > right) - (left < right)


def in_steps(x: int, channel: Channel) -> tuple[Fraction, Fraction, Fraction]:
    """(p, q, v): the real output in units of out_scale is p + q * sqrt(v)."""
    v = channel.variance + channel.epsilon
    q = channel.gamma * (channel.acc_scale * x - channel.mean) / (channel.out_scale * v)
    return channel.beta / channel.out_scale, q, v


def round_surd(p: Fraction, q: Fraction, v: Fraction, rounding: Rounding) -> int:
    """round(p + q * sqrt(v)); v >= 0.

    >>> round_surd(Fraction(0), Fraction(1), Fraction(2), Rounding.CEIL)
    2
    >>> round_surd(Fraction(-1, 2), Fraction(1), Fraction(4), Rounding.TIES_EVEN)
    2
    """
    root = isqrt(floor(q * q * v))
    below = floor(p) + (root if q >= 0 else -root - 1)
    while root_order(below + 1 - p, q, v) >= 0:
        below += 1
    # A rational with the same floor, the same side of the tie and the same sign rounds alike.
    if root_order(below - p, q, v) == 0:
        return below
    return round_to_integer(below + HALF + QUARTER * root_order(below + HALF - p, q, v), rounding)


def _clamp(value: int, qmin: int, qmax: int) -> int:
    return max(qmin, min(value, qmax))


def batchnorm(x: int, channel: Channel, rounding: Rounding) -> int:
    """clamp(round(y(x) / out_scale) + zero_point): the exact target.

    >>> c = Channel(Fraction(3, 4), Fraction(1, 10), Fraction(25, 2), 101, 0, out_scale=0.25, qmin=0, qmax=15)
    >>> [batchnorm(x, c, Rounding.TIES_UP) for x in (12, 13, 59, 60)]
    [0, 1, 14, 15]
    """
    return _clamp(round_surd(*in_steps(x, channel), rounding) + channel.zero_point, channel.qmin, channel.qmax)


def fixed_point(x: int, form: FixedPoint) -> int:
    """clamp(floor((multiplier * x + bias) / divisor)).

    >>> fixed_point(13, FixedPoint(19, -177, 64, 0, 15))
    1
    """
    return _clamp(floor(Fraction(form.multiplier * x + form.bias, form.divisor)), form.qmin, form.qmax)


def shift_batchnorm(x: int, form: ShiftForm) -> int:
    """clamp(floor((sign * x - bias) / 2**shift) + zero_point): floor first, then the clamp.

    >>> [shift_batchnorm(x, ShiftForm(bias=3, shift=2, qmin=-7, qmax=7)) for x in (2, 3, 6, 7)]
    [-1, 0, 0, 1]
    """
    shifted = floor((form.sign * x - form.bias) * Fraction(2) ** -form.shift)
    return _clamp(shifted + form.zero_point, form.qmin, form.qmax)


def threshold_batchnorm(x: int, form: ThresholdForm) -> int:
    """qmin + the number of thresholds crossed.

    >>> threshold_batchnorm(4, ThresholdForm((2, 4, 9), 0)), threshold_batchnorm(4, ThresholdForm((1, 3, 8), 0,
    ...     Crossing.STRICT))
    (2, 2)
    """
    strict = form.crossing == Crossing.STRICT
    return form.qmin + sum(form.sign * x > t if strict else form.sign * x >= t for t in form.thresholds)


def round_log2(square: Fraction) -> int:
    """round(log2(sqrt(square))), ties to even, without a logarithm; square > 0.

    The r with 2**(2 r - 1) < square < 2**(2 r + 1); on an end, the even one of both.

    >>> [round_log2(Fraction(s)) for s in (1, 2, 3, 8, 9, Fraction(1, 2))]
    [0, 0, 1, 2, 2, 0]
    """
    r = (square.numerator.bit_length() - square.denominator.bit_length()) // 2 - 2
    while square > Fraction(2) ** (2 * r + 1):
        r += 1
    return r + r % 2 if square == Fraction(2) ** (2 * r + 1) else r
