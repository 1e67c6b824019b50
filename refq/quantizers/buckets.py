"""Codes under many cuts by a table: the line of values in equal buckets, with at most one distinct cut each.

bucket(x) = (x - base) * scale, clamped, in floats of x's dtype, never falls with x, whatever its rounding: every cut of
an earlier bucket is <= x, every cut of a later one is > x, and one comparison decides within. So the codes are exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FINENESS = (4, 16, 64)
"""Buckets a cut: 4 are enough for equal steps; the last is what may still help."""


class Buckets(NamedTuple):
    """A row a channel: base and scale (channels,), the first code (channels, buckets + 1), the cut or infinity."""

    base: NDArray[Any]
    scale: NDArray[Any]
    codes: NDArray[np.int32]
    cuts: NDArray[Any]


@njit(nogil=True)
def fill(row, base, scale, lowest, spacing, codes, cuts):
    """The table of one channel; False if two distinct cuts share a bucket."""
    at, code = 0, lowest
    codes[0] = lowest
    for cut in row:
        b = min(np.int64((cut - base) * scale), cuts.size - 1)
        if cuts[b] < cut:
            return False
        while at < b:
            at += 1
            codes[at] = code
        cuts[b] = cut
        code += spacing
    codes[at + 1 :] = code
    return True


@njit(nogil=True)
def bucket_codes(x, base, scale, codes, cuts, inner, out):
    """x, out flat; channel (i // inner) % channels."""
    zero = base[0] - base[0]
    last = zero + x.dtype.type(cuts.shape[1] - 1)
    for start in range(0, x.size, inner):
        c = (start // inner) % base.size
        low, factor, first, cut = base[c], scale[c], codes[c], cuts[c]
        for i in range(start, start + inner):
            b = np.int32(min(max((x[i] - low) * factor, zero), last))
            out[i] = first[b + np.int32(x[i] >= cut[b])]


def buckets_of(cuts: NDArray[Any], lowest: int, spacing: int, size: int) -> Buckets | None:
    """Tables for the cuts of each channel, if they pay for `size` values and no bucket would need two cuts."""
    channels, count = cuts.shape
    with np.errstate(all="ignore"):
        base, width = cuts[:, 0].copy(), cuts[:, -1] - cuts[:, 0]
        for buckets in (count * fineness for fineness in FINENESS):
            scale = (buckets / width).astype(cuts.dtype)
            if channels * buckets > size or not (np.isfinite(scale) & np.isfinite(width) & (scale > 0)).all():
                return None
            codes = np.empty((channels, buckets + 1), np.int32)
            bounds = np.full((channels, buckets), np.inf, cuts.dtype)
            rows = zip(cuts, base, scale, codes, bounds, strict=True)
            if all(fill(row, b, s, lowest, spacing, *tables) for row, b, s, *tables in rows):
                return Buckets(base, scale, codes, bounds)
    return None
