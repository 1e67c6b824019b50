"""Exact comparison of integer arrays that counts what it compared; zero compared is a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.failures import BackendError, NothingComparedError


@dataclass(frozen=True)
class Comparison:
    """How many elements were compared, and the flat positions that differ."""

    compared: int
    wrong: NDArray[np.int64]


def checked_answer(who: str, got: Any, dtype: str, count: int) -> NDArray[Any]:
    """The answer as a flat array; another kind, dtype or number of elements is a broken protocol."""
    if not isinstance(got, np.ndarray):
        raise BackendError(f"{who}: returned {type(got).__name__}; expected an array of {dtype}")
    if got.dtype != np.dtype(dtype):
        raise BackendError(f"{who}: returned dtype {got.dtype}; expected {dtype}")
    if got.size != count:
        raise BackendError(f"{who}: returned shape {got.shape}, {got.size} elements; expected {count}")
    return got.ravel()


def compare(got: NDArray[Any], expected: NDArray[Any]) -> Comparison:
    """Compare two arrays of the same shape and dtype.

    >>> compare(np.int8([1, 2]), np.int8([1, 3])).wrong.tolist()
    [1]
    """
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise BackendError(f"got {got.dtype}{got.shape}; expected {expected.dtype}{expected.shape}")
    if not got.size:
        raise NothingComparedError("nothing was compared; ask for an op and probes that exist")
    return Comparison(got.size, np.flatnonzero(got.ravel() != expected.ravel()))
