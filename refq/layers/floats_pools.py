"""Float32 averages in named orders of summation, and maxima."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.layers.floats_conv import Pair, Window
from refq.layers.floats_exact import exact_means, finite
from refq.layers.floats_reduce import reduced_sums
from refq.layers.floats_sums import narrow_floats


def mean_rows(values: NDArray[Any], counts: NDArray[np.int64], rule: str) -> NDArray[Any]:
    """Sum of each row of float32 (rows, depth) over its count, (rows,); 0 where the count is 0.

    "float32_sequential": float32 sums in order, one division. "float32_reciprocal": times float32(1 / count) instead.
    "mlas_lanes4": four lanes, (0 + 2) + (1 + 3), then what is left in order. "float64": all in float64, rounded once.
    "exact": rounded once.

    >>> mean_rows(np.array([[1, 2, 4]], np.float32), np.array([3]), "exact")
    array([2.3333333], dtype=float32)
    """
    safe = np.maximum(counts, 1)
    if rule == "exact":
        finite("mean", x=values)
        return exact_means(np.ascontiguousarray(values), np.ascontiguousarray(safe))
    with np.errstate(all="ignore"):
        if rule == "float64":
            return narrow_floats(ordered_sum(values.astype(np.float64)) / safe)
        total = _lanes(values) if rule == "mlas_lanes4" else ordered_sum(values)
        if rule == "float32_reciprocal":
            product: NDArray[Any] = total * (np.float32(1) / safe.astype(np.float32))
            return product
        quotient: NDArray[Any] = total / safe.astype(np.float32)
        return quotient


def ordered_sum(values: NDArray[Any]) -> NDArray[Any]:
    """The sum over the last dimension, in order, each sum rounded."""
    total = np.zeros(values.shape[:-1], values.dtype)
    for k in range(values.shape[-1]):
        total = total + values[..., k]
    return total


def _lanes(values: NDArray[Any]) -> NDArray[Any]:
    whole = values.shape[1] // 4 * 4
    lanes = ordered_sum(np.moveaxis(values[:, :whole].reshape(values.shape[0], -1, 4), 1, 2))
    total: NDArray[Any] = (lanes[:, 0] + lanes[:, 2]) + (lanes[:, 1] + lanes[:, 3])
    for k in range(whole, values.shape[1]):
        total = total + values[:, k]
    return total


def window_values(x: NDArray[Any], kernel: Pair, window: Window, fill: float) -> NDArray[Any]:
    """(images, channels, height, width) -> (images, channels, rows, columns, kernel rows, kernel columns)."""
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=np.float32(fill))
    rows, columns = window.places((x.shape[2], x.shape[3]), kernel)
    found = np.empty((*x.shape[:2], rows, columns, *kernel), np.float32)
    for i, j in np.ndindex(kernel):
        top, left = i * window.dilation[0], j * window.dilation[1]
        rows_read = slice(top, top + (rows - 1) * window.stride[0] + 1, window.stride[0])
        columns_read = slice(left, left + (columns - 1) * window.stride[1] + 1, window.stride[1])
        found[..., i, j] = padded[:, :, rows_read, columns_read]
    return found


def window_counts(image: Pair, kernel: Pair, window: Window) -> NDArray[np.int64]:
    """How many values of the image each window holds, (rows, columns)."""
    held = []
    for size, k, stride, dilation, pad, places in zip(
        image, kernel, window.stride, window.dilation, window.padding, window.places(image, kernel), strict=True
    ):
        reads = np.arange(places)[:, None] * stride - pad[0] + np.arange(k) * dilation
        held.append(((reads >= 0) & (reads < size)).sum(1))
    counts: NDArray[np.int64] = np.multiply.outer(*held)
    return counts


def float_average_pool(
    x: NDArray[Any], kernel: Pair, window: Window, rule: str, count_include_pad: bool = False
) -> NDArray[Any]:
    """Averages of windows of float32 (images, channels, height, width); kernel rows first, then columns.

    rule: as `mean_rows`, or "mlas_rows_first": each column is summed over the kernel's rows, then the columns; or
    "numpy": np.average of each window, as the ONNX reference evaluator takes it.
    """
    if rule == "numpy":
        return _numpy_windows(window_values(x, kernel, window, 0 if count_include_pad else np.nan))
    found = window_values(x, kernel, window, 0)
    counts = np.full(found.shape[2:4], kernel[0] * kernel[1], np.int64)
    if not count_include_pad:
        counts = window_counts((x.shape[2], x.shape[3]), kernel, window)
    flat = np.broadcast_to(counts, found.shape[:4]).reshape(-1)
    if rule == "mlas_rows_first":
        with np.errstate(all="ignore"):
            found, rule = ordered_sum(np.swapaxes(found, -1, -2)), "float32_sequential"
    return mean_rows(found.reshape(flat.size, -1), flat, rule).reshape(*x.shape[:2], *counts.shape)


def _numpy_windows(found: NDArray[Any]) -> NDArray[Any]:
    rows = found.reshape(-1, found.shape[4] * found.shape[5])
    held = [row[~np.isnan(row)] for row in rows]
    with np.errstate(all="ignore"):
        means = [np.average(values) if values.size else np.float32(np.nan) for values in held]
    return np.array(means, np.float32).reshape(found.shape[:4])


def float_global_average_pool(x: NDArray[Any], rule: str) -> NDArray[Any]:
    """The average of each image and channel of float32 (images, channels, ...), its place kept as dimensions of 1.

    rule: as `mean_rows`, or "numpy": np.average.
    """
    if rule == "numpy":
        with np.errstate(all="ignore"):
            return np.asarray(np.average(x, axis=tuple(range(2, x.ndim))), np.float32).reshape(
                *x.shape[:2], *[1] * (x.ndim - 2)
            )
    rows = x.reshape(x.shape[0] * x.shape[1], -1)
    counts = np.full(rows.shape[0], rows.shape[1], np.int64)
    return mean_rows(rows, counts, rule).reshape(*x.shape[:2], *[1] * (x.ndim - 2))


def float_max_pool(x: NDArray[Any], kernel: Pair, window: Window) -> NDArray[Any]:
    """Maxima of windows of float32 (images, channels, height, width); padding is never the maximum of a window."""
    largest: NDArray[Any] = window_values(x, kernel, window, -np.inf).max((-1, -2))
    return np.where(np.isneginf(largest), np.finfo(np.float32).min, largest)


def float_mean(x: NDArray[Any], axes: tuple[int, ...], keep_dims: bool, rule: str) -> NDArray[Any]:
    """The mean over axes of float32, in the order of the axes.

    rule: as `mean_rows`, "numpy": np.mean, or "onnxruntime_reduce": as ONNX Runtime's ReduceMean on x86-64.
    """
    if rule == "numpy":
        with np.errstate(all="ignore"):
            return np.asarray(np.mean(x, axis=tuple(axes), keepdims=keep_dims, dtype=np.float32), np.float32)
    last = tuple(sorted(axis % x.ndim for axis in axes))
    if rule == "onnxruntime_reduce":
        with np.errstate(all="ignore"):
            quotients = reduced_sums(x, last) / np.float32(prod(x.shape[axis] for axis in last))
        return np.expand_dims(quotients, last) if keep_dims else quotients
    kept = [axis for axis in range(x.ndim) if axis not in last]
    moved = np.transpose(x, (*kept, *last))
    shape = tuple(x.shape[axis] for axis in kept)
    depth = int(np.prod([x.shape[axis] for axis in last], dtype=np.int64))
    rows = moved.reshape(int(np.prod(shape, dtype=np.int64)), depth)
    means = mean_rows(rows, np.full(rows.shape[0], depth, np.int64), rule).reshape(shape)
    return np.expand_dims(means, last) if keep_dims else means
