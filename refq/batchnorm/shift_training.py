"""Shift-based batch norm in training: exact statistics of a batch, its forms, and the running averages that are frozen.

Guo et al. 2021, arXiv 2106.00127, read from the authors' code (IntegerNet). Equations: docs/shift_batchnorm.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import integer_array
from refq.batchnorm.layout import extent, planes
from refq.batchnorm.shift_forms import form_of, output_range
from refq.channels import ShiftForm

_KEEP, _TAKE = 0.9, 0.1


@njit
def _add_planes(grid, totals, lows, highs):
    """Adds x, the low 32 bits of x * x and its rest, channel by channel; |x| <= 2**31, fewer than 2**31 of them."""
    for o in range(grid.shape[0]):
        for c in range(grid.shape[1]):
            total, low, high = np.int64(0), np.int64(0), np.int64(0)
            for i in range(grid.shape[2]):
                x = np.int64(grid[o, c, i])
                total += x
                low += (x * x) & 4294967295
                high += (x * x) >> 32
            totals[c] += total
            lows[c] += low
            highs[c] += high


@njit
def _add_rows(grid, totals, lows, highs):
    """`_add_planes` for (rows, channels): the channels themselves are the vector."""
    for o in range(grid.shape[0]):
        for c in range(grid.shape[1]):
            x = np.int64(grid[o, c])
            totals[c] += x
            lows[c] += (x * x) & 4294967295
            highs[c] += (x * x) >> 32


def _power_sums(grid: NDArray[Any]) -> list[tuple[int, int]]:
    """(sum of x, sum of x * x) of every channel, exact."""
    channels = grid.shape[1]
    if extent(grid) <= 1 << 31 and grid.size < channels << 31:
        totals, lows, highs = (np.zeros(channels, np.int64) for _ in range(3))
        (_add_rows if grid.ndim == 2 else _add_planes)(grid, totals, lows, highs)
        squares = (low + (high << 32) for low, high in zip(lows.tolist(), highs.tolist(), strict=True))
        return list(zip(totals.tolist(), squares, strict=True))
    columns = (grid[:, c].ravel().tolist() for c in range(channels))
    return [(sum(column), sum(x * x for x in column)) for column in columns]


def batch_statistics(acc: Any, axis: int = -1) -> tuple[list[Fraction], list[Fraction]]:
    """(means, variances), one a channel along `axis`, over everything else; unbiased: divided by N - 1. Exact.

    acc: integer dtype, at least one axis, N >= 2 values a channel; in accumulator steps, and their squares.
    No channel: two empty lists. TypeError for the kind, ValueError for the axis and for N < 2. Source: eq. S1.

    >>> batch_statistics([[1, 0], [2, 0], [4, 0]])
    ([Fraction(7, 3), Fraction(0, 1)], [Fraction(7, 3), Fraction(0, 1)])
    """
    grid = planes("batch_statistics", integer_array("batch_statistics", "acc", acc), axis)
    if not grid.shape[1]:
        return [], []
    count = grid.size // grid.shape[1]
    if count < 2:
        raise ValueError(f"batch_statistics: acc has {count} values a channel; pass at least 2, a variance needs them")
    sums = _power_sums(grid)
    variances = [Fraction(count * squares - total * total, count * (count - 1)) for total, squares in sums]
    return [Fraction(total, count) for total, _ in sums], variances


def training_forms(acc: Any, bits: int, signed: bool, axis: int = -1) -> tuple[ShiftForm, ...]:
    """The forms of one training batch, one a channel along `axis`: eq. S1 with the batch's own mean and std.

    acc: as in `batch_statistics`. bits: 2..8. Both roundings are decided on exact rationals; a constant channel has
    shift -bits (eq. S7). Raises as `batch_statistics`, and for bits and signed. Source: the authors' training code.

    >>> [(form.bias, form.shift) for form in training_forms([[-30, 5], [10, 5], [50, 5]], 4, signed=False)]
    [(10, 3), (5, -4)]
    """
    output_range("training_forms", bits, signed)
    pairs = zip(*batch_statistics(acc, axis), strict=True)
    return tuple(form_of(mean, variance, bits, signed) for mean, variance in pairs)


@dataclass(frozen=True, eq=False)
class RunningStatistics:
    """mean, std: (channels,) float64, in accumulator steps; std averages deviations, not variances."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = np.asarray(getattr(self, name), np.float64)
            if values.ndim != 1 or not np.isfinite(values).all():
                raise ValueError(f"RunningStatistics: {name}={values} is not one finite number a channel")
            object.__setattr__(self, name, values)
        if self.mean.shape != self.std.shape or (self.std < 0).any():
            raise ValueError(f"RunningStatistics: std={self.std} is not one value >= 0 for each mean")


def _root(square: Fraction) -> float:
    """sqrt(square) correctly rounded to float64: 64 bits or more of the root, and a last bit for the rest."""
    p, q = square.as_integer_ratio()
    places = max(64 - (p.bit_length() - q.bit_length()) // 2, 0)
    p <<= 2 * places
    root = isqrt(p // q)
    return float(Fraction(2 * root + (root * root * q != p), 2 << places))


def update_running(running: RunningStatistics | None, acc: Any, axis: int = -1) -> RunningStatistics:
    """0.9 * running + 0.1 * batch, of the mean and of the std (not of the variance): eq. S3. None: the batch itself.

    acc: as in `batch_statistics`; its mean and std are exact, then correctly rounded to float64. The averages are
    float64, each product and the sum rounded, while the authors' code keeps float32: running values need not agree with
    theirs in the last bits. What is exact is the freezing of given values, `freeze_shift`. Returns a new record.
    TypeError for the kind of running; ValueError for another number of channels, and as `batch_statistics`.

    >>> first = update_running(None, [[0, 10], [2, 10]])
    >>> second = update_running(first, [[10, 0], [10, 20]])
    >>> second.mean.tolist(), [f"{s:.4f}" for s in second.std]
    ([1.9, 10.0], ['1.2728', '1.4142'])
    """
    means, variances = batch_statistics(acc, axis)
    mean, std = np.array([float(m) for m in means]), np.array([_root(v) for v in variances])
    if running is None:
        return RunningStatistics(mean, std)
    if not isinstance(running, RunningStatistics):
        raise TypeError(f"update_running: running={running!r} is neither RunningStatistics nor None")
    if running.mean.shape != mean.shape:
        raise ValueError(f"update_running: running.mean has shape {running.mean.shape}, acc has {mean.size} channels")
    return RunningStatistics(_KEEP * running.mean + _TAKE * mean, _KEEP * running.std + _TAKE * std)
