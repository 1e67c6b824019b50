"""Numbers tallied by their leading bits: exact counts and sums of ranges without a sort.

A bin holds the floats with the same sign, exponent and first 7 bits of the fraction. Within one, a float is its
remaining low bits, an integer, on a common scale; so sums are sums of integers, exact. Only bins in which something is
decided are collected and sorted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.products.threads import parts, share
from refq.quantizers.balanced_layout import LAYOUTS, Layout, ascending, bin_ends, bin_sum, integers, upward

TALLY_SECONDS = 2e-9
"""A number, on one core."""
ZERO = np.uint64(0)
ONE = np.uint64(1 << 40)
FEW_CUTS = 15
"""Up to here codes come from comparing all cuts, which vectorizes; beyond, from a look at the bin."""
BLOCK = 4096
PIECE = (1 << 24) - 1
"""Numbers that one table can take: counts of 24 bits."""
HALF_LOW = np.uint64(16)
"""Low bits (16, or 45) are summed in two parts, of 16 bits and the rest, 29: 64 bits hold the sums of 2**35 numbers."""


@njit(nogil=True)
def _tally(bits, start, stop, layout, words):
    """words (1 or 2, bins) of bits[start:stop], unsigned, fewer than 2**24 of them; -0.0 is 0.0.

    words[0]: the count above bit 40, and below the sum of 16 low bits, under 2**40; words[1]: the sum of the others.
    Returns the largest magnitude.
    """
    low, sign, mask, half = layout
    first, second, wide, largest = words[0], words[-1], len(words) > 1, ZERO
    for i in range(start, stop):
        x = np.uint64(bits[i])
        x = ZERO if x == sign else x
        b = x >> low
        first[b] += ONE | (x & mask & half)
        if wide:
            second[b] += (x & mask) >> HALF_LOW
        largest = max(largest, x & ~sign)
    return largest


@njit(nogil=True)
def _collect(bits, start, stop, layout, place, out):
    """Every number of bits[start:stop] goes to out[place[bin]], and the place moves on; bins with place -1 do not."""
    low, sign, _, _ = layout
    for i in range(start, stop):
        x = np.uint64(bits[i])
        x = ZERO if x == sign else x
        b = x >> low
        if place[b] >= 0:
            out[place[b]] = x
            place[b] += 1


@njit(nogil=True)
def _compare(x, start, stop, cuts, spacing, lowest, out):
    """lowest + spacing * (how many cuts are <= x), all compared, in blocks that stay in the first cache."""
    step, nothing = out.dtype.type(spacing), out.dtype.type(0)
    for a in range(start, stop, BLOCK):
        part, codes = x[a : min(a + BLOCK, stop)], out[a : min(a + BLOCK, stop)]
        codes[:] = lowest
        for cut in cuts:
            for i in range(part.size):
                codes[i] += step if part[i] >= cut else nothing


@njit(nogil=True)
def _levels(x, bits, start, stop, layout, cuts, first, spacing, lowest, out):
    """How many cuts are <= x: first[bin] of them for sure, then they are asked; x's dtype, and one more, infinite."""
    low = layout[0]
    for i in range(start, stop):
        level = first[np.uint64(bits[i]) >> low]
        while x[i] >= cuts[np.uint64(level)]:
            level += 1
        out[i] = lowest + spacing * level


@njit(nogil=True)
def _low_sums(bits, layout):
    """The sums of `_tally` over all of bits."""
    _, _, mask, half = layout
    first, second = np.int64(0), np.int64(0)
    for i in range(bits.size):
        x = np.uint64(bits[i]) & mask
        first += np.int64(x & half)
        second += np.int64(x >> HALF_LOW)
    return first, second


@dataclass(eq=False)
class Bins:
    """The tally of a flat array x; bins in ascending order, those without numbers left out.

    pieces: the bounds of the parts of x that were tallied apart; counts (pieces, bins). names: leading bits; edges,
    tops: the smallest and largest float of each bin; before: how many numbers lie under each, and the count of all;
    sums: the exact sum of those, in units of 2**layout.unit. scale: max|x|. found: the sorted numbers of some bins, by
    the place of the bin.
    """

    x: NDArray[Any]
    layout: Layout
    pieces: NDArray[np.int64]
    counts: NDArray[np.int64]
    names: NDArray[np.int64]
    edges: NDArray[Any]
    tops: NDArray[Any]
    before: NDArray[np.int64]
    sums: list[int]
    scale: float
    found: dict[int, NDArray[Any]] = field(default_factory=dict)

    def collect(self, wanted: NDArray[np.int64]) -> None:
        """Have the bins at these places in `found`, by one pass over x if any is missing."""
        missing = np.array([b for b in np.unique(wanted).tolist() if b not in self.found], np.int64)
        if not missing.size:
            return
        counts = self.counts[:, missing]
        ends = np.cumsum(counts.sum(axis=0))
        place = np.full((len(counts), self.layout.bins), -1, np.int64)
        place[:, self.names[missing]] = ends - counts.sum(axis=0) + np.cumsum(counts, axis=0) - counts
        out = np.empty(int(ends[-1]), self.x.dtype)
        bits, target = integers(self.x), integers(out)
        _over_pieces(lambda p, a, b: _collect(bits, a, b, self.layout.words, place[p], target), self.pieces)
        for b, numbers in zip(missing.tolist(), np.split(out, ends[:-1]), strict=True):
            numbers.sort()
            self.found[b] = numbers

    def bin_of_rank(self, rank: Any) -> Any:
        """The place of the bin that holds the number of this rank, 0 the smallest."""
        return np.searchsorted(self.before, rank, side="right") - 1

    def numbers(self, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """The numbers of these ranks."""
        places = self.bin_of_rank(ranks)
        self.collect(places)
        at = zip(places.tolist(), (ranks - self.before[places]).tolist(), strict=True)
        return np.array([float(self.found[b][i]) for b, i in at], np.float64)

    def part_sum(self, b: int, start: int, stop: int) -> int:
        """The exact sum of the numbers start..stop - 1 of a bin in `found`."""
        first, second = _low_sums(integers(self.found[b][start:stop]), self.layout.words)
        return bin_sum(int(self.names[b]), stop - start, int(first) + (int(second) << 16), self.layout)

    def codes(self, cuts: NDArray[np.float64], lowest: int, spacing: int, out: NDArray[Any]) -> None:
        """lowest + spacing * (how many cuts are <= x) for all of x."""
        cuts = upward(cuts, self.x.dtype)
        if cuts.size <= FEW_CUTS:
            _over_pieces(lambda _, a, b: _compare(self.x, a, b, cuts, spacing, lowest, out), self.pieces)
            return
        names, first = ascending(self.layout), np.empty(self.layout.bins, np.int64)
        first[names] = np.searchsorted(cuts, bin_ends(names, self.layout, self.x.dtype)[0], side="right")
        fixed = (self.layout.words, np.append(cuts, cuts.dtype.type(np.inf)), first, spacing, lowest, out)
        _over_pieces(lambda _, a, b: _levels(self.x, integers(self.x), a, b, *fixed), self.pieces)


def _over_pieces(work: Any, pieces: NDArray[np.int64]) -> None:
    """work(piece, start, stop) for each, shared between the cores."""

    def several(first: int, last: int) -> None:
        for p in range(first, last):
            work(p, int(pieces[p]), int(pieces[p + 1]))

    share(several, len(pieces) - 1, TALLY_SECONDS * int(pieces[-1]))


def tally(x: NDArray[Any]) -> Bins:
    """x: flat, not empty, float32 or float64 in C order."""
    layout, pieces = LAYOUTS[x.dtype], max(parts(TALLY_SECONDS * x.size), -(-x.size // PIECE))
    bounds = np.array([x.size * p // pieces for p in range(pieces + 1)], np.int64)
    words = np.zeros((pieces, 1 + (layout.low > 16), layout.bins), np.uint64)
    bits = integers(x)
    largest = np.zeros(pieces, bits.dtype)

    def piece(p: int, start: int, stop: int) -> None:
        largest[p] = _tally(bits, start, stop, layout.words, words[p])

    _over_pieces(piece, bounds)
    scale = float(largest.max(keepdims=True).view(x.dtype)[0])
    order = ascending(layout)
    names = order[(words[:, 0] != 0).any(axis=0)[order]]
    words = words[:, :, names]
    counts = (words[:, 0] >> np.uint64(40)).astype(np.int64)
    held = counts.sum(axis=0)
    low = (words[:, 0] & (ONE - np.uint64(1))).astype(np.int64).sum(axis=0)
    rest = words[:, 1].astype(np.int64).sum(axis=0) if layout.low > 16 else np.zeros_like(low)
    rows = zip(names.tolist(), held.tolist(), low.tolist(), rest.tolist(), strict=True)
    exact = (bin_sum(name, count, a + (b << 16), layout) for name, count, a, b in rows)
    before = np.concatenate([[0], np.cumsum(held)])
    sums = list(accumulate(exact, initial=0))
    return Bins(x, layout, bounds, counts, names, *bin_ends(names, layout, x.dtype), before, sums, scale)
