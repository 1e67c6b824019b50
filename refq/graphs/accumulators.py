"""How wide the sums of a graph's layers can get, over all inputs: exact per channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refq.graphs.running import Prepared


@dataclass(frozen=True, eq=False)
class LayerRange:
    """The sums of one layer. bits: of the narrowest signed register that holds every channel's sums.

    low, high: of each channel, over all codes of the input, each for itself. over16, over32: how many channels can
    leave registers of 16 and of 32 bits.
    """

    node: str
    op: str
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    bits: int
    over16: int
    over32: int


def _over(low: NDArray[np.int64], high: NDArray[np.int64], bits: int) -> int:
    return int(((low < -(1 << (bits - 1))) | (high > (1 << (bits - 1)) - 1)).sum())


def layer_ranges(prepared: Prepared) -> tuple[LayerRange, ...]:
    """One record a layer that sums products, in the order of the graph."""
    found = []
    for step in prepared.steps:
        if step.bound.accumulators is None:
            continue
        sums = step.bound.accumulators()
        low, high = (np.asarray(end, np.int64).ravel() for end in (sums.low, sums.high))
        bits = 1 + max(((~int(e) if e < 0 else int(e)).bit_length() for e in (*low, *high)), default=0)
        over = (_over(low, high, width) for width in (16, 32))
        found.append(LayerRange(step.site.node.name, step.op.name, low, high, bits, *over))
    return tuple(found)
