"""What a quantizer does to a tensor, from the definitions: mean squared error, maximum error, used levels, entropy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import fsum, log2


def differences(values: Sequence[float], quantized: Sequence[float]) -> list[float]:
    """x - q, one float64 subtraction each."""
    return [float(x) - float(q) for x, q in zip(values, quantized, strict=True)]


def mean_squared_error(values: Sequence[float], quantized: Sequence[float]) -> float:
    """The exact sum of the squared differences, rounded once to float64, divided by the count in float64.

    >>> mean_squared_error([1.0, 2.0, 4.0], [1.5, 2.0, 3.0])
    0.4166666666666667
    """
    return float(sum(Fraction(d) ** 2 for d in differences(values, quantized))) / len(values)


def maximum_error(values: Sequence[float], quantized: Sequence[float]) -> tuple[float, int]:
    """The largest |x - q| and the first place that has it.

    >>> maximum_error([1.0, 2.0, 4.0], [1.0, 3.0, 3.0])
    (1.0, 1)
    """
    sizes = [abs(d) for d in differences(values, quantized)]
    return max(sizes), sizes.index(max(sizes))


def entropy(codes: Sequence[int]) -> float:
    """Bits a code: the exactly added (c / N) log2(N / c) over the codes that occur c times of N, float64 each.

    >>> entropy([0, 0, 1, 2]), entropy([5, 5])
    (1.5, 0.0)
    """
    total = len(codes)
    return fsum(count / total * log2(total / count) for count in Counter(codes).values())
