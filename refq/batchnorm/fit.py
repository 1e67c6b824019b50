"""Optimal fixed-point batch norm of one channel: the fewest bits that reproduce a target, and why fewer cannot.

Lin et al. 2020 (arXiv 2008.13128) state the problem; the exact decision is docs/batchnorm.md eq. 5-12.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from refq.arguments import integer
from refq.batchnorm.choice import (
    Ends,
    Number,
    fewest_bits,
    integers_inside,
    is_empty,
    min_shift,
    mirror,
    roundest,
    some,
    trailing_zeros,
)
from refq.batchnorm.divisors import simplest
from refq.batchnorm.lattice import roundest_multiplier
from refq.batchnorm.slopes import Biases, Constraints, Slopes, bias_range, constraints, slope_interval
from refq.channels import ACC_LIMIT, FixedPoint
from refq.formats import Rounding
from refq.staircase.steps import Staircase

FEW = 16
LARGEST = 1 << 192


@dataclass(frozen=True)
class Fit:
    """The line of one channel, and what is known of all others.

    sign: the target rises with u = sign * x; points: what it asks of a line, in u.
    slopes: the open interval of multiplier / divisor for which some bias works; None: unbounded; empty
    (low >= high) where no line reproduces the target, and then every field below is None.
    min_shift: the smallest K of a divisor 2**K.
    multiplier_range: the integers inside slopes * divisor; bias_range: all biases of form.multiplier.
    Multipliers and slopes are those of x. rounding: the rule of the target, where `fit_batchnorm` made it.
    """

    steps: Staircase
    qmin: int
    qmax: int
    sign: int
    points: Constraints
    slopes: Slopes
    min_shift: int | None = None
    form: FixedPoint | None = None
    multiplier_range: Biases | None = None
    bias_range: Biases | None = None
    rounding: Rounding | None = None

    @property
    def min_divisor(self) -> int | None:
        """The smallest divisor of any kind; None where no line exists."""
        return None if is_empty(self.slopes) else simplest(self.slopes).denominator

    @property
    def open_range(self) -> tuple[int, int]:
        """The first and last accumulator at which the clamp does not decide alone."""
        us = [int(u) + self.points.low for column in self.points.columns[::2] for u in column] or [self.points.low]
        return (min(us), max(us)) if self.sign > 0 else (-max(us), -min(us))


def _line(c: Constraints, group: tuple[int, int], divisor: int) -> int:
    """The multiplier of the group whose bias ends in most zeros, the smallest such."""
    first, last = group
    if last - first < FEW:
        ranked = ((trailing_zeros(roundest(*bias_range(c, a, divisor))), -abs(a), a) for a in range(first, last + 1))
        return max(ranked)[2]
    lower_u, lower_level, upper_u, upper_level = (column.tolist() for column in c.columns)
    least = [(-u - c.low, (j + c.base) * divisor) for u, j in zip(lower_u, lower_level, strict=True)]
    most = [(-u - c.low, (k + c.base) * divisor - 1) for u, k in zip(upper_u, upper_level, strict=True)]
    return roundest_multiplier(least, most, first, last)


def _risen(steps: Staircase, qmin: int, qmax: int) -> tuple[Staircase, int]:
    """The staircase turned so that it rises, and the sign of x it rises with."""
    if not steps.size:
        raise ValueError(f"fit_steps: domain {steps.first}..{steps.last} is empty; nothing to reproduce")
    if not steps.monotone:
        raise ValueError("fit_steps: steps is not monotone; no line reproduces it")
    for name, value in (("qmin", qmin), ("qmax", qmax)):
        integer("fit_steps", name, value, -ACC_LIMIT - 1, ACC_LIMIT)
    lowest, highest = int(steps.levels.min()), int(steps.levels.max())
    if lowest < qmin or highest > qmax:
        raise ValueError(f"fit_steps: steps reaches {lowest}..{highest}, outside qmin..qmax={qmin}..{qmax}")
    falling = steps.levels[-1] < steps.levels[0]
    return (steps.reflected(), -1) if falling else (steps, 1)


def _turned(ends: Ends[Number], sign: int) -> Ends[Number]:
    """An interval of slopes or multipliers of u as one of x, and back."""
    return ends if sign > 0 else mirror(ends)


def with_divisor(fit: Fit, divisor: int) -> Fit:
    """The fit with its line for this divisor; `form` stays None where the divisor has none."""
    inside = integers_inside(_turned(fit.slopes, fit.sign), divisor)
    if not some(inside):
        return replace(fit, form=None, multiplier_range=None, bias_range=None)
    multiplier = _line(fit.points, fewest_bits(*inside), divisor)
    biases = bias_range(fit.points, multiplier, divisor)
    form = FixedPoint(fit.sign * multiplier, roundest(*biases), divisor, fit.qmin, fit.qmax)
    return replace(fit, form=form, multiplier_range=_turned(inside, fit.sign), bias_range=biases)


def fit_steps(steps: Staircase, qmin: int, qmax: int, divisor: int | None = None) -> Fit:
    """The line with the fewest bits that equals a monotone staircase on its whole domain.

    divisor: prescribed; by default the smallest power of two. Of the multipliers those with the fewest bits,
    of these the one whose bias can have the most trailing zeros, then the smallest. `form` is None where no
    line exists with that divisor, `slopes` is empty where none exists at all. Raises ValueError for a
    staircase that is empty, not monotone or outside qmin..qmax.

    >>> from fractions import Fraction
    >>> from refq import staircase
    >>> fit_steps(staircase("exact_ties_up", Fraction(1, 3), domain=(0, 255)), -128, 127).form
    FixedPoint(multiplier=85, bias=170, divisor=256, qmin=-128, qmax=127)
    """
    up, sign = _risen(steps, qmin, qmax)
    points = constraints(up, qmin, qmax)
    fit = Fit(steps, qmin, qmax, sign, points, _turned(slope_interval(points), sign))
    if is_empty(fit.slopes):
        return fit
    shift = min_shift(fit.slopes)
    fit = replace(fit, min_shift=shift)
    return with_divisor(fit, 1 << shift if divisor is None else integer("fit_steps", "divisor", divisor, 1, LARGEST))


def reproduces(fit: Fit, form: FixedPoint) -> bool:
    """Whether a given line equals the fit's target everywhere: the complete decision, without a loop over x."""
    multiplier = fit.sign * form.multiplier
    if (form.qmin, form.qmax) != (fit.qmin, fit.qmax):
        raise ValueError(f"reproduces: form={form} clamps to another range than {fit.qmin}..{fit.qmax}")
    least, most = bias_range(fit.points, multiplier, form.divisor)
    return (least is None or least <= form.bias) and (most is None or form.bias <= most)


def multipliers_for(fit: Fit, bias: int, divisor: int) -> Biases:
    """All multipliers of x that work with a prescribed bias: first..last, None unbounded, first > last none.

    >>> from refq.staircase.steps import rising
    >>> multipliers_for(fit_steps(rising(-4, 4, 0, [2, 3]), 0, 2), -4, 4)
    (4, 5)
    """
    points = fit.points
    integer("multipliers_for", "bias", bias, -LARGEST, LARGEST)
    integer("multipliers_for", "divisor", divisor, 1, LARGEST)
    lower_u, lower_level, upper_u, upper_level = (column.tolist() for column in points.columns)
    # each point asks multiplier * u >= rest
    asked = [(u + points.low, (j + points.base) * divisor - bias) for u, j in zip(lower_u, lower_level, strict=True)]
    asked += [
        (-u - points.low, bias + 1 - (k + points.base) * divisor) for u, k in zip(upper_u, upper_level, strict=True)
    ]
    if any(u == 0 and rest > 0 for u, rest in asked):
        return 1, 0
    low = [-(-rest // u) for u, rest in asked if u > 0]
    high = [-rest // -u for u, rest in asked if u < 0]
    return _turned((max(low, default=None), min(high, default=None)), fit.sign)
