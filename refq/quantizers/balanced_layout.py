"""Floats by their leading bits: the names of bins, their ends, and the exact sum of the numbers in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 7
"""Bits of the fraction that lead."""


@dataclass(frozen=True)
class Layout:
    """Of a float in an integer of its width: the fraction's low bits, the bins, the unit of all sums in powers of 2."""

    low: int
    bins: int
    unit: int

    @property
    def words(self) -> tuple[np.uint64, ...]:
        """What the kernels need: low, the sign bit, and masks of the low bits and of the first part of them."""
        sign = (self.bins >> 1) << self.low
        return tuple(np.uint64(word) for word in (self.low, sign, (1 << self.low) - 1, (1 << 16) - 1))


LAYOUTS = {np.dtype(np.float32): Layout(16, 1 << 16, -149), np.dtype(np.float64): Layout(45, 1 << 19, -1074)}


def integers(x: NDArray[Any]) -> NDArray[Any]:
    """The bits of floats, as unsigned integers of their width."""
    return x.view(f"uint{8 * x.itemsize}")


def upward(cuts: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The smallest numbers of the dtype that are at least the cuts: comparisons with them decide alike."""
    near = cuts.astype(dtype)
    with np.errstate(over="ignore"):
        np.nextafter(near, dtype.type(np.inf), out=near, where=near < cuts)
    return near


def bin_sum(name: int, count: int, low_sum: int, layout: Layout) -> int:
    """The sum of a bin's numbers: (leading * count * 2**low + low_sum) * 2**(exponent - 1), with its sign."""
    sign, exponent, top = name >= layout.bins >> 1, (name % (layout.bins >> 1)) >> TOP, name & ((1 << TOP) - 1)
    leading = top + ((exponent > 0) << TOP)
    size = ((leading * count << layout.low) + low_sum) << max(exponent - 1, 0)
    return -size if sign else size


def ascending(layout: Layout) -> NDArray[np.int64]:
    """All names by value: the negative ones, largest magnitude first, then the positive ones."""
    half = layout.bins >> 1
    return np.concatenate([np.arange(layout.bins - 1, half - 1, -1), np.arange(half)])


def bin_ends(names: NDArray[np.int64], layout: Layout, dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The smallest and largest float of each bin: low bits all 0 and all 1, or the reverse if negative."""
    negative, ones = names >= layout.bins >> 1, (1 << layout.low) - 1
    leading = (names - np.where(negative, layout.bins, 0)) << layout.low
    ends = (leading + np.where(negative, ones, 0), leading + np.where(negative, 0, ones))
    low, high = (end.astype(f"int{8 * dtype.itemsize}").view(dtype) for end in ends)
    return low, high
