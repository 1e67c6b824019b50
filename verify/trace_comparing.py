"""Exact comparison of the tensors of two runs: dtype, shape, values; floats bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.trace import Difference


def unequal(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays of one dtype and shape differ in any bit."""
    if left.dtype.kind == "f":
        bits = f"u{left.dtype.itemsize}"
        left, right = (np.ascontiguousarray(array).view(bits) for array in (left, right))
    wrong: NDArray[np.bool_] = np.not_equal(left, right)
    return wrong


def same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Equal dtype, shape and bits."""
    return left.dtype == right.dtype and left.shape == right.shape and not unequal(left, right).any()


def _largest(left: NDArray[Any], right: NDArray[Any]) -> int | float | None:
    """The largest absolute difference; None if one is NaN or infinite."""
    if left.dtype.kind == "f":
        wide = np.abs(left.astype(np.float64) - right.astype(np.float64))
        top = float(wide.max())
        return top if np.isfinite(top) else None
    if left.dtype.kind == "b":
        return 1
    low, high = np.minimum(left, right), np.maximum(left, right)
    # at most 64 bits apart: the unsigned difference of the machine words
    return int((high.astype(np.uint64) - low.astype(np.uint64)).max())


def _finite_largest(left: NDArray[Any], right: NDArray[Any], wrong: NDArray[np.bool_]) -> int | float | None:
    with np.errstate(invalid="ignore"):
        return _largest(left[wrong], right[wrong])


def compare(tensor: str, got: NDArray[Any], expected: NDArray[Any], samples: int) -> Difference:
    """Two arrays that hold `samples` samples along dimension 0.

    >>> d = compare("y", np.int8([[1, 2], [3, 4]]), np.int8([[1, 2], [3, 7]]), 2)
    >>> d.differing, d.largest, d.sample, d.index, d.counts.tolist(), d.by_sample.tolist()
    (1, 3, 1, (0, 1), [[0, 1]], [0, 1])
    """
    size = int(expected.size)
    if got.dtype != expected.dtype:
        return Difference(tensor, size, size, note=f"dtype {got.dtype}, expected {expected.dtype}")
    if got.shape != expected.shape:
        return Difference(tensor, size, size, note=f"shape {got.shape}, expected {expected.shape}")
    wrong = unequal(got, expected)
    count = int(np.count_nonzero(wrong))
    if not count:
        return Difference(tensor, size, 0, largest=0)
    shape = one_sample(expected.shape, samples)
    by = wrong.reshape(samples, -1)
    flat = int(np.argmax(wrong.ravel()))
    sample, inside = divmod(flat, by.shape[1])
    index = tuple(int(i) for i in np.unravel_index(inside, shape)) if shape else ()
    return Difference(
        tensor, size, count, _finite_largest(got, expected, wrong), sample, index,
        counts=by.sum(0, dtype=np.int64).reshape(shape), by_sample=by.sum(1, dtype=np.int64),
    )  # fmt: skip


def one_sample(shape: tuple[int, ...], samples: int) -> tuple[int, ...]:
    """The shape of one of the samples stacked along dimension 0."""
    return shape if samples == 1 or not shape else (shape[0] // samples, *shape[1:])
