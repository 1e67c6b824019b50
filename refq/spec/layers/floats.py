"""Sums of float32 products by definition: one rounding after the other, in Fractions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from refq.spec.floats import FLOAT32, FLOAT64, round_to_float

Reals = Sequence[Fraction]


def rounded(value: Fraction) -> Fraction:
    """To float32, ties to even."""
    return round_to_float(Fraction(value), FLOAT32)


def fused(x: Fraction, y: Fraction, z: Fraction) -> Fraction:
    """x * y + z, rounded once.

    >>> fused(Fraction(1, 3), Fraction(3), Fraction(-1))
    Fraction(0, 1)
    """
    return rounded(x * y + z)


def fused_chain(xs: Reals, ys: Reals, first: Fraction = Fraction(0)) -> Fraction:
    """One fused operation a product, in order."""
    total = first
    for x, y in zip(xs, ys, strict=True):
        total = fused(x, y, total)
    return total


def sequential(xs: Reals, ys: Reals) -> Fraction:
    """Each product rounded, then each sum, in order."""
    total = Fraction(0)
    for x, y in zip(xs, ys, strict=True):
        total = rounded(total + rounded(x * y))
    return total


def in_blocks(xs: Reals, ys: Reals, size: int) -> Fraction:
    """Chains of `size` products that each begin at 0; each chain is added to what there is."""
    total = fused_chain(xs[:size], ys[:size])
    for k in range(size, len(xs), size):
        total = rounded(total + fused_chain(xs[k : k + size], ys[k : k + size]))
    return total


def wide(xs: Reals, ys: Reals, start: Fraction) -> Fraction:
    """Sums rounded to float64 (the products fit in one), start last, the result rounded to float32."""
    total = Fraction(0)
    for x, y in zip(xs, ys, strict=True):
        total = round_to_float(total + x * y, FLOAT64)
    return rounded(round_to_float(total + start, FLOAT64))


def real(xs: Reals, ys: Reals) -> Fraction:
    """The real sum."""
    return sum((x * y for x, y in zip(xs, ys, strict=True)), Fraction(0))


ORDERS: dict[str, Callable[[Reals, Reals], Fraction]] = {
    "float32_fma_ascending": fused_chain,
    "float32_fma_blocks128": lambda xs, ys: in_blocks(xs, ys, 128),
    "float32_sequential": sequential,
}
"""Orders after which start is one more float32 sum."""


def plain_element(xs: Reals, ys: Reals, start: Fraction, rule: str) -> Fraction:
    """sum of xs * ys, + start, in one of the plain orders; "numpy_matmul" has no definition.

    >>> plain_element([Fraction(10**8), Fraction(1), Fraction(-(10**8))], [Fraction(1)] * 3, Fraction(0), "exact")
    Fraction(1, 1)
    """
    if rule == "exact":
        return rounded(real(xs, ys) + start)
    if rule == "float64":
        return wide(xs, ys, start)
    return rounded(ORDERS[rule](xs, ys) + start)


def mean_element(values: Reals, count: int, rule: str) -> Fraction:
    """The sum of values over count, in one of the orders of averages.

    >>> mean_element([Fraction(1), Fraction(2), Fraction(4)], 4, "float32_sequential")
    Fraction(7, 4)
    """
    if rule == "exact":
        return rounded(sum(values, Fraction(0)) / count)
    if rule == "float64":
        return rounded(round_to_float(_added(values, FLOAT64) / count, FLOAT64))
    total = _four_lanes(values) if rule == "mlas_lanes4" else _added(values, FLOAT32)
    if rule == "float32_reciprocal":
        return rounded(total * rounded(Fraction(1, count)))
    return rounded(total / count)


def _added(values: Reals, fmt: object, first: Fraction = Fraction(0)) -> Fraction:
    total = first
    for value in values:
        total = round_to_float(total + value, FLOAT64 if fmt is FLOAT64 else FLOAT32)
    return total


def _four_lanes(values: Reals) -> Fraction:
    whole = len(values) // 4 * 4
    lanes = [_added(values[lane:whole:4], FLOAT32) for lane in range(4)]
    both = rounded(rounded(lanes[0] + lanes[2]) + rounded(lanes[1] + lanes[3]))
    return _added(values[whole:], FLOAT32, both)


def rows_first(window: Sequence[Reals], count: int) -> Fraction:
    """A window given by its rows: each column is summed downwards, then the columns, then one division."""
    columns = [_added(column, FLOAT32) for column in zip(*window, strict=True)]
    return rounded(_added(columns, FLOAT32) / count)


def aligned_sum(values: Reals, before: int) -> Fraction:
    """The sum of a row that starts `before` elements after an address aligned to four, as Eigen vectorizes it.

    >>> aligned_sum([Fraction(k) for k in range(9)], 3)
    Fraction(36, 1)
    """
    head = min(-before % 4, len(values))
    fours = [values[k : k + 4] for k in range(head, len(values) - 3, 4)]
    if not fours:
        return _added(values[1:], FLOAT32, values[0])
    pairs = len(fours) // 2 * 2
    even, odd = ([_added(lane, FLOAT32) for lane in zip(*fours[i:pairs:2], strict=True)] for i in (0, 1))
    lanes = [rounded(a + b) for a, b in zip(even, odd, strict=True)] or [Fraction(0)] * 4
    lanes = [_added([f[i] for f in fours[pairs:]], FLOAT32, lanes[i]) for i in range(4)]
    total = rounded(rounded(lanes[0] + lanes[2]) + rounded(lanes[1] + lanes[3]))
    return _added([*values[:head], *values[head + 4 * len(fours) :]], FLOAT32, total)
