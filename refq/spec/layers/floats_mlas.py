"""The order in which MLAS sums one element of a float32 product on x86-64 with AVX-512, by definition, in Fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from refq.spec.layers.floats import Reals, fused, fused_chain, rounded

ZERO = Fraction(0)
ONE = Fraction(1)


@dataclass(frozen=True)
class Shape:
    """A whole product: rows, columns, depth; which operands lie transposed in memory; whether b is packed.

    contiguous: whether one column of b and of the result would lie without gaps.
    """

    rows: int
    columns: int
    depth: int
    transposed: tuple[bool, bool] = (False, False)
    packed: bool = False
    contiguous: bool = True


def panel(columns: int, depth: int, stretch: bool = True) -> tuple[int, int]:
    """Columns and depth of the panels that a product is cut into: 16384 elements, 16 columns or more.

    >>> panel(3, 5000)
    (16, 1024)
    """
    if columns >= depth:
        deep = 128
        while deep > 1 and deep // 2 >= depth:
            deep //= 2
        return 16384 // deep, deep
    wide = 128
    while stretch and wide > 16 and wide >= 2 * columns:
        wide //= 2
    return wide, 16384 // wide


def mlas_element(
    xs: Reals, ys: Reals, shape: Shape, place: tuple[int, int], c: Fraction = ZERO, alpha: Fraction = ONE,
    beta: Fraction = ZERO,
) -> Fraction:  # fmt: skip
    """alpha * sum of xs * ys + beta * c for the element at `place` (row, column) of a product.

    >>> mlas_element([ONE, ONE], [ONE, ONE], Shape(1, 1, 2), (0, 0))
    Fraction(2, 1)
    """
    start = rounded(beta * c)
    unscaled = alpha == 1 and beta in (0, 1) and not shape.packed
    if unscaled and shape.rows == 1 and not shape.transposed[0]:
        return _eighths(xs, ys, place[1], shape.columns, start) if shape.transposed[1] else _fours(xs, ys, start)
    gaps = shape.transposed[1] and shape.depth > 1
    if unscaled and shape.columns == 1 and shape.contiguous and not gaps:
        return _fours(xs, ys, start) if shape.transposed[0] else _eighths(xs, ys, place[0], shape.rows, start)
    size = 256 if shape.packed else panel(shape.columns, shape.depth, not shape.transposed[0])[1]
    total = start
    for k in range(0, len(xs), size):
        total = fused(alpha, fused_chain(xs[k : k + size], ys[k : k + size]), total)
    return total


def _plain(xs: Reals, ys: Reals) -> Fraction:
    total = rounded(xs[0] * ys[0])
    for x, y in zip(xs[1:], ys[1:], strict=True):
        total = rounded(total + rounded(x * y))
    return total


def _fours(xs: Reals, ys: Reals, start: Fraction) -> Fraction:
    """Fours, then two, then one: each summed by itself, then added to the total."""
    total, k = start, 0
    for size in [4] * (len(xs) // 4) + [2] * (len(xs) % 4 // 2) + [1] * (len(xs) % 2):
        total = rounded(_plain(xs[k : k + size], ys[k : k + size]) + total)
        k += size
    return total


def _eighths(xs: Reals, ys: Reals, at: int, of: int, start: Fraction) -> Fraction:
    """Eight interleaved sums, then a tree that depends on where the element stands among its like."""
    lanes = [_plain((ZERO, *xs[i::8]), (ZERO, *ys[i::8])) for i in range(8)]
    low, high = lanes[:4], lanes[4:]
    if at < of - of % 4:
        halves = [rounded(rounded(rounded(h[0] + h[1]) + h[2]) + h[3]) for h in (low, high)]
    elif at < of - of % 2:
        pairs = [rounded(lanes[i] + lanes[i + 2]) for i in (0, 4, 1, 5)]
        halves = [rounded(pairs[0] + pairs[1]), rounded(pairs[2] + pairs[3])]
    else:
        halves = [rounded(rounded(h[0] + h[1]) + rounded(h[2] + h[3])) for h in (low, high)]
    return rounded(rounded(halves[0] + halves[1]) + start)


def conv_element(weights: Reals, patch: Reals, filters: int, places: int, filter_: int, place: int) -> Fraction:
    """One element of a convolution of one image and group: depth = channel, kernel row, kernel column."""
    depth = len(patch)
    if filters > places:
        return mlas_element(weights, patch, Shape(filters, places, depth), (filter_, place))
    wide, deep = panel(places, depth)
    first = place // wide * wide
    count = min(wide, places - first)
    total = ZERO
    for k in range(0, depth, deep):
        part = Shape(filters, count, min(deep, depth - k), contiguous=places == 1)
        at, beta = (filter_, place - first), Fraction(int(k > 0))
        total = mlas_element(weights[k : k + deep], patch[k : k + deep], part, at, total, ONE, beta)
    return total


def seven_element(weights: Reals, patch: Reals, inside: bool) -> Fraction:
    """One element of the depthwise 7 x 7 with stride 2 and padding 3; inside: no tap of it is padding."""
    if not inside:
        return fused_chain(weights, patch)
    lanes: Sequence[Fraction] = [fused_chain(weights[i::7], patch[i::7]) for i in range(7)]
    even = rounded(rounded(lanes[0] + lanes[4]) + rounded(lanes[2] + lanes[6]))
    return rounded(even + rounded(rounded(lanes[1] + lanes[5]) + lanes[3]))
