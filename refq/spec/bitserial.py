"""Products from bits, one number at a time: planes of a vector, AND or XNOR, and a count.

Every encoding is offset + sum of plane_weights[b] * bit[b], so x . y is a weighted sum of products of planes.
Cowan et al. 2018, Umuroglu et al. 2018 (BISMO) for integers, Rastegari et al. 2016 (XNOR-Net) for -1/+1,
Zhou et al. 2016 (DoReFa-Net) and 2017 (balanced quantization) for codes that stand for fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from refq.encodings import Encoding, Kind

WORD = 64
BIPOLAR = Encoding(1, Kind.ODD)


def planes(x: int, encoding: Encoding) -> tuple[int, ...]:
    """The bits of the code of x, lowest first.

    The code is x, x modulo 2**bits, or half of x - offset. ValueError if the encoding does not have x.

    >>> planes(-3, Encoding(3, Kind.SIGNED)), planes(-1, Encoding(2, Kind.ODD))
    ((1, 0, 1), (1, 0))
    """
    code = (x - encoding.offset) // (2 if encoding.kind is Kind.ODD else 1)
    bits = tuple(code // 2**b % 2 for b in range(encoding.bits))
    if value(bits, encoding) != x:
        raise ValueError(f"planes: x={x} is no {encoding.name}, {encoding.minimum}..{encoding.maximum}")
    return bits


def value(bits: Sequence[int], encoding: Encoding) -> int:
    """offset + the weights of the bits that are set.

    >>> value((1, 0, 1), Encoding(3, Kind.SIGNED)), value((1, 0), Encoding(2, Kind.ODD))
    (-3, -1)
    """
    return encoding.offset + sum(w * bit for w, bit in zip(encoding.plane_weights, bits, strict=True))


def pack(values: Sequence[int], encoding: Encoding) -> list[list[int]]:
    """The planes of a vector, each in words of 64 bits: value k is bit k mod 64 of word k div 64.

    >>> pack([1, 2, 3], Encoding(2))
    [[5], [6]]
    """
    codes = [planes(x, encoding) for x in values]
    starts = range(0, len(codes), WORD)
    return [
        [sum(code[b] << k for k, code in enumerate(codes[start : start + WORD])) for start in starts]
        for b in range(encoding.bits)
    ]


def same_length(xs: Sequence[int], ys: Sequence[int]) -> int:
    """Their length; ValueError if there are two."""
    if len(xs) != len(ys):
        raise ValueError(f"dot: ys has {len(ys)} values, xs {len(xs)}")
    return len(xs)


def masks(n: int) -> list[int]:
    """The words of n set bits: all but the padding.

    >>> [mask.bit_count() for mask in masks(70)]
    [64, 6]
    """
    return [(1 << min(WORD, n - start)) - 1 for start in range(0, n, WORD)]


def count(plane: Sequence[int]) -> int:
    """Set bits."""
    return sum(word.bit_count() for word in plane)


def count_both(a: Sequence[int], b: Sequence[int]) -> int:
    """Set bits of a AND b."""
    return sum((u & v).bit_count() for u, v in zip(a, b, strict=True))


def count_alike(a: Sequence[int], b: Sequence[int], n: int) -> int:
    """Set bits of a XNOR b among the first n: without the mask, padding would count as alike."""
    return sum((~(u ^ v) & mask).bit_count() for u, v, mask in zip(a, b, masks(n), strict=True))


def dot(xs: Sequence[int], ys: Sequence[int], ex: Encoding, ey: Encoding) -> int:
    """x . y of any two encodings, one AND and count per pair of planes.

    The sum over k of (ox + sum_i w_i a_ik) (oy + sum_j v_j b_jk), multiplied out. The sign plane of two's complement
    has a negative weight, so a term is negated where exactly one of its planes is a sign plane.

    >>> dot([-4, 3, -1], [-3, 1, 3], Encoding(3, Kind.SIGNED), Encoding(2, Kind.ODD))
    12
    """
    n = same_length(xs, ys)
    left = list(zip(ex.plane_weights, pack(xs, ex), strict=True))
    right = list(zip(ey.plane_weights, pack(ys, ey), strict=True))
    both = sum(w * v * count_both(a, b) for w, a in left for v, b in right)
    x_sum = sum(w * count(a) for w, a in left)
    y_sum = sum(v * count(b) for v, b in right)
    return both + ey.offset * x_sum + ex.offset * y_sum + n * ex.offset * ey.offset


def xnor_dot(xs: Sequence[int], ys: Sequence[int]) -> int:
    """x . y of -1/+1 vectors: the bits alike less the bits unlike, 2 popcount(XNOR) - n.

    >>> xnor_dot([1, -1, 1], [1, 1, 1])
    1
    """
    n = same_length(xs, ys)
    (a,), (b,) = pack(xs, BIPOLAR), pack(ys, BIPOLAR)
    return 2 * count_alike(a, b, n) - n


def odd_dot(xs: Sequence[int], ys: Sequence[int], x_bits: int, y_bits: int) -> int:
    """x . y of odd-level codes: x = sum_b 2**b (2 bit_b - 1), every plane a -1/+1 vector, one XNOR per pair.

    >>> odd_dot([-3, 1, 3], [7, -5, 1], 2, 3)
    -23
    """
    n = same_length(xs, ys)
    left, right = pack(xs, Encoding(x_bits, Kind.ODD)), pack(ys, Encoding(y_bits, Kind.ODD))
    return sum((2 * count_alike(a, b, n) - n) << (i + j) for i, a in enumerate(left) for j, b in enumerate(right))


def bipolar_unsigned_dot(xs: Sequence[int], ys: Sequence[int], y_bits: int) -> int:
    """x . y of x in -1/+1 and y in 0..2**y_bits - 1: with x = 2 b - 1 it is 2 sum(b y) - sum(y).

    >>> bipolar_unsigned_dot([1, -1, 1], [3, 2, 0], 2)
    1
    """
    same_length(xs, ys)
    (b,) = pack(xs, BIPOLAR)
    planes_of_y = pack(ys, Encoding(y_bits))
    return sum((2 * count_both(b, plane) - count(plane)) << j for j, plane in enumerate(planes_of_y))


def balanced_dot(
    levels: Sequence[int], activations: Sequence[int], level_bits: int, activation_bits: int, scale: Fraction
) -> Fraction:
    """sum of W A for W = scale (2 l - n) / n and A = a / m, with n = 2**level_bits - 1, m = 2**activation_bits - 1.

    scale / (n m) * (2 sum(l a) - n sum(a)): unsigned codes, and one sum of activations. Zhou et al. 2017, section 3.

    >>> balanced_dot([0, 3], [1, 2], 2, 2, Fraction(5, 2))
    Fraction(5, 6)
    """
    n, m = 2**level_bits - 1, 2**activation_bits - 1
    codes = dot(levels, activations, Encoding(level_bits), Encoding(activation_bits))
    activation_sum = sum(count(plane) << b for b, plane in enumerate(pack(activations, Encoding(activation_bits))))
    return scale * Fraction(2 * codes - n * activation_sum, n * m)


def dorefa_dot(levels: Sequence[int], activations: Sequence[int], level_bits: int, activation_bits: int) -> Fraction:
    """`balanced_dot` with weights (2 l - n) / n in -1..1. Zhou et al. 2016, section 2.

    One-bit DoReFa weights are -1/+1 times their mean magnitude: `balanced_dot` with that scale.

    >>> dorefa_dot([0, 3], [1, 2], 2, 2)
    Fraction(1, 3)
    """
    return balanced_dot(levels, activations, level_bits, activation_bits, Fraction(1))
