"""Where repeated halving cuts: by exact means or by medians, on the tally of the numbers.

Means need the exact sum of every set: those of whole bins are known, and the bin that a mean falls into is sorted.
Which bins these will be is guessed with floats from the tally, so that one pass usually collects them all; a wrong
guess costs another pass and nothing else. The ranks of medians are known before anything is looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.balanced_bins import Bins
from refq.quantizers.balanced_layout import upward
from refq.quantizers.quantizer import first_float

T = TypeVar("T")
Boundary = tuple[int, int, float]
"""How many numbers lie below, their exact sum, and the smallest float64 above."""
NEAR = 2.0**-13
"""Bins this close to a guess, relatively, are collected too."""


@dataclass(frozen=True, eq=False)
class Splits:
    """ranks (2**bits + 1,): leaf g has the numbers of rank ranks[g]..ranks[g + 1] - 1. starts: cuts of leaves 1..n.

    Ranks are empty where nobody asked what lies in the leaves.
    """

    ranks: NDArray[np.int64]
    starts: NDArray[np.float64]


def median_splits(bins: Bins, bits: int, asked: bool = True) -> Splits:
    """The lower half of a set is its floor(count / 2) first, the upper starts at its smallest; always with ranks."""
    ranks = np.array([0, bins.x.size], np.int64)
    for _ in range(bits):
        middles = ranks[:-1] + np.diff(ranks) // 2
        ranks = np.append(np.stack([ranks[:-1], middles], axis=1).reshape(-1), bins.x.size)
    return Splits(ranks, bins.numbers(ranks[1:-1]))


def mean_splits(bins: Bins, bits: int, asked: bool) -> Splits:
    """count * w < sum goes to the lower half; an empty set is split at its upper end. Ranks only if asked for."""
    bins.collect(_guess(bins, bits if asked else bits - 1))
    boundaries: list[Boundary] = [(0, 0, -inf), (bins.x.size, bins.sums[-1], inf)]
    for _ in range(bits - 1):
        boundaries = _woven(boundaries, _halves(bins, boundaries, _means(bins, boundaries)))
    cuts = _means(bins, boundaries)
    if asked:
        boundaries = _woven(boundaries, _halves(bins, boundaries, cuts))
        ranks = np.array([rank for rank, _, _ in boundaries], np.int64)
        return Splits(ranks, np.array([cut for _, _, cut in boundaries[1:-1]], np.float64))
    starts = _woven([cut for _, _, cut in boundaries], cuts)[1:-1]
    return Splits(np.zeros(0, np.int64), np.array(starts, np.float64))


def _woven(outer: list[T], inner: list[T]) -> list[T]:
    """One of the inner between every two of the outer."""
    return [both for pair in zip(outer, inner, strict=False) for both in pair] + outer[-1:]


def _means(bins: Bins, boundaries: list[Boundary]) -> list[float]:
    return [_mean(bins, lower, upper) for lower, upper in pairwise(boundaries)]


def _halves(bins: Bins, boundaries: list[Boundary], cuts: list[float]) -> list[Boundary]:
    """The boundary that each cut makes."""
    edges = bins.edges.tolist()
    places = [bisect_right(edges, cut) - 1 for cut in cuts]
    bins.collect(np.array(places, np.int64))
    steps = zip(cuts, upward(np.array(cuts), bins.x.dtype), places, strict=True)
    return [_boundary(bins, low, *step, high) for (low, high), step in zip(pairwise(boundaries), steps, strict=True)]


def _mean(bins: Bins, lower: Boundary, upper: Boundary) -> float:
    """The smallest float64 that is not under the mean of a set; of an empty set, its upper end."""
    count, total = upper[0] - lower[0], upper[1] - lower[1]
    return first_float(Fraction(total, count << -bins.layout.unit), True) if count else upper[2]


def _boundary(bins: Bins, lower: Boundary, cut: float, near: Any, b: int, upper: Boundary) -> Boundary:
    """The cut with its rank and sum; `near`, the same in the dtype of the numbers, is in or behind bin b.

    Sums start at the last boundary inside the bin, so that a level reads no number twice.
    """
    if lower[0] == upper[0]:
        return upper
    numbers, before = bins.found[b], int(bins.before[b])
    stop = int(np.searchsorted(numbers, near))
    known = lower[0] > before
    start, base = (lower[0] - before, lower[1]) if known else (0, bins.sums[b])
    return before + stop, base + bins.part_sum(b, start, stop), cut


@dataclass(frozen=True, eq=False)
class _Profile:
    """Count and sum of the numbers below x, over the count of all, as if every bin were evenly filled."""

    bins: NDArray[np.float64]
    tops: NDArray[np.float64]
    held: NDArray[np.float64]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]

    def place(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bin that x falls into or behind."""
        found: NDArray[np.int64] = np.clip(np.searchsorted(self.bins, x, side="right") - 1, 0, self.bins.size - 1)
        return found

    def below(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, x.size)."""
        b = self.place(x)
        low, high = self.bins[b], self.tops[b]
        end = np.clip(x, low, high)
        part = self.held[b] * np.divide(end - low, high - low, out=np.zeros(b.size), where=high > low)
        return np.stack([self.counts[b] + part, self.sums[b] + part * (low / 2 + end / 2)])


def _profile(bins: Bins) -> _Profile:
    size = bins.x.size
    sums = np.array([total / (size << -bins.layout.unit) for total in bins.sums])
    counts = bins.before / size
    return _Profile(bins.edges.astype(np.float64), bins.tops.astype(np.float64), np.diff(counts), counts, sums)


def _guess(bins: Bins, bits: int) -> NDArray[np.int64]:
    """The bins where the means will fall, from the profile; any answer will do."""
    profile = _profile(bins)
    known = np.array([[0.0, 1.0], [0.0, profile.sums[-1]]])
    near = np.array([[1 - NEAR], [1.0], [1 + NEAR]])
    places = [np.zeros(0, np.int64)]
    with np.errstate(all="ignore"):
        for _ in range(bits):
            count, total = np.diff(known)
            means = total / count
            places.append(profile.place((means * near).reshape(-1)))
            both = np.stack([known[:, :-1], profile.below(means)], axis=2).reshape(2, -1)
            known = np.concatenate([both, known[:, -1:]], axis=1)
    return np.concatenate(places)
