"""Batch norm over arrays in integers: lines and thresholds, one form a channel."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import in_range, integer_array
from refq.batchnorm.layout import checked_forms, grid, smallest_dtype
from refq.batchnorm.words import signed_width
from refq.channels import ACC_LIMIT, Crossing, FixedPoint, ThresholdForm


@njit
def _shifted(total, shift):
    """floor(total / 2**shift); shift 0..63."""
    return total >> shift


@njit
def _divided(total, divisor):
    """floor(total / divisor); divisor >= 1."""
    return total // divisor


@njit
def _planes(down, acc, multiplier, bias, low, high, by, out):
    """acc, out: (outer, channels, inner). |multiplier * x| + |bias| < 2**63."""
    for o in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            source, target = acc[o, c], out[o, c]
            a, b, least, most, d = multiplier[c], bias[c], low[c], high[c], by[c]
            for i in range(source.size):
                target[i] = min(max(down(a * np.int64(source[i]) + b, d), least), most)


@njit
def _rows(down, acc, multiplier, bias, low, high, by, out):
    """acc, out: (outer, channels): the channels themselves are the vector."""
    for o in range(acc.shape[0]):
        source, target = acc[o], out[o]
        for c in range(source.size):
            total = multiplier[c] * np.int64(source[c]) + bias[c]
            target[c] = min(max(down(total, by[c]), low[c]), high[c])


def _reach(array: NDArray[Any], allowed: int) -> int:
    """A bound of all magnitudes: that of the dtype if allowed, else, after a look, the largest."""
    limits = np.iinfo(array.dtype)
    by_dtype = max(-int(limits.min), int(limits.max))
    if by_dtype <= allowed or not array.size:
        return by_dtype if array.size else 0
    return max(-int(array.min()), int(array.max()))


def _line_columns(forms: Sequence[FixedPoint], array: NDArray[Any]) -> tuple[Any, ...]:
    """The kernel's down function and its columns; refused where multiplier * acc + bias could leave 64 bits."""
    divisors = [form.divisor for form in forms]
    reach = _reach(array, min((ACC_LIMIT - abs(form.bias)) // max(abs(form.multiplier), 1) for form in forms))
    shifts = all(divisor & (divisor - 1) == 0 for divisor in divisors)
    largest = [max(abs(form.multiplier) * reach + abs(form.bias), form.divisor - shifts) for form in forms]
    if max(largest) > ACC_LIMIT:
        c = next(c for c, total in enumerate(largest) if total > ACC_LIMIT)
        raise ValueError(
            f"fixed_batchnorm: forms[{c}] needs {signed_width(largest[c])} bits for multiplier * acc + bias, or for "
            f"its divisor, with |acc| up to {reach}; 64 are there, narrow acc or fit a smaller range"
        )
    if shifts:
        down, by = _shifted, [divisor.bit_length() - 1 for divisor in divisors]
    else:
        down, by = _divided, divisors
    # 32-bit multipliers let the compiler take the 32 x 32 bit product
    small = all(abs(form.multiplier) < 1 << 31 for form in forms)
    multiplier = np.array([form.multiplier for form in forms], np.int32 if small else np.int64)
    rest = np.array([(f.bias, f.qmin, f.qmax, d) for f, d in zip(forms, by, strict=True)], np.int64).T
    return down, multiplier, *np.ascontiguousarray(rest)


def fixed_batchnorm(acc: Any, forms: Sequence[FixedPoint], axis: int = -1) -> NDArray[Any]:
    """clamp(floor((multiplier * acc + bias) / divisor)), each channel with its own line.

    acc: any shape, integers, channels along `axis`. forms: one per channel, or one for the whole array.
    Returns acc's shape in the smallest dtype that holds every qmin..qmax; equals
    `refq.spec.batchnorm.fixed_point` element by element. Raises TypeError for kinds, ValueError where the
    channels do not match or a sum could leave 64 bits, with the width it needs.

    >>> fixed_batchnorm([12, 13, 60], [FixedPoint(19, -177, 64, 0, 15)])
    array([ 0,  1, 15], dtype=uint8)
    """
    array = integer_array("fixed_batchnorm", "acc", acc)
    checked_forms("fixed_batchnorm", forms, FixedPoint)
    down, *columns = _line_columns(forms, array)
    cells = grid("fixed_batchnorm", array, axis, len(forms))
    out = np.empty(cells.shape, smallest_dtype((form.qmin, form.qmax) for form in forms))
    (_rows if cells.ndim == 2 else _planes)(down, cells, *columns, out)
    return out.reshape(array.shape)


def threshold_batchnorm(acc: Any, forms: Sequence[ThresholdForm], axis: int = -1) -> NDArray[Any]:
    """qmin + the number of thresholds crossed, each channel with its own thresholds.

    acc: any shape, integers in the int64 range, channels along `axis`. forms: one per channel, or one for the
    whole array; thresholds must not fall. Returns acc's shape in the smallest dtype that holds all codes;
    equals `refq.spec.batchnorm.threshold_batchnorm`. Blott et al. 2018 (FINN-R).

    >>> threshold_batchnorm([1, 2, 9], [ThresholdForm((2, 4, 9), 0)])
    array([0, 1, 3], dtype=uint8)
    """
    array = integer_array("threshold_batchnorm", "acc", acc)
    in_range("threshold_batchnorm", "acc", array, -ACC_LIMIT - 1, ACC_LIMIT)
    checked_forms("threshold_batchnorm", forms, ThresholdForm)
    tables = [_threshold_table(form) for form in forms]
    cells = grid("threshold_batchnorm", array, axis, len(forms))
    out = np.empty(cells.shape, smallest_dtype((f.qmin, f.qmin + len(f.thresholds)) for f in forms))
    for c, (form, (below, table)) in enumerate(zip(forms, tables, strict=True)):
        # x >= t counts t <= x, x > t counts t < x; -x >= t leaves out -t < x, -x > t leaves out -t <= x
        side: Any = "right" if (form.crossing == Crossing.INCLUSIVE) == (form.sign > 0) else "left"
        passed = below + np.searchsorted(table, cells[:, c].astype(np.int64, copy=False), side)
        out[:, c] = form.qmin + (passed if form.sign > 0 else len(form.thresholds) - passed)
    return out.reshape(array.shape)


def _threshold_table(form: ThresholdForm) -> tuple[int, NDArray[np.int64]]:
    """How many thresholds of x lie below 64 bits, and those inside, rising."""
    of_x = form.thresholds if form.sign > 0 else [-t for t in reversed(form.thresholds)]
    below, upto = bisect_left(of_x, -ACC_LIMIT - 1), bisect_right(of_x, ACC_LIMIT)
    return below, np.array(of_x[below:upto], np.int64)
