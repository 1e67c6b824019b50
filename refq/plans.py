"""The numbers a kernel needs, as records; one table column a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refq.rules import Arithmetic


class IntegerPlan(NamedTuple):
    """acc -> [move] -> * multiplier + addend -> [high shift -> mid] -> [low shift] -> wrap -> clamp.

    `wrap_*` hold 64 - bits, or 0 for none. A shift of 0 switches its stage off.
    """

    move: int
    left: int
    wrap_in: int
    pre: int
    pre_add: int
    pre_negative: int
    pre_odd: int
    pre_low: int
    pre_high: int
    multiplier: int
    addend: int
    high: int
    high_add: int
    high_negative: int
    high_odd: int
    wrap_mid: int
    low: int
    low_add: int
    low_negative: int
    low_odd: int
    before: int
    inside: int
    wrap_out: int
    after: int
    qmin: int
    qmax: int


class FloatPlan(NamedTuple):
    """x (* or /) scale [+ before] -> round -> clamp [low, high] -> + after; all held as float64."""

    scale: float
    single: float
    divide: float
    before: float
    parity: float
    up: float
    down: float
    last: float
    after: float
    qmin: float
    qmax: float


class ExactPlan(NamedTuple):
    """The thresholds of an exact rule: level qmin + i starts at thresholds[i - 1]."""

    thresholds: NDArray[np.int64]
    qmin: int


@dataclass(frozen=True)
class Plan:
    """Arithmetic, and one column a channel: (fields, channels), or (levels, channels) for EXACT."""

    arithmetic: Arithmetic
    table: NDArray[Any]
    qmin: int
    qmax: int
    acc_bound: int
