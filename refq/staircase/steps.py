"""A requantizer as the staircase it is: the record, equality, difference and the complete probe set.

A map from an integer interval to integers, constant between its starts. Two maps are equal iff their
canonical starts and levels are; where they differ is a union of intervals with an exact count.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import in_range, integer_array


@dataclass(frozen=True, eq=False)
class Staircase:
    """f(x) = levels[i] for starts[i] <= x < starts[i + 1], on the integers first..last.

    starts: (steps,) int64, strictly increasing, starts[0] = first. levels: (steps,) int64, neighbours
    differ: so the form is unique. An empty domain (first > last) has no steps. Not necessarily monotone.
    """

    first: int
    last: int
    starts: NDArray[np.int64]
    levels: NDArray[np.int64]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Staircase):
            return NotImplemented
        return (
            (self.first, self.last) == (other.first, other.last)
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.levels, other.levels)
        )

    def __hash__(self) -> int:
        return hash((self.first, self.last, self.starts.tobytes(), self.levels.tobytes()))

    def __call__(self, x: Any) -> NDArray[np.int64]:
        """The levels at x, an integer array; ValueError outside first..last."""
        array = integer_array("Staircase", "x", x)
        in_range("Staircase", "x", array, self.first, self.last)
        return self.levels[np.searchsorted(self.starts, array, side="right") - 1]

    @property
    def size(self) -> int:
        """Number of inputs."""
        return max(self.last - self.first + 1, 0)

    @property
    def monotone(self) -> bool:
        """Whether the levels never fall, or never rise."""
        steps = np.diff(self.levels)
        return bool((steps >= 0).all() or (steps <= 0).all())

    def ends(self) -> list[tuple[int, int, int]]:
        """(first, last, level) of every step."""
        lasts = [int(s) - 1 for s in self.starts[1:]] + [self.last]
        return [(int(s), e, int(v)) for s, e, v in zip(self.starts, lasts, self.levels, strict=bool(self.size))]

    def reflected(self) -> Staircase:
        """f(-x) on -last..-first."""
        if self.first == -(1 << 63):
            raise ValueError("Staircase: -first is outside int64; pass a domain that starts at -(2**63 - 1)")
        ends = np.append(self.starts[1:] - 1, np.int64(self.last)) if self.size else self.starts
        return Staircase(-self.last, -self.first, -ends[::-1], self.levels[::-1])


@dataclass(frozen=True)
class Interval:
    """Inputs first..last on which two staircases give `left` and `right`."""

    first: int
    last: int
    left: int
    right: int


@dataclass(frozen=True)
class Difference:
    """All inputs on which two staircases differ, as intervals, with their exact count."""

    intervals: tuple[Interval, ...]
    count: int


def canonical(first: int, last: int, starts: NDArray[np.int64], levels: NDArray[np.int64]) -> Staircase:
    """The unique staircase of a piecewise constant map: neighbours with the same level are one step."""
    keep = np.ones(len(levels), bool)
    keep[1:] = levels[1:] != levels[:-1]
    return Staircase(first, last, starts[keep], levels[keep])


def empty(first: int, last: int) -> Staircase:
    """The staircase of an empty domain, first > last."""
    return Staircase(first, last, np.empty(0, np.int64), np.empty(0, np.int64))


def rising(first: int, last: int, lowest: int, thresholds: Sequence[int]) -> Staircase:
    """lowest + the number of thresholds <= x, on first..last: thresholds non-decreasing, of any size.

    >>> rising(0, 9, -1, [-3, 4, 4, 12]).levels.tolist()
    [0, 2]
    """
    if first > last:
        return empty(first, last)
    reached, inside = bisect_right(thresholds, first), bisect_right(thresholds, last)
    starts = np.array([first, *thresholds[reached:inside]], np.int64)
    # of equal thresholds the last one tells the level
    kept = np.append(starts[1:] != starts[:-1], True)
    return Staircase(first, last, starts[kept], lowest + reached + np.flatnonzero(kept))


def difference(left: Staircase, right: Staircase) -> Difference:
    """The inputs on which two staircases differ: maximal intervals with constant levels, and their count.

    >>> from refq import staircase
    >>> up, even = (staircase(r, 0.5, domain=(-8, 8)) for r in ("exact_ties_up", "exact_ties_even"))
    >>> difference(up, even).count, difference(up, even).intervals[0]
    (4, Interval(first=-7, last=-7, left=-3, right=-4))
    """
    if (left.first, left.last) != (right.first, right.last):
        raise ValueError(
            f"difference: domain {left.first}..{left.last} is not {right.first}..{right.last}; rebuild one of them"
        )
    columns = (column.tolist() for column in disagreements(left, right))
    intervals = tuple(Interval(*row) for row in zip(*columns, strict=True))
    return Difference(intervals, sum(i.last - i.first + 1 for i in intervals))


def disagreements(left: Staircase, right: Staircase) -> tuple[NDArray[np.int64], ...]:
    """`difference` as columns: first and last input, level of left and of right; one domain for both."""
    if not left.size:
        return (np.empty(0, np.int64),) * 4
    starts = np.union1d(left.starts, right.starts)
    a, b = left(starts), right(starts)
    differ = np.flatnonzero(a != b)
    ends = np.append(starts[1:] - 1, np.int64(left.last))
    return starts[differ], ends[differ], a[differ], b[differ]


def probes(*staircases: Staircase) -> NDArray[np.int64]:
    """The complete test of a monotone implementation: both sides of every start, and both ends.

    A monotone map that agrees with the staircase on these inputs agrees with it everywhere
    (docs/staircase.md has the proof). Several staircases: the union of their probes.

    >>> from refq import IntFormat, staircase
    >>> probes(staircase("float32_ties_even", 0.25, fmt=IntFormat(1))).tolist()
    [-2147483648, -3, -2, 2147483647]
    """
    found = [np.concatenate([s.starts, s.starts[1:] - 1, np.array([s.last], np.int64)]) for s in staircases if s.size]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
