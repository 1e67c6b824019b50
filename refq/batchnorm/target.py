"""The exact batch norm of one channel as a staircase: thresholds in integers, the root never rounded.

With all denominators cleared, level j is reached at u (u = x, or -x where gamma < 0) iff

    g * u - m >= e_j * sqrt(w),    g >= 0, m, e_j, w >= 1 integers,    e_j = c * (2 b_j) - d        (eq. 3)

where b_j is the boundary of level j under the rounding rule, and > stands for >= where b_j belongs to j - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, lcm

import numpy as np

from refq.arguments import member
from refq.channels import Channel
from refq.exact import boundaries
from refq.formats import Rounding
from refq.staircase.steps import Staircase, rising


def orientation(channel: Channel) -> tuple[int, int, int]:
    """(sign, low, high): the output rises with u = sign * x on low..high."""
    if channel.gamma < 0:
        return -1, -channel.acc_max, -channel.acc_min
    return 1, channel.acc_min, channel.acc_max


def _cleared(channel: Channel) -> tuple[int, int, int, int, int]:
    """(g, m, c, d, w) of eq. 3."""
    v = channel.variance + channel.epsilon
    gain, offset = abs(channel.gamma) * channel.acc_scale, channel.gamma * channel.mean
    half, beta = channel.out_scale / 2, channel.beta
    # sqrt(v) = sqrt(w) / v.denominator
    factor = lcm(gain.denominator, offset.denominator, half.denominator, beta.denominator)
    g, m = (int(q * factor * v.denominator) for q in (gain, offset))
    return g, m, int(half * factor), int(beta * factor), v.numerator * v.denominator


def _bounds(channel: Channel, rounding: Rounding) -> tuple[tuple[int, bool], ...]:
    """(2 b_j, whether b_j belongs to j) for j = qmin+1..qmax."""
    return boundaries(rounding, channel.qmin + 1 - channel.zero_point, channel.qmax - channel.zero_point)


def thresholds(channel: Channel, rounding: Rounding) -> list[int]:
    """min{u : level j reached} for j = qmin+1..qmax, not cut to the accumulator's range; gamma != 0.

    sqrt(w) is replaced by root / 2**guard, below it by less than 2**-guard. No integer n = g u - m lies
    between e sqrt(w) and its replacement: n**2 and e**2 w are integers, so where they differ
    |n - e sqrt(w)| >= 1 / (|n| + |e| sqrt(w)) > |e| / 2**guard (eq. 4). Where they are equal the root is exact.
    """
    g, m, c, d, w = _cleared(channel)
    bounds = _bounds(channel, rounding)
    if not bounds:
        return []
    widest = max(abs(c * twice - d) for twice, _ in (bounds[0], bounds[-1]))
    guard = 2 * widest.bit_length() + isqrt(w).bit_length() + 2
    root = isqrt(w << 2 * guard)
    per_step, start, unit = c * root, (m << guard) - d * root, g << guard

    def exact(place: int) -> int:
        twice, inclusive = bounds[place]
        # ceil where the boundary itself belongs to the level, else the next integer above it
        top = start + per_step * twice
        return -(-top // unit) if inclusive else top // unit + 1

    return _filtered(start, per_step, unit, [twice for twice, _ in bounds], exact)


def _filtered(start: int, step: int, unit: int, steps: list[int], exact: Callable[[int], int]) -> list[int]:
    """floor((start + step * k) / unit) + 1 for k in steps, rising; `exact(place)` where 64 bits cannot tell.

    With value = floor((start + step k_0) 2**bits / unit) + floor(step 2**bits / unit) (k - k_0), the quotient times
    2**bits lies in value..value + 1 + k - k_0. Unless a multiple of 2**bits is there, its floor is that of value.
    """
    first, reach = steps[0], steps[-1] - steps[0]
    ends = [(start + step * k) // unit for k in (steps[0], steps[-1])]
    bits = 60 - max(abs(end) for end in ends).bit_length()
    if not reach or bits < reach.bit_length() + 8:
        return [exact(place) for place in range(len(steps))]
    offsets = np.array(steps) - first
    values = ((start + step * first) << bits) // unit + (step << bits) // unit * offsets
    rest = values & ((1 << bits) - 1)
    found: list[int] = ((values >> bits) + 1).tolist()
    for place in np.flatnonzero((rest == 0) | (rest + 1 + offsets >= 1 << bits)).tolist():
        found[place] = exact(place)
    return found


def _constant(channel: Channel, rounding: Rounding) -> int:
    """The output of a channel with gamma = 0: how many boundaries beta / out_scale reaches."""
    exact = 2 * channel.beta / channel.out_scale
    reached = (exact > twice or (inclusive and exact == twice) for twice, inclusive in _bounds(channel, rounding))
    return channel.qmin + sum(reached)


def target_steps(channel: Channel, rounding: Rounding = Rounding.TIES_UP) -> Staircase:
    """The whole of the exact target on acc_min..acc_max, equal to `refq.spec.batchnorm.batchnorm` at every x.

    rounding: any rule; the zero point is added after it. Exact for irrational roots, ties, coinciding
    thresholds and thresholds outside the range. Lin et al. 2020 (arXiv 2008.13128); docs/batchnorm.md eq. 1-4.

    >>> c = Channel(gamma=0.75, beta=0.1, mean=12.5, variance=101, epsilon=0, out_scale=0.25,
    ...             acc_min=-256, acc_max=255, qmin=0, qmax=15)
    >>> target_steps(c).starts[:4].tolist()
    [-256, 13, 17, 20]
    """
    rule = Rounding(member("target_steps", "rounding", rounding, Rounding))
    sign, low, high = orientation(channel)
    if channel.gamma == 0:
        return rising(low, high, _constant(channel, rule), [])
    steps = rising(low, high, channel.qmin, thresholds(channel, rule))
    return steps if sign > 0 else steps.reflected()
