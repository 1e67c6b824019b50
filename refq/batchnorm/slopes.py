"""Which lines (multiplier * u + bias) / divisor reproduce a rising staircase: the exact decision.

A line must reach level j at some points (u, j), the lower ones, and stay below level k at others, the upper ones.
With the slope s = multiplier / divisor, a real offset exists iff

    gap(s) = min over upper (k - s u)  -  max over lower (j - s u)  >  0                           (eq. 8)

gap is concave and piecewise linear, so its positive part is one open interval, whose ends Newton's
method meets exactly: each step replaces gap by its tangent, in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.staircase.steps import Staircase

Slopes = tuple[Fraction | None, Fraction | None]
Biases = tuple[int | None, int | None]
# (u, j) of a lower point and (u, k) of an upper one
Pair = tuple[tuple[int, int], tuple[int, int]]
# Where no product exceeds it the kernels run compiled, else the same code runs on Python's integers.
COMPILED_LIMIT = 1 << 60


@dataclass(frozen=True)
class Constraints:
    """Points of a rising staircase, counted from its low end (u) and from `base` (levels), so all are >= 0.

    lower_u, lower_level, upper_u, upper_level: (points,) int64, or object where 64 bits are too few.
    """

    low: int
    base: int
    span: int
    height: int
    columns: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def constraints(steps: Staircase, qmin: int, qmax: int) -> Constraints:
    """The lower and upper points of a rising staircase with levels in qmin..qmax; at least one input.

    Each start must be reached and its predecessor must not; an end counts where the clamp does not hold it.

    >>> from refq.staircase.steps import rising
    >>> [column.tolist() for column in constraints(rising(5, 9, 0, [7, 8]), 0, 3).columns]
    [[2, 3], [1, 2], [1, 2, 4], [1, 2, 3]]
    """
    base, span = int(steps.levels[0]), steps.last - steps.first
    dtype = np.int64 if span * (qmax - base + 1) < COMPILED_LIMIT else object
    starts, levels = steps.starts.astype(dtype) - steps.first, steps.levels.astype(dtype) - base
    lower, upper = [(starts[1:], levels[1:])], [(starts[1:] - 1, levels[:-1] + 1)]
    constant = len(levels) == 1
    if base > qmin:
        lower.append((np.array([0, span] if constant else [0], dtype), levels[[0, 0] if constant else [0]]))
    if steps.levels[-1] < qmax:
        upper.append((np.array([0, span] if constant else [span], dtype), levels[[-1, -1] if constant else [-1]] + 1))
    lower_u, lower_level = (np.concatenate(column) for column in zip(*lower, strict=True))
    upper_u, upper_level = (np.concatenate(column) for column in zip(*upper, strict=True))
    columns = lower_u, lower_level, upper_u, upper_level
    return Constraints(steps.first, base, span, int(levels[-1]) + 1, columns)


@njit
def _steepest(lower_u, lower_level, upper_u, upper_level):
    """Newton from the right: the pair (lower, upper) whose slope is where gap falls to 0; -1 where it never does.

    Where gap is positive nowhere, that slope is at most the one of its peak.
    """
    below, above = 0, 0
    for i in range(len(lower_u)):
        if lower_u[i] < lower_u[below]:
            below = i
    for i in range(len(upper_u)):
        if upper_u[i] > upper_u[above]:
            above = i
    if len(lower_u) == 0 or len(upper_u) == 0 or upper_u[above] <= lower_u[below]:
        return -1, -1
    while True:
        pair = below, above
        p, q = upper_level[above] - lower_level[below], upper_u[above] - lower_u[below]
        for i in range(len(lower_u)):
            if lower_level[i] * q - p * lower_u[i] > lower_level[below] * q - p * lower_u[below]:
                below = i
        for i in range(len(upper_u)):
            if upper_level[i] * q - p * upper_u[i] < upper_level[above] * q - p * upper_u[above]:
                above = i
        gap = (upper_level[above] - lower_level[below]) * q - p * (upper_u[above] - lower_u[below])
        if gap == 0 or upper_u[above] <= lower_u[below]:
            return pair


@njit
def _biases(lower_u, lower_level, upper_u, upper_level, multiplier, divisor):
    """max over lower (j S - A u) and min over upper (k S - 1 - A u); 0 for a side without points."""
    least, most = 0, 0
    for i in range(len(lower_u)):
        bias = lower_level[i] * divisor - multiplier * lower_u[i]
        if i == 0 or bias > least:
            least = bias
    for i in range(len(upper_u)):
        bias = upper_level[i] * divisor - 1 - multiplier * upper_u[i]
        if i == 0 or bias < most:
            most = bias
    return least, most


def _run(kernel: Any, columns: tuple[NDArray[Any], ...], largest: int, *scalars: int) -> tuple[int, int]:
    if max(largest, *map(abs, scalars), 0) < COMPILED_LIMIT and columns[0].dtype != object:
        first, second = kernel(*columns, *scalars)
    else:
        first, second = kernel.py_func(*(column.tolist() for column in columns), *scalars)
    return int(first), int(second)


def binding_pairs(c: Constraints) -> tuple[Pair | None, Pair | None]:
    """The pair of points that bounds the slope from below, and the one from above; None where nothing does."""
    lower_u, lower_level, upper_u, upper_level = c.columns
    mirrored = c.span - lower_u, lower_level, c.span - upper_u, upper_level
    found: list[Pair | None] = []
    for columns in (mirrored, c.columns):
        below, above = _run(_steepest, columns, c.span * c.height)
        lower = (int(lower_u[below]) + c.low, int(lower_level[below]) + c.base) if below >= 0 else None
        upper = (int(upper_u[above]) + c.low, int(upper_level[above]) + c.base) if above >= 0 else None
        found.append((lower, upper) if lower and upper else None)
    return found[0], found[1]


def slope_interval(c: Constraints) -> Slopes:
    """The open interval of slopes for which a real offset exists; None is unbounded, low >= high is empty.

    >>> from refq.staircase.steps import rising
    >>> [str(s) for s in slope_interval(constraints(rising(0, 4, 0, [2, 3]), 0, 2))]
    ['1/2', 'None']
    """
    low, high = (p and Fraction(p[1][1] - p[0][1], p[1][0] - p[0][0]) for p in binding_pairs(c))
    return low, high


def bias_range(c: Constraints, multiplier: int, divisor: int) -> Biases:
    """All biases that work with this multiplier of u and divisor: first..last, None unbounded, first > last none.

    >>> from refq.staircase.steps import rising
    >>> bias_range(constraints(rising(0, 4, 0, [2, 3]), 0, 2), 1, 1)
    (-1, -1)
    """
    offset = c.base * divisor - multiplier * c.low
    least, most = _run(_biases, c.columns, abs(multiplier) * c.span + c.height * divisor, multiplier, divisor)
    return (least + offset if len(c.columns[0]) else None), (most + offset if len(c.columns[2]) else None)
