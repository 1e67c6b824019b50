"""Convolution without a patch matrix: every sum as it is written, in int64.

y[p, o] = bias[o] + sum over taps t and channels c of (x[s p + d t - b, c] - zx) v[o, t, c],    v = w - zw
"""

from __future__ import annotations

import numpy as np
from numba import njit

from refq.products.pixels import pixel_at


@njit(nogil=True)
def direct_rows(x, height, width, channels, groups, zero, outside, v, bias, start, out):
    """Output pixels start.. into out (rows, filters).

    x: every code, flat, channels last. height, width: the lines of a Geometry as plain tuples. outside: padding value
    less zero. v (filters, taps, channels of a group), bias (filters,): int64. |sums| < 2**63 by `check_sums`.
    """
    filters, _, depth = v.shape
    for r in range(out.shape[0]):
        image, line, column = pixel_at(start + r, height, width)
        for o in range(filters):
            total, first = bias[o], o // (filters // groups) * depth
            for t in range(v.shape[1]):
                i, j = divmod(t, width[1])
                y, z = line * height[2] - height[4] + i * height[3], column * width[2] - width[4] + j * width[3]
                inside = 0 <= y < height[0] and 0 <= z < width[0]
                source = ((image * height[0] + y) * width[0] + z) * channels + first
                for c in range(depth):
                    value = np.int64(x[source + c]) - zero if inside else outside
                    total += value * v[o, t, c]
            out[r, o] = total
