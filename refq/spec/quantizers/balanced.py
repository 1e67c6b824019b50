"""Balanced quantization of weights: the definition, one tensor as a list of numbers.

Zhou, Wang, Wen, He, Zou 2017 (arXiv 1706.07145), Algorithms 1 and 2. The tensor is halved k times, by the mean or by
the median, into 2**k leaves g; inside its leaf a weight lies at r = (w - minimum) / (maximum - minimum), 0 if both are
equal.

    W_e = (g + r) / 2**k,    l = rtz(2**k * W_e - 1/2),    W_q = scale * (2 * l - n) / n                       (B1)

with n = 2**k - 1, scale = max|W| and rtz rounding to nearest, ties toward zero. Codes "literal" are these l, codes
"leaf" are g. Means are compared exactly. A median puts the floor(count / 2) smallest by (value, index) into the lower
half.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

HALF = Fraction(1, 2)
Threshold = tuple[Fraction, bool]
"""What a level asks of x: at least the number (True), or more (False)."""


def round_to_zero(value: Fraction) -> int:
    """Nearest integer, ties toward zero: sgn(v) * ceil(|v| - 1/2).

    >>> [round_to_zero(Fraction(twice, 2)) for twice in (-3, -1, 1, 2, 3, 4)]
    [-1, 0, 0, 1, 1, 2]
    """
    size = ceil(abs(value) - HALF)
    return size if value > 0 else -size


def below_mean(values: list[Fraction], places: list[int]) -> list[int]:
    """The places whose value is under the mean: count * w < sum."""
    total = sum(values[i] for i in places)
    return [i for i in places if len(places) * values[i] < total]


def below_median(values: list[Fraction], places: list[int]) -> list[int]:
    """The lower half: the floor(count / 2) smallest by (value, index)."""
    return sorted(places, key=lambda i: (values[i], i))[: len(places) // 2]


LOWER = {"mean": below_mean, "median": below_median}


def leaf_sets(values: list[Fraction], bits: int, split: str) -> list[list[int]]:
    """The places of each of the 2**bits leaves; a leaf may be empty."""
    sets = [list(range(len(values)))]
    for _ in range(bits):
        halves = []
        for places in sets:
            left = LOWER[split](values, places)
            chosen = set(left)
            halves += [left, [i for i in places if i not in chosen]]
        sets = halves
    return sets


def _position(w: Fraction, inside: list[Fraction]) -> Fraction:
    """r of B1."""
    low, high = min(inside), max(inside)
    return (w - low) / (high - low) if high > low else Fraction(0)


def levels(weights: list[float], bits: int, *, split: str = "mean", codes: str = "leaf") -> list[int]:
    """The level of every weight.

    >>> worked = [-8, -3, -2, -1, 0, 1, 2, 3, 5, 20]
    >>> levels(worked, 2), levels(worked, 2, codes="literal")
    ([0, 0, 1, 1, 1, 1, 2, 2, 2, 3], [0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    >>> levels(worked, 2, split="median"), levels(worked, 2, split="median", codes="literal")
    ([0, 0, 1, 1, 1, 2, 2, 3, 3, 3], [0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    """
    values = [Fraction(w) for w in weights]
    result = [0] * len(values)
    for g, places in enumerate(leaf_sets(values, bits, split)):
        inside = [values[i] for i in places]
        for i in places:
            literal = round_to_zero(g + _position(values[i], inside) - HALF)
            result[i] = g if codes == "leaf" else literal
    return result


def codes_of(levels: list[int], bits: int) -> list[int]:
    """2 * l - n.

    >>> codes_of([0, 1, 2, 3], 2)
    [-3, -1, 1, 3]
    """
    return [2 * level - (1 << bits) + 1 for level in levels]


def quantized(weights: list[float], bits: int, *, split: str = "mean", codes: str = "leaf") -> list[Fraction]:
    """W_q of B1.

    >>> quantized([1.0, 1.0], 2, codes="literal")
    [Fraction(1, 3), Fraction(1, 3)]
    """
    scale = max(abs(Fraction(w)) for w in weights)
    found = codes_of(levels(weights, bits, split=split, codes=codes), bits)
    return [scale * code / ((1 << bits) - 1) for code in found]


def mean_thresholds(values: list[Fraction], bits: int, end: Fraction) -> list[Fraction]:
    """Where each of the 2**bits - 1 mean splits is made; an empty set is split at its upper end.

    >>> mean_thresholds([Fraction(1), Fraction(2), Fraction(6)], 2, Fraction(6))
    [Fraction(3, 2), Fraction(3, 1), Fraction(6, 1)]
    """
    if bits == 0:
        return []
    mean = sum(values, Fraction(0)) / len(values) if values else end
    left, right = [w for w in values if w < mean], [w for w in values if w >= mean]
    return [*mean_thresholds(left, bits - 1, mean), mean, *mean_thresholds(right, bits - 1, end)]


def thresholds(weights: list[float], bits: int, *, split: str = "mean", codes: str = "leaf") -> list[Threshold]:
    """What levels 1..n ask of any number x, seen or not: level = how many of them it meets.

    Leaf g begins at its mean threshold, or at the smallest weight of the upper half. Literal level g begins just above
    the smallest weight of leaf g; an empty leaf has none, and ends where the next begins. Weights that are equal but
    lie in several leaves all get the highest level of any of them: level g begins at that weight itself.

    >>> thresholds([1, 2, 6], 1), thresholds([1, 2, 6], 1, codes="literal")
    ([(Fraction(3, 1), True)], [(Fraction(6, 1), False)])
    >>> thresholds([1, 1, 1, 1], 1, split="median"), levels([1, 1, 1, 1], 1, split="median")
    ([(Fraction(1, 1), True)], [0, 0, 1, 1])
    """
    values = [Fraction(w) for w in weights]
    sets = leaf_sets(values, bits, split)
    lowest = [min((values[i] for i in places), default=None) for places in sets]
    upper = [next(low for low in lowest[g:] if low is not None) for g in range(len(sets))]
    starts = mean_thresholds(values, bits, max(values)) if split == "mean" else upper[1:]
    if codes == "leaf":
        return [(start, True) for start in starts]
    result: list[Threshold] = []
    for g in range(1, len(sets)):
        own, following = lowest[g], upper[g + 1] if g + 1 < len(sets) else None
        result.append((starts[g], True) if own is None else (own, own == following))
    return result


def level_of(x: Fraction, asked: list[Threshold]) -> int:
    """How many thresholds x meets.

    >>> level_of(Fraction(3), [(Fraction(1), True), (Fraction(3), False)])
    1
    """
    return sum(x > number or (x == number and inclusive) for number, inclusive in asked)
