"""Fixed-point batch norm with too few bits: what people do, what is best done, and what it costs.

The real line of a channel, in output steps, is a x + b with a = a1 * r and b = b0 + b1 * r, r = sqrt(v).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from refq.arguments import integer, member
from refq.batchnorm.fit import Fit, reproduces
from refq.batchnorm.forms import Form, form_steps
from refq.batchnorm.surds import nearest
from refq.channels import Channel, FixedPoint
from refq.formats import Rounding
from refq.staircase.steps import Staircase, disagreements

MAX_SHIFT = 128
# What is added to the line so that floor does as the rounding rule does, ties and whole numbers apart;
# the second term is counted in 2**-shift.
_ADDEND = {
    Rounding.FLOOR: (Fraction(0), 0),
    Rounding.TOWARD_ZERO: (Fraction(0), 0),
    Rounding.JAM: (Fraction(0), 0),
    Rounding.CEIL: (Fraction(1), -1),
    Rounding.AWAY_FROM_ZERO: (Fraction(1), -1),
}
_NEAREST = (Fraction(1, 2), 0)
# Rules that leave the floor of the line plus its addend by a whole code somewhere.
_LOOSE = (Rounding.TOWARD_ZERO, Rounding.AWAY_FROM_ZERO, Rounding.JAM)


@dataclass(frozen=True)
class Line:
    """a x + b with a = slope * sqrt(v), b = offset + root_offset * sqrt(v), in output steps, zero point included."""

    slope: Fraction
    offset: Fraction
    root_offset: Fraction
    v: Fraction


def real_line(channel: Channel) -> Line:
    """The line a channel rounds: eq. 2 of docs/batchnorm.md, with gamma / sqrt(v) written gamma * sqrt(v) / v."""
    v = channel.variance + channel.epsilon
    factor = channel.gamma / (channel.out_scale * v)
    offset = channel.beta / channel.out_scale + channel.zero_point
    return Line(factor * channel.acc_scale, offset, -factor * channel.mean, v)


def _addend(rounding: Rounding, shift: int) -> Fraction:
    """What turns floor into the rounding rule, as far as a constant can."""
    whole, units = _ADDEND.get(rounding, _NEAREST)
    return whole * (1 << shift) + units


def naive_form(channel: Channel, shift: int, rounding: Rounding = Rounding.TIES_UP) -> FixedPoint:
    """The usual baseline: multiplier and bias rounded to the nearest multiple of 2**-shift, each for itself.

    The half of a nearest rounding (for ceil: all but the last bit) is in the bias. shift: 0..128 bits.

    >>> c = Channel(gamma=0.75, beta=0.1, mean=12.5, variance=101, epsilon=0, out_scale=0.25, qmin=0, qmax=15)
    >>> naive_form(c, 6)
    FixedPoint(multiplier=19, bias=-181, divisor=64, qmin=0, qmax=15)
    """
    unit = 1 << integer("naive_form", "shift", shift, 0, MAX_SHIFT)
    rule = Rounding(member("naive_form", "rounding", rounding, Rounding))
    line = real_line(channel)
    multiplier = nearest(Fraction(0), line.slope * unit, line.v)
    bias = nearest(line.offset * unit + _addend(rule, shift), line.root_offset * unit, line.v)
    return FixedPoint(multiplier, bias, unit, channel.qmin, channel.qmax)


def _rule_of(function: str, fit: Fit, rounding: Rounding | None) -> Rounding:
    """The rule of the fit; one that is given must agree with it."""
    if rounding is None:
        return Rounding.TIES_UP if fit.rounding is None else fit.rounding
    rule = Rounding(member(function, "rounding", rounding, Rounding))
    if fit.rounding not in (None, rule):
        raise ValueError(f"{function}: rounding={rule.name} is not that of the fit; leave it out")
    return rule


def naive_min_shift(channel: Channel, fit: Fit, rounding: Rounding | None = None) -> int | None:
    """The smallest shift at which naive rounding reproduces the fit's target; None if none does up to 128.

    None is common where the line meets a boundary exactly: then one side of it may never come out right.
    rounding: by default that of the fit, or ties up where it has none.
    """
    rule = _rule_of("naive_min_shift", fit, rounding)
    if fit.min_shift is None:
        return None
    return next((k for k in range(fit.min_shift, MAX_SHIFT + 1) if reproduces(fit, naive_form(channel, k, rule))), None)


def centred_form(channel: Channel, fit: Fit, shift: int, rounding: Rounding | None = None) -> FixedPoint:
    """The multiplier nearest to the real slope, the bias right for the middle of what the clamp leaves open.

    Its error is bounded by `code_error_bound` at every shift: docs/batchnorm.md eq. 15.

    >>> from refq.batchnorm.fit import fit_steps
    >>> from refq.batchnorm.target import target_steps
    >>> c = Channel(gamma=0.75, beta=0.1, mean=12.5, variance=101, epsilon=0, out_scale=0.25,
    ...             acc_min=-256, acc_max=255, qmin=0, qmax=15)
    >>> centred_form(c, fit_steps(target_steps(c), 0, 15), 4)
    FixedPoint(multiplier=5, bias=-53, divisor=16, qmin=0, qmax=15)
    """
    unit = 1 << integer("centred_form", "shift", shift, 0, MAX_SHIFT)
    rule = _rule_of("centred_form", fit, rounding)
    line, (first, last) = real_line(channel), fit.open_range
    multiplier = nearest(Fraction(0), line.slope * unit, line.v)
    middle = Fraction(first + last, 2)
    offset = line.offset * unit + _addend(rule, shift) - multiplier * middle
    bias = nearest(offset, (line.root_offset + line.slope * middle) * unit, line.v)
    return FixedPoint(multiplier, bias, unit, channel.qmin, channel.qmax)


def code_error_bound(fit: Fit, shift: int, rounding: Rounding | None = None) -> int:
    """How many codes `centred_form` can be off, from the shift and the open range alone: docs/batchnorm.md eq. 16.

    With e = (D + 2) / 2**(shift + 2), D = last - first of the open range: ceil(e) for floor and ties_up,
    floor(e) + 1 for the other nearest rules; ceil adds 2**-shift to e, the rest add 1.
    """
    unit = 1 << integer("code_error_bound", "shift", shift, 0, MAX_SHIFT)
    rule, (first, last) = _rule_of("code_error_bound", fit, rounding), fit.open_range
    error = (Fraction(last - first + 2, 4) + (rule == Rounding.CEIL)) / unit
    if rule in (Rounding.FLOOR, Rounding.TIES_UP):
        return ceil(error)
    return floor(error) + (rule in _LOOSE) + 1


@dataclass(frozen=True)
class Deviation:
    """How a form differs from the exact target: on how many accumulators, by how many codes at most, and where."""

    wrong: int
    max_codes: int
    at: int | None


def deviation(steps: Staircase, form: Form) -> Deviation:
    """The exact count of accumulators a form gets wrong on the domain of its target, and the largest error.

    >>> from refq.staircase.steps import rising
    >>> deviation(rising(0, 9, 0, [3, 6]), FixedPoint(1, 0, 3, 0, 2)), deviation(rising(0, 9, 0, [3, 5]),
    ...     FixedPoint(1, 0, 3, 0, 2))
    (Deviation(wrong=0, max_codes=0, at=None), Deviation(wrong=1, max_codes=1, at=5))
    """
    firsts, lasts, expected, got = disagreements(steps, form_steps(form, (steps.first, steps.last)))
    if not firsts.size:
        return Deviation(0, 0, None)
    reach = max(abs(int(level)) for column in (expected, got) for level in (column.min(), column.max()))
    codes = np.abs(expected - got if reach < 1 << 62 else expected.astype(object) - got)
    worst = int(np.argmax(codes))
    # in Python's integers: the inputs of a wide domain are more than 64 bits can count
    wrong = sum(lasts.tolist()) - sum(firsts.tolist()) + firsts.size
    return Deviation(wrong, int(codes[worst]), int(firsts[worst]))
