"""Depthwise convolution: every channel by itself, with `multiplier` filters each; vectors run along the channels.

    y[p, c m + j] = bias[c m + j] + sum over taps t of (x[s p + d t - b, c] - zx) v[j, t, c],    v = w - zw

The sums are kept in the width of `acc`: int32 where the caller has proved that each of them fits, whatever the order,
by sum |v| max|x - zx| < 2**31; int64 by the same bound with 2**63.
"""

from __future__ import annotations

from numba import njit, uintp

from refq.products.pixels import next_pixel, pixel_at


@njit
def _add_tap(x, source, zero, v, at, acc):
    """acc[c] += (x[source + c] - zero) v[at + c]."""
    for c in range(acc.size):
        acc[c] += (x[uintp(source + c)] - zero) * v[uintp(at + c)]


@njit
def _add_outside(value, v, at, acc):
    """acc[c] += value v[at + c]: what a padded pixel is, less the zero point."""
    for c in range(acc.size):
        acc[c] += value * v[uintp(at + c)]


@njit
def _sum_taps(x, image, top, left, height, width, zero, outside, v, at, acc):
    """acc[c] = the sum of one output pixel and filter, whose taps (lines * columns, channels) begin at v[at]."""
    acc[:] = 0
    for i in range(height[1]):
        y = top + i * height[3]
        for j in range(width[1]):
            z = left + j * width[3]
            if 0 <= y < height[0] and 0 <= z < width[0]:
                _add_tap(x, ((image * height[0] + y) * width[0] + z) * acc.size, zero, v, at, acc)
            elif outside != 0:
                _add_outside(outside, v, at, acc)
            at += acc.size


@njit(nogil=True)
def depthwise_rows(x, height, width, zero, outside, v, bias, start, acc, out):
    """Output pixels start.. into out (rows, channels * multiplier).

    x: every code, flat, channels last. height, width: the lines of a Geometry as plain tuples. outside: padding value
    less zero. v: (multiplier, taps, channels), flat; acc (channels,), of the same dtype. bias: one int64 a filter.
    """
    taps = height[1] * width[1] * acc.size
    multiplier = v.size // taps
    image, line, column = pixel_at(start, height, width)
    for r in range(out.shape[0]):
        top, left = line * height[2] - height[4], column * width[2] - width[4]
        for m in range(multiplier):
            _sum_taps(x, image, top, left, height, width, zero, outside, v, m * taps, acc)
            for c in range(acc.size):
                out[r, c * multiplier + m] = acc[c] + bias[c * multiplier + m]
        image, line, column = next_pixel(image, line, column, height, width)
