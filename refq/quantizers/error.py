"""What a quantizer does to a tensor: mean squared error, maximum error, used levels, entropy of the codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.apply import dequantize, finite_array, neighbours, quantize
from refq.quantizers.lane_sums import BLOCK, LARGEST, magnitude_and_square_sums
from refq.quantizers.quantizer import Quantizer


@dataclass(frozen=True)
class QuantizationLoss:
    """The loss of a tensor of `count` values; `place` is the first of the largest |x - q|, an index of the tensor.

    levels: how many the quantizer has; used_levels: how many occur; entropy: bits a code, at most log2(levels).
    """

    count: int
    mean_squared_error: float
    maximum_error: float
    place: tuple[int, ...]
    levels: int
    used_levels: int
    entropy: float


def _index(codes: NDArray[Any], quantizer: Quantizer) -> NDArray[np.intp]:
    """0..levels - 1."""
    return (codes.astype(np.intp) - quantizer.lowest) // quantizer.spacing


def level_values(quantizer: Quantizer) -> NDArray[np.float64]:
    """What each code is worth, ascending; of a quantizer of one channel.

    >>> from refq.quantizers.sawb import fit_sawb
    >>> level_values(fit_sawb(np.array([-3.0, -1, -1, 0, 1, 2, 4, 6]), 2, grid="zero")).round(3)
    array([-3.733,  0.   ,  3.733])
    """
    codes = np.arange(quantizer.lowest, quantizer.highest + 1, quantizer.spacing)
    return dequantize(
        codes, replace(quantizer, axis=None, step=quantizer.step[:1], zero_point=quantizer.zero_point[:1])
    )


def _channels(quantizer: Quantizer) -> list[Quantizer]:
    """One quantizer a channel."""
    parts = zip(quantizer.cuts, quantizer.step, quantizer.zero_point, strict=True)
    return [
        replace(quantizer, axis=None, cuts=cuts.reshape(1, -1), step=step.reshape(1), zero_point=zero.reshape(1))
        for cuts, step, zero in parts
    ]


def _differences(x: NDArray[Any], quantizer: Quantizer, out: NDArray[np.float64]) -> NDArray[np.intp]:
    """x - q into out, in blocks; returns how often each level occurs; one channel, x and out (outer, inner)."""
    counts, worth = np.zeros(quantizer.levels, np.intp), level_values(quantizer)
    for row, into in zip(x, out, strict=True):
        for a in range(0, row.size, BLOCK):
            part = row[a : a + BLOCK]
            index = _index(quantize(part, quantizer), quantizer)
            np.subtract(part, worth[index], out=into[a : a + BLOCK])
            counts += np.bincount(index, minlength=quantizer.levels)
    return counts


def _entropy(counts: NDArray[np.intp]) -> float:
    total = int(counts.sum())
    return fsum(c / total * log2(total / c) for c in counts[counts > 0].tolist())


def _largest(errors: NDArray[np.float64]) -> tuple[float, int]:
    """The largest magnitude and its first place, without an array of magnitudes."""
    ends = [int(errors.argmin()), int(errors.argmax())]
    sizes = [abs(float(errors.flat[at])) for at in ends]
    return max(sizes), min(at for at, size in zip(ends, sizes, strict=True) if size == max(sizes))


def quantization_error(values: Any, quantizer: Quantizer) -> QuantizationLoss:
    """The loss of `values` under the quantizer.

    values: float16, float32 or float64, any shape, not empty, finite. Each error is one float64 subtraction of the
    value of the code; the sum of their squares is exact, rounded once to float64, and divided by the count. Nothing
    depends on the order of the elements, but `place`, the first in C order. Entropy: the exactly added float64 terms
    (c / N) log2(N / c). Codes of all channels are counted together.
    TypeError for other dtypes; ValueError for empty tensors, NaN, infinities, channels that do not match, and errors
    beyond 2**400. Takes one float64 tensor of memory.

    >>> from refq.quantizers.sawb import fit_sawb
    >>> w = np.array([-3.0, -1, -1, 0, 1, 2, 4, 6])
    >>> loss = quantization_error(w, fit_sawb(w, 2))
    >>> round(loss.mean_squared_error, 4), loss.place, loss.used_levels, loss.entropy
    (0.9851, (7,), 4, 1.9056390622295662)
    """
    x = finite_array("quantization_error", "values", values)
    inner = neighbours("quantization_error", x.shape, quantizer)
    parts = _channels(quantizer)
    rows = x.reshape(-1, len(parts), inner)
    errors = np.empty(rows.shape, np.float64)
    counts = sum(
        (_differences(rows[:, c], part, errors[:, c]) for c, part in enumerate(parts)),
        np.zeros(quantizer.levels, np.intp),
    )
    largest, first = _largest(errors)
    if not largest <= LARGEST:
        raise ValueError(f"quantization_error: maximum error {largest} is beyond 2**400; scale values and steps")
    place = tuple(int(i) for i in np.unravel_index(first, x.shape))
    squares = magnitude_and_square_sums(errors)[1]
    return QuantizationLoss(
        x.size, squares / x.size, largest, place, quantizer.levels, int((counts > 0).sum()), _entropy(counts)
    )


def best_factor(values: Any, quantizer: Quantizer) -> float:
    """The factor on all values of the codes that makes the squared error least: sum x q / sum q**2; 1.0 if q is all 0.

    For methods whose codes carry no scale, as DoReFa's. values as for `quantization_error`, one channel only,
    ValueError otherwise. The sum of x by code is added in C order in float64, the rest exactly.

    >>> from refq.quantizers.sawb import fit_sawb
    >>> w = np.array([-2.0, -1, 1, 2])
    >>> best_factor(w, fit_sawb(w, 1)), fit_sawb(w, 1).parameters["alpha"]
    (1.0, 1.5)
    """
    x = finite_array("best_factor", "values", values)
    if quantizer.axis is not None:
        raise ValueError("best_factor: quantizer has an axis; pass one of a single channel")
    index, worth = _index(quantize(x, quantizer), quantizer).reshape(-1), level_values(quantizer)
    sums = np.bincount(index, weights=x.reshape(-1), minlength=quantizer.levels)
    counts = np.bincount(index, minlength=quantizer.levels)
    below = fsum((worth * worth * counts).tolist())
    return fsum((worth * sums).tolist()) / below if below else 1.0
