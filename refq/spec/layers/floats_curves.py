"""Sigmoid, tanh, softmax of float32 by definition, in Fractions: real values rounded once, and MLAS's polynomials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor

from refq.spec.floats import FLOAT32, round_to_float
from refq.spec.layers.floats import fused, rounded

Interval = tuple[Fraction, Fraction]
SIGMOID_TOP = ("4.37031012579801e-11", "1.15627324459942e-7", "6.08574864600143e-5", ".00851377133304701",
               ".248287947061529")  # fmt: skip
SIGMOID_BOTTOM = ("6.10247389755681e-13", "5.76102136993427e-9", "6.29106785017040e-6", ".00170198817374094",
                  ".116817656904453", ".993151921023180")  # fmt: skip
TANH_TOP = ("-2.76076847742355e-16", "2.00018790482477e-13", "-8.60467152213735e-11", "5.12229709037114e-8",
            "1.48572235717979e-5", "6.37261928875436e-4", ".00489352455891786")  # fmt: skip
TANH_BOTTOM = ("1.19825839466702e-6", "1.18534705686654e-4", ".00226843463243900", ".00489352518554385")
EXP = (Fraction(0x1694, 1 << 22), Fraction(0x1125EDC, 1 << 31), Fraction(0x1555B5A, 1 << 29),
       Fraction(0x1555450, 1 << 27), Fraction(0x1FFFFF6, 1 << 26), Fraction(1), Fraction(1))  # fmt: skip


def _polynomial(coefficients: Sequence[Fraction], x: Fraction) -> Fraction:
    total = coefficients[0]
    for c in coefficients[1:]:
        total = fused(total, x, c)
    return total


def _quotient(x: Fraction, top: Sequence[str], bottom: Sequence[str]) -> Fraction:
    square = rounded(x * x)
    above, below = ([rounded(Fraction(c)) for c in cs] for cs in (top, bottom))
    return rounded(rounded(x * _polynomial(above, square)) / _polynomial(below, square))


def mlas_sigmoid(x: Fraction) -> Fraction:
    """Source: onnxruntime core/mlas/lib/x86_64/LogisticKernelFma3.S.

    >>> mlas_sigmoid(Fraction(0))
    Fraction(1, 2)
    """
    inner = _quotient(min(max(x, Fraction(-18)), Fraction(18)), SIGMOID_TOP, SIGMOID_BOTTOM)
    return max(rounded(inner + Fraction(1, 2)), Fraction(0))


def mlas_tanh(x: Fraction) -> Fraction:
    """Source: onnxruntime core/mlas/lib/tanh.cpp, with fused operations."""
    return _quotient(min(max(x, Fraction(-9)), Fraction(9)), TANH_TOP, TANH_BOTTOM)


def mlas_exp(x: Fraction) -> Fraction:
    """exp of x <= 0: 2**m * p(x - m * ln 2), m by adding and taking away 1.5 * 2**23.

    Source: onnxruntime core/mlas/lib/x86_64/TransKernelAvx512F.S.
    """
    x = max(x, rounded(Fraction("-103.9720840454")))
    bias = Fraction(3 << 22)
    power = rounded(fused(x, rounded(Fraction("1.44269504088896341")), bias) - bias)
    reduced = fused(power, rounded(Fraction("-0.693145752")), x)
    reduced = fused(power, rounded(Fraction("-1.42860677e-6")), reduced)
    return rounded(_polynomial(EXP, reduced) * Fraction(2) ** int(power))


def mlas_softmax(xs: Sequence[Fraction]) -> list[Fraction]:
    """exp(x - max) times the rounded reciprocal of their sum, which is kept on 16 lanes."""
    powers = [mlas_exp(rounded(x - max(xs))) for x in xs]
    lanes = [_ordered(powers[i::16]) for i in range(16)]
    eight = [rounded(a + b) for a, b in zip(lanes[:8], lanes[8:], strict=True)]
    four = [rounded(a + b) for a, b in zip(eight[::2], eight[1::2], strict=True)]
    total = rounded(rounded(four[0] + four[1]) + rounded(four[2] + four[3]))
    return [rounded(p * rounded(1 / total)) for p in powers]


def _ordered(values: Sequence[Fraction]) -> Fraction:
    total = Fraction(0)
    for value in values:
        total = rounded(total + value)
    return total


def exp_interval(x: Fraction, bits: int) -> Interval:
    """Two rationals around exp(x), for x <= 0: Taylor sums of x / 2**n, squared n times, cut to `bits` outwards."""
    halvings = max(0, (abs(x.numerator) // x.denominator).bit_length()) + 4
    small = x / (1 << halvings)
    term, total, k = Fraction(1), Fraction(0), 0
    while abs(term) * (1 << bits) > 1:
        total, k = total + term, k + 1
        term = _cut(term * small / k, bits + 8)
    slack = Fraction(2 * k + 4, 1 << bits)
    low, high = total - slack, total + slack
    for _ in range(halvings):
        low, high = _cut(low * low, bits), _cut(high * high, bits) + Fraction(1, 1 << bits)
    return low, high


def _cut(value: Fraction, bits: int) -> Fraction:
    return Fraction(floor(value * (1 << bits)), 1 << bits)


def _settled(function: Callable[[int], Interval]) -> Fraction:
    """The one float32 nearest to both ends of an interval that more bits make narrower."""
    bits = 300
    while True:
        low, high = (round_to_float(end, FLOAT32) for end in function(bits))
        if low == high:
            return low
        bits *= 2


def real_sigmoid(x: Fraction) -> Fraction:
    """1 / (1 + exp(-x)), rounded once.

    >>> real_sigmoid(Fraction(0))
    Fraction(1, 2)
    """

    def around(bits: int) -> Interval:
        low, high = exp_interval(-abs(x), bits)
        return (1 / (1 + high), 1 / (1 + low)) if x > 0 else (low / (1 + low), high / (1 + high))

    return Fraction(1, 2) if x == 0 else _settled(around)


def real_tanh(x: Fraction) -> Fraction:
    """tanh(x), rounded once."""

    def around(bits: int) -> Interval:
        low, high = exp_interval(-2 * abs(x), bits)
        return (1 - high) / (1 + high), (1 - low) / (1 + low)

    return x if x == 0 else _settled(around) * (1 if x > 0 else -1)


def real_softmax(xs: Sequence[Fraction], place: int) -> Fraction:
    """exp(x) / sum of exp(x), rounded once."""

    def around(bits: int) -> Interval:
        ends = [exp_interval(x - max(xs), bits) for x in xs]
        low, high = ends[place]
        return low / sum((end[1] for end in ends), Fraction(0)), high / sum((end[0] for end in ends), Fraction(0))

    return Fraction(1) if len(xs) == 1 else _settled(around)
