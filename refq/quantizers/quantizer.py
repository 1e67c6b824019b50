"""The common shape of all quantizers: a staircase from real numbers to codes, and what a code is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, nextafter
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.encodings import Encoding, Kind

LARGEST = float(np.finfo(np.float64).max)
NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Quantizer:
    """code = lowest + spacing * (number of cuts <= x), value = (code - zero_point) * step; what a `fit_...` returns.

    cuts: float64 (channels, codes - 1), non-decreasing: the smallest float64 that gets the code, so that decisions on
    float inputs are exact although thresholds need not be floats. step: float64 (channels,), real value of one unit of
    code. zero_point: int64 (channels,). One channel: for the whole tensor, axis None.
    method: its name, with `parameters` of the paper (alpha, scale, ...), which are a record, and not used any more.
    The codes are numbers of `encoding`: they are operands of `refq.gemm` and `refq.conv` as they are.
    """

    method: str
    encoding: Encoding
    lowest: int
    cuts: NDArray[np.float64]
    step: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    axis: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)

    @property
    def spacing(self) -> int:
        """Between neighbouring codes: 2 for odd-level encodings."""
        return 2 if self.encoding.kind is Kind.ODD else 1

    @property
    def levels(self) -> int:
        """How many codes there are."""
        return int(self.cuts.shape[1]) + 1

    @property
    def highest(self) -> int:
        """The code beyond the last cut."""
        return self.lowest + self.spacing * (self.levels - 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the codes: the smallest integer dtype that holds the encoding."""
        unsigned = self.encoding.minimum >= 0
        small = self.encoding.maximum < (256 if unsigned else 128)
        wide = self.encoding.maximum >= (65536 if unsigned else 32768)
        return np.dtype(f"{'u' if unsigned else ''}int{8 if small else 32 if wide else 16}")


def first_float(threshold: Fraction, inclusive: bool) -> float:
    """The smallest float64 that is at least the threshold, or that is beyond it.

    >>> first_float(Fraction(1, 2), True), first_float(Fraction(1, 2), False) > 0.5
    (0.5, True)
    """
    try:
        near = float(threshold)
    except OverflowError:
        return inf if threshold > 0 else -LARGEST
    difference = Fraction(near) - threshold
    below = difference < 0 or (difference == 0 and not inclusive)
    return nextafter(near, inf) if below else near


def one_channel(cuts: list[float]) -> NDArray[np.float64]:
    """(1, codes - 1)."""
    return np.array(cuts, np.float64).reshape(1, -1)
