"""Equal numbers on both sides of a median: the lower half takes the first of them by index, so codes know places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.quantizers.balanced_bins import Bins
from refq.quantizers.balanced_splits import Splits

Run = tuple[float, list[int], list[int]]
"""A number, how many of its copies lie before the end of each leaf, and the level of those."""


@dataclass(frozen=True, eq=False)
class Ties:
    """Runs of equal numbers of several levels. values (runs,); offsets (runs + 1,) into ends and levels."""

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]
    ends: NDArray[np.int64]
    levels: NDArray[np.int64]

    @property
    def tops(self) -> NDArray[np.int64]:
        """The highest level of each run: what a rule by value gives all of it."""
        return self.levels[self.offsets[1:] - 1]

    @property
    def moved(self) -> int:
        """How many copies have not that level."""
        lengths = np.diff(self.ends, prepend=0)
        lengths[self.offsets[:-1]] = self.ends[self.offsets[:-1]]
        return int(lengths[self.levels != np.repeat(self.tops, np.diff(self.offsets))].sum())


def _runs(bins: Bins, splits: Splits, lowest: NDArray[np.float64], literal: bool) -> Iterator[Run]:
    """One for each number that has copies in several leaves."""
    ranks = splits.ranks
    inner = np.unique(ranks[(ranks > 0) & (ranks < ranks[-1])])
    last = -1.0
    for rank, b in zip(inner.tolist(), bins.bin_of_rank(inner).tolist(), strict=True):
        numbers, before = bins.found[b], int(bins.before[b])
        value = numbers[rank - before]
        first, end = before + np.searchsorted(numbers, value), before + np.searchsorted(numbers, value, "right")
        if first in (rank, last):
            continue
        last = first
        starts = np.array([first, *inner[slice(*np.searchsorted(inner, [first + 1, end]))]])
        leaves = np.searchsorted(ranks, starts, "right") - 1
        levels = np.maximum(leaves - 1, 0) if literal else leaves
        levels = np.where(lowest[leaves] == value, levels, leaves)
        yield float(value), [int(s) for s in [*starts[1:] - first, end - first]], levels.tolist()


NO_TIES = Ties(np.zeros(0), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))


def ties_of(bins: Bins, splits: Splits, lowest: NDArray[np.float64], literal: bool) -> Ties:
    """lowest (2**bits,): the smallest number of every leaf, or of the next that has one."""
    runs = list(_runs(bins, splits, lowest, literal))
    offsets = np.cumsum([0, *(len(ends) for _, ends, _ in runs)])
    ends = np.array([end for _, ends, _ in runs for end in ends], np.int64)
    levels = np.array([level for _, _, levels in runs for level in levels], np.int64)
    return Ties(np.array([value for value, _, _ in runs], np.float64), offsets, ends, levels)


@njit(nogil=True)
def _give(x, codes, lowest, run_of_level, values, offsets, ends, levels):
    """x, codes flat, codes odd; the copies of a number in the order of their index."""
    seen, at = np.zeros(values.size, np.int64), offsets[:-1].copy()
    for i in range(x.size):
        run = run_of_level[(np.int64(codes[i]) - lowest) >> 1]
        if run >= 0 and x[i] == values[run]:
            if seen[run] == ends[at[run]]:
                at[run] += 1
            seen[run] += 1
            codes[i] = lowest + 2 * levels[at[run]]


def give_ties(x: NDArray[np.floating], codes: NDArray[np.integer], lowest: int, count: int, ties: Ties) -> None:
    """Change codes by value, with `count` levels, into those by value and index; no two runs share their top level."""
    run_of_level = np.full(count, -1, np.int64)
    run_of_level[ties.tops] = np.arange(ties.values.size)
    _give(x, codes, lowest, run_of_level, ties.values, ties.offsets, ties.ends, ties.levels)
