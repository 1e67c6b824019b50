"""Shift-based batch norm: the bias and the shift of a channel, from its mean and deviation or from a Channel.

Guo et al. 2021, arXiv 2106.00127, read from the authors' code (IntegerNet). Equations: docs/shift_batchnorm.md.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from refq.arguments import integer
from refq.batchnorm.surds import nearest, round_log2
from refq.channels import Channel, ShiftForm

SPREAD = {True: 3, False: 2}
"""signed -> R: the codes of a signed output cover mean +- 4 std = 2**R std, those of an unsigned one 0..4 std."""


def output_range(function: str, bits: object, signed: object) -> tuple[int, int]:
    """(qmin, qmax): 0..2**bits - 1, or the symmetric -(2**(bits - 1) - 1)..2**(bits - 1) - 1; bits 2..8."""
    width = integer(function, "bits", bits, 2, 8)
    if not isinstance(signed, bool):
        raise TypeError(f"{function}: signed={signed!r} is not a bool; pass True or False")
    top = (1 << (width - signed)) - 1
    return -top * signed, top


def rationals(function: str, name: str, values: Any) -> list[Fraction]:
    """Numbers, one or a sequence, as the exact rationals they are."""
    flat = np.asarray(values, object)
    if flat.ndim > 1:
        raise ValueError(f"{function}: {name} has shape {flat.shape}; pass one value a channel")
    for c, value in enumerate(flat.reshape(-1)):
        if isinstance(value, bool | np.bool_) or not isinstance(
            value, int | float | Fraction | np.floating | np.integer
        ):
            raise TypeError(f"{function}: {name}[{c}]={value!r} is not a number; pass ints, floats or Fractions")
        if isinstance(value, float | np.floating) and not np.isfinite(value):
            raise ValueError(f"{function}: {name}[{c}]={value} is not finite; pass finite numbers")
    # NumPy integers have no as_integer_ratio
    plain = (int(value) if isinstance(value, np.integer) else value for value in flat.reshape(-1))
    return [Fraction(*value.as_integer_ratio()) for value in plain]


def mean_and_std(function: str, mean: Any, std: Any) -> list[tuple[Fraction, Fraction]]:
    """The pairs, one a channel; std >= 0."""
    means, stds = rationals(function, "mean", mean), rationals(function, "std", std)
    if len(means) != len(stds):
        raise ValueError(f"{function}: std has {len(stds)} channels, mean has {len(means)}; pass as many of both")
    for c, value in enumerate(stds):
        if value < 0:
            raise ValueError(f"{function}: std[{c}]={value} is negative; pass a standard deviation >= 0")
    return list(zip(means, stds, strict=True))


def form_of(mean: Fraction, variance: Fraction, bits: int, signed: bool) -> ShiftForm:
    """bias = round(mean), shift = round(log2(sqrt(variance))) + R - bits, ties to even: eq. S1; variance 0: eq. S7."""
    qmin, qmax = output_range("form_of", bits, signed)
    shift = round_log2(variance) + SPREAD[signed] - bits if variance else -bits
    return ShiftForm(round(mean), shift, qmin, qmax)


def freeze_shift(mean: Any, std: Any, bits: int, signed: bool) -> tuple[ShiftForm, ...]:
    """The forms of running statistics: eqs. S1 and S7, in accumulator steps.

    mean, std: (channels,) floats, ints or Fractions, or one value, each taken as the exact rational it is; std is the
    standard deviation, not the variance. bits: 2..8. A std of 0 gives shift -bits: 0 at the bias, an end of the
    range elsewhere. TypeError for the kind, ValueError for NaN, infinity, std < 0, bits and unequal lengths.

    >>> freeze_shift([2.5, -40.0], [90.4, 90.6], 4, signed=True)
    (ShiftForm(bias=2, shift=5, qmin=-7, qmax=7, sign=1, zero_point=0),
     ShiftForm(bias=-40, shift=6, qmin=-7, qmax=7, sign=1, zero_point=0))
    """
    output_range("freeze_shift", bits, signed)
    return tuple(form_of(m, s * s, bits, signed) for m, s in mean_and_std("freeze_shift", mean, std))


def shift_form(channel: Channel) -> ShiftForm:
    """The shift form nearest to a channel with gamma and beta: eq. S6; it ends in a floor.

    shift: the integer nearest to -log2|a|, a = gamma * acc_scale / (out_scale * sqrt(variance + epsilon)); bias: the
    one nearest to sign * x0, the real output being 0 at x0; ties to even, decided exactly. gamma = 0: on
    acc_min..acc_max the constant clamp(floor(beta / out_scale) + zero_point).

    >>> shift_form(Channel(gamma=-0.75, beta=3, mean=12.5, variance=100, epsilon=0, out_scale=0.25))
    ShiftForm(bias=-52, shift=2, qmin=-128, qmax=127, sign=-1, zero_point=0)
    """
    if not isinstance(channel, Channel):
        raise TypeError(f"shift_form: channel={channel!r} is not a Channel")
    c, v = channel, channel.variance + channel.epsilon
    if not c.gamma:
        code = min(max(floor(c.beta / c.out_scale) + c.zero_point, c.qmin), c.qmax)
        return ShiftForm(c.acc_min, (c.acc_max - c.acc_min).bit_length(), c.qmin, c.qmax, 1, code)
    sign = 1 if c.gamma > 0 else -1
    bias = nearest(sign * c.mean / c.acc_scale, -c.beta / (abs(c.gamma) * c.acc_scale), v)
    shift = round_log2(c.out_scale**2 * v / (c.gamma * c.acc_scale) ** 2)
    return ShiftForm(bias, shift, c.qmin, c.qmax, sign, c.zero_point)
