"""Arrays with a channel axis as (outer, channels, inner), and the dtype that holds all codes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of, integer


def planes(function: str, array: NDArray[Any], axis: int, count: int) -> NDArray[Any]:
    """The array as (outer, count, inner), its channels along `axis`; copied where it is not contiguous.

    One channel (count 1) spans the whole array.
    """
    if count == 1:
        return np.ascontiguousarray(array).reshape(1, 1, array.size)
    if not array.ndim:
        raise ValueError(f"{function}: acc is a scalar, forms has {count}; pass an array with a channel axis")
    at = integer(function, "axis", axis, -array.ndim, array.ndim - 1) % array.ndim
    if array.shape[at] != count:
        raise ValueError(f"{function}: axis={axis} has {array.shape[at]} channels, forms has {count}; pass one of each")
    return np.ascontiguousarray(array).reshape(prod(array.shape[:at]), count, prod(array.shape[at + 1 :]))


def smallest_dtype(ranges: Iterable[tuple[int, int]]) -> np.dtype[Any]:
    """The smallest integer dtype that holds every qmin..qmax; unsigned where no code is negative.

    >>> smallest_dtype([(0, 255)]), smallest_dtype([(0, 15), (-1, 130)])
    (dtype('uint8'), dtype('int16'))
    """
    lows, highs = zip(*ranges, strict=True)
    low, high = min(lows), max(highs)
    return dtype_of(max(~low if low < 0 else low, high, 0).bit_length() + (low < 0), low < 0)
