"""Arrays with a channel axis as two or three dimensions, how far they reach, and the dtype that holds all codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of, integer


def checked_forms(function: str, forms: Any, kind: type) -> None:
    """TypeError or ValueError unless forms is a sequence of at least one form of this kind."""
    if not isinstance(forms, Sequence):
        raise TypeError(f"{function}: forms={forms!r} is not a sequence; pass a list of {kind.__name__}, one a channel")
    if not forms:
        raise ValueError(f"{function}: forms={forms!r} is empty; pass one {kind.__name__}, or one a channel")
    for c, form in enumerate(forms):
        if not isinstance(form, kind):
            raise TypeError(f"{function}: forms[{c}]={form!r} is not a {kind.__name__}")


def planes(function: str, array: NDArray[Any], axis: int) -> NDArray[Any]:
    """(rows, channels) where the channels along `axis` are last, else (outer, channels, inner); contiguous."""
    if not array.ndim:
        raise ValueError(f"{function}: acc is a scalar; pass an array with a channel axis")
    at = integer(function, "axis", axis, -array.ndim, array.ndim - 1) % array.ndim
    outer, inner = prod(array.shape[:at]), prod(array.shape[at + 1 :])
    shape = (outer, array.shape[at]) if inner == 1 else (outer, array.shape[at], inner)
    return np.ascontiguousarray(array).reshape(shape)


def grid(function: str, array: NDArray[Any], axis: int, forms: int) -> NDArray[Any]:
    """`planes` with as many channels as there are forms; one form spans the whole array."""
    if forms == 1:
        if array.ndim:
            integer(function, "axis", axis, -array.ndim, array.ndim - 1)
        return np.ascontiguousarray(array).reshape(1, 1, array.size)
    cells = planes(function, array, axis)
    if cells.shape[1] != forms:
        raise ValueError(f"{function}: axis={axis} has {cells.shape[1]} channels, forms has {forms}; pass one of each")
    return cells


def extent(array: NDArray[Any]) -> int:
    """A bound of all magnitudes: 2**31 where the dtype lies inside int32, without a look; else the largest."""
    if np.iinfo(array.dtype).max < 1 << 31:
        return 1 << 31
    return max(-int(array.min()), int(array.max())) if array.size else 0


def smallest_dtype(ranges: Iterable[tuple[int, int]]) -> np.dtype[Any]:
    """The smallest integer dtype that holds every qmin..qmax; unsigned where no code is negative.

    >>> smallest_dtype([(0, 255)]), smallest_dtype([(0, 15), (-1, 130)])
    (dtype('uint8'), dtype('int16'))
    """
    lows, highs = zip(*ranges, strict=True)
    low, high = int(min(lows)), int(max(highs))
    return dtype_of(max(low, ~low, high).bit_length() + (low < 0), low < 0)
