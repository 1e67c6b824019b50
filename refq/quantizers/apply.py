"""Codes of real values, and values of codes, under any quantizer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import integer, integer_array
from refq.quantizers.buckets import bucket_codes, buckets_of
from refq.quantizers.quantizer import Quantizer

FEW_CUTS = 16
"""Up to here every cut is compared, which vectorizes; beyond, a table of buckets decides, or halving."""


def real_array(function: str, name: str, values: Any) -> NDArray[Any]:
    """float32 or float64 in C order; float16 is widened; integers and all else are refused; so is NaN, at its place."""
    array = np.asarray(values)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(f"{function}: {name} has dtype {array.dtype}; pass float16, float32 or float64")
    dtype = np.float64 if array.dtype.itemsize == 8 else np.float32
    array = np.ascontiguousarray(array, dtype).reshape(array.shape)
    if array.size and np.isnan(array.min()):
        place = np.unravel_index(int(np.argmax(np.isnan(array))), array.shape)
        raise ValueError(f"{function}: {name}{[int(i) for i in place]}=nan is no number; remove or replace it")
    return array


def finite_array(function: str, name: str, values: Any) -> NDArray[Any]:
    """The same, not empty and without infinities: what a fit may look at."""
    array = real_array(function, name, values)
    if not array.size:
        raise ValueError(f"{function}: {name} has shape {array.shape}, no values; pass at least one")
    if np.isinf(array.min()) or np.isinf(array.max()):
        place = np.unravel_index(int(np.argmax(np.isinf(array))), array.shape)
        at = [int(i) for i in place]
        raise ValueError(f"{function}: {name}{at}={array[place]} is infinite; clip it first")
    return array


@njit(nogil=True)
def _few(x, cuts, lowest, spacing, out):
    """Every cut compared; x, out (inner,), cuts (codes - 1,)."""
    for i in range(x.size):
        out[i] = lowest
    for cut in cuts:
        for i in range(x.size):
            out[i] += spacing if x[i] >= cut else 0


@njit(nogil=True)
def _many(x, cuts, lowest, spacing, out):
    """The number of cuts <= x by halving: cuts[low - 1] <= x < cuts[high]."""
    for i in range(x.size):
        low, high = 0, cuts.size
        while low < high:
            middle = (low + high) >> 1
            if x[i] >= cuts[middle]:
                low = middle + 1
            else:
                high = middle
        out[i] = lowest + spacing * low


BLOCK = 4096


@njit(nogil=True)
def _codes(x, cuts, lowest, spacing, inner, out):
    """x, out flat; channel (i // inner) % channels; blocks that stay in the first cache while the cuts run by."""
    channels = cuts.shape[0]
    reach = min(inner, BLOCK)
    counts = np.empty(reach, np.int32)
    for start in range(0, x.size, inner):
        row = cuts[(start // inner) % channels]
        for a in range(start, start + inner, reach):
            b = min(a + reach, start + inner)
            part = counts[: b - a]
            if row.size <= FEW_CUTS:
                _few(x[a:b], row, lowest, spacing, part)
            else:
                _many(x[a:b], row, lowest, spacing, part)
            for i in range(b - a):
                out[a + i] = part[i]


def _upward(cuts: NDArray[np.float64], dtype: Any) -> NDArray[Any]:
    """The smallest numbers of the dtype that are at least the cuts: comparisons with them decide alike."""
    with np.errstate(over="ignore"):
        near = cuts.astype(dtype)
        return np.where(near < cuts, np.nextafter(near, dtype.type(np.inf)), near)


def neighbours(function: str, shape: tuple[int, ...], quantizer: Quantizer) -> int:
    """How many elements in a row share a channel; checks the channels."""
    if quantizer.axis is None:
        return max(int(np.prod(shape)), 1)
    axis, channels = quantizer.axis, len(quantizer.step)
    if not -len(shape) <= axis < len(shape) or shape[axis] != channels:
        raise ValueError(f"{function}: shape {shape} has not {channels} channels on axis {axis}")
    return max(int(np.prod(shape[axis % len(shape) + 1 :])), 1)


def channel_rows(function: str, values: NDArray[Any], axis: int | None, what: str = "values") -> NDArray[Any]:
    """(channels, values of one channel), C-contiguous; one row for axis None. ValueError for an axis not there."""
    if axis is None:
        return values.reshape(1, -1)
    if not values.ndim:
        raise ValueError(f"{function}: axis={axis} of {what} without axes; pass axis=None")
    axis = integer(function, "axis", axis, -values.ndim, values.ndim - 1)
    return np.ascontiguousarray(np.moveaxis(values, axis, 0)).reshape(values.shape[axis], -1)


def quantize(values: Any, quantizer: Quantizer) -> NDArray[Any]:
    """The codes of real values, of the shape of `values`, in `quantizer.dtype`.

    values: float16, float32 or float64. Infinities get the end codes. TypeError for other dtypes, ValueError for NaN
    (with the first place) and for channels that do not match. Every decision is exact.
    """
    x = real_array("quantize", "values", values)
    inner, out = neighbours("quantize", x.shape, quantizer), np.empty(x.shape, quantizer.dtype)
    if x.size:
        cuts = _upward(quantizer.cuts, x.dtype)
        many = cuts.shape[1] > FEW_CUTS
        tables = buckets_of(cuts, quantizer.lowest, quantizer.spacing, x.size) if many else None
        if tables is None:
            _codes(x.reshape(-1), cuts, quantizer.lowest, quantizer.spacing, inner, out.reshape(-1))
        else:
            bucket_codes(x.reshape(-1), *tables, inner, out.reshape(-1))
    return out


def _legal(array: NDArray[Any], quantizer: Quantizer) -> None:
    """Every element a code; the error names the first that is not."""
    low, high, spacing = quantizer.lowest, quantizer.highest, quantizer.spacing
    inside = not array.size or (low <= int(array.min()) and int(array.max()) <= high)
    if inside and (spacing == 1 or bool((array & 1).all())):
        return
    wrong = (array < low) | (array > high) | ((array & (spacing - 1)) != (low & (spacing - 1)))
    place = np.unravel_index(int(np.argmax(wrong)), array.shape)
    raise ValueError(
        f"dequantize: codes{[int(i) for i in place]}={array[place]} is no code of {low}..{high} by {spacing}"
    )


def dequantize(codes: Any, quantizer: Quantizer) -> NDArray[np.float64]:
    """(code - zero_point) * step, one float64 product each.

    codes: integers lowest..highest, ValueError for others.
    """
    array = integer_array("dequantize", "codes", codes)
    neighbours("dequantize", array.shape, quantizer)
    _legal(array, quantizer)
    shape = [1] * array.ndim
    if quantizer.axis is not None:
        shape[quantizer.axis] = len(quantizer.step)
    zero, step = quantizer.zero_point.reshape(shape), quantizer.step.reshape(shape)
    # exact: codes have 17 bits at most; an array also without axes
    result: NDArray[np.float64] = np.asarray(np.subtract(array, zero, dtype=np.float64))
    return np.multiply(result, step, out=result)


def thresholds(quantizer: Quantizer) -> NDArray[np.float64]:
    """The staircase: for each channel and each code but the lowest the smallest float64 that gets it."""
    return quantizer.cuts.copy()
