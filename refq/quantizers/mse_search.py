"""All steps that could have the least squared error, by branch and bound over the step (docs/clipping.md).

G(s) = sum(x * x) - E(s) = 2 s A(s) - s**2 B(s) is to be made large. With a step's codes kept, other steps t gain
h(t) = 2 t A - t**2 B <= G(t). Between a and b, b <= 2 a, both hold (equation 3):
    G(t) <= h_a(t) + G(b) - h_a(b)    and    G(t) <= h_b(t) + G(a) - h_b(a).
The gap is of second order in b - a, which is what makes the search short. Steps are the floats of 36 bits, numbered in
order by integer keys. A node of the search is (G, its low part, R = A - s B, B, s).
"""

from __future__ import annotations

from math import frexp, ldexp

import numpy as np
from numba import njit

from refq.quantizers.mse_sums import moments, plus, product

DIGITS = 35
COARSE = 1 << 32
"""An eighth of an octave: the first intervals."""
SAFE = 1.0 + 2.0**-40
POLISH = 12


@njit(nogil=True)
def step_of(key):
    """The key-th float of 36 significant bits."""
    return ldexp(np.float64((1 << DIGITS) + (key & ((1 << DIGITS) - 1))), (key >> DIGITS) - DIGITS)


@njit(nogil=True)
def key_of(step):
    """Of the largest such float that is at most the step."""
    fraction, exponent = frexp(step)
    return (np.int64(exponent - 1) << DIGITS) + np.int64((2 * fraction - 1) * (1 << DIGITS))


@njit(nogil=True)
def node(sides, key):
    """G as a pair, R, B and s at a key."""
    s = step_of(key)
    hi, lo, b = 0.0, 0.0, 0.0
    for x, sums, start, spacing, cuts in sides:
        more, less, squares = moments(x, sums, start, spacing, cuts, s)
        hi, lo = plus(hi, lo, more)
        lo += less
        b += squares
    # R = A - s B; G = s (A + R); both in pairs
    product_hi, product_lo = product(s, b)
    r_hi, r_lo = plus(-product_hi, -product_lo, hi)
    r_hi, r_lo = plus(r_hi, r_lo, lo)
    sum_hi, sum_lo = plus(hi, lo, r_hi)
    sum_lo += r_lo
    g_hi, g_lo = product(s, sum_hi)
    return g_hi, g_lo + s * sum_lo, r_hi + r_lo, b, s


@njit(nogil=True)
def rise(r, b, w):
    """At most how far a parabola of slope 2 r at 0 and curvature -2 b, seen from 0, rises above its value at -w."""
    if r >= 0:
        return w * (2 * r + w * b) * SAFE
    top = r + w * b + (w * b - r) * 2.0**-50
    return top * top / b * SAFE if top > 0 else 0.0


@njit(nogil=True)
def bound(left, right, best, slack):
    """(An upper bound of G between two nodes) - best, rounding included."""
    w = right[4] - left[4]
    by_left = (right[0] - best[0]) + (right[1] - best[1]) + rise(-left[2], left[3], w)
    by_right = (left[0] - best[0]) + (left[1] - best[1]) + rise(right[2], right[3], w)
    s = right[4]
    size = best[0] + s * (abs(left[2]) + abs(right[2]) + s * (left[3] + right[3]))
    return min(by_left, by_right) + slack * size


@njit(nogil=True)
def better(best, at):
    """The larger of best and G at the top of the node's own parabola, A * A / B = G + R * R / B, rounded down."""
    if at[3] == 0:
        return best
    hi, lo = plus(at[0], at[1], at[2] * at[2] / at[3] * (2.0 - SAFE))
    return (hi, lo) if (hi - best[0]) + (lo - best[1]) > 0 else best


@njit(nogil=True)
def coarse(sides, top, reach, best):
    """Nodes from key `top` down until 2 s * reach >= G(s) cannot be better; keys, nodes, best."""
    keys, nodes = [top], [node(sides, top)]
    while True:
        best = better(best, nodes[-1])
        if 2 * nodes[-1][4] * reach * SAFE < best[0]:
            return keys, nodes, best
        keys.append(keys[-1] - COARSE)
        nodes.append(node(sides, keys[-1]))


@njit(nogil=True)
def polish(sides, nodes, best):
    """The best of a few steps of Lloyd's iteration s = A / B from the best node."""
    at = nodes[0]
    for other in nodes:
        if other[0] > at[0]:
            at = other
    for _ in range(POLISH):
        if at[3] == 0 or at[2] == 0:
            break
        at = node(sides, key_of(at[4] + at[2] / at[3]))
        best = better(best, at)
    return best


@njit(nogil=True)
def survivors(sides, top, reach, best, slack):
    """(lower keys, upper keys, best G as a pair, nodes seen): every step outside these intervals is worse than best.

    An interval ends the search when no value changes its code in it (B is equal), or when its keys are neighbours.
    """
    keys, nodes, best = coarse(sides, top, reach, best)
    best = polish(sides, nodes, best)
    stack = [(keys[i + 1], keys[i], nodes[i + 1], nodes[i]) for i in range(len(keys) - 1)]
    left = [(top, top, nodes[0], nodes[0])]
    left.pop()
    seen = len(keys) + POLISH
    while stack:
        low, high, a, b = stack.pop()
        if bound(a, b, best, slack) < 0:
            continue
        if a[3] == b[3] or high - low == 1:
            left.append((low, high, a, b))
            continue
        middle = (low + high) >> 1
        at = node(sides, middle)
        seen += 1
        best = better(best, at)
        stack.append((low, middle, a, at))
        stack.append((middle, high, at, b))
    kept = [(low, high) for low, high, a, b in left if bound(a, b, best, slack) >= 0]
    return kept, best, seen
