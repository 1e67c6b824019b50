"""The integer network beside the exact twin: every element of every tensor, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.failures import NothingComparedError


@dataclass(frozen=True)
class Compared:
    """One tensor: elements compared, how many differ, and the place of the first that does."""

    name: str
    count: int
    differ: int
    first: tuple[int, ...] | None = None


def _compare(name: str, got: NDArray[Any], expected: NDArray[Any]) -> Compared:
    if got.shape != expected.shape:
        raise ValueError(f"compare: {name} has shape {got.shape}, its twin {expected.shape}")
    # integers of two dtypes, both inside int64: equality is exact
    wrong = np.argwhere(got.astype(np.int64) != expected.astype(np.int64))
    return Compared(name, got.size, len(wrong), tuple(int(i) for i in wrong[0]) if len(wrong) else None)


def compare(got: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> tuple[Compared, ...]:
    """Each tensor of the twin, in its order; the network may have more only where they are views of these.

    NothingComparedError for no elements, ValueError for a tensor that is missing or has another shape.
    """
    missing = [name for name in expected if name not in got]
    unknown = [name for name in got if name not in expected and not name.endswith(".flat")]
    if missing or unknown:
        raise ValueError(f"compare: {(missing or unknown)[0]} has no counterpart")
    found = tuple(_compare(name, got[name], expected[name]) for name in expected)
    if not sum(one.count for one in found):
        raise NothingComparedError("demo: no sample, nothing was compared; pass at least one")
    return found
