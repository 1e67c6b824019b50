"""Arrays that begin on a boundary of 64 bytes, so that no vector of 512 bits lies across two lines of a cache."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array of the shape with no values yet, C-contiguous."""
    size = prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.__array_interface__["data"][0] % LINE
    array: NDArray[Any] = raw[start : start + size].view(dtype).reshape(shape)
    return array


def empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """The same from 512 KiB on; below, asking for the address costs more than it saves."""
    small = prod(shape) * np.dtype(dtype).itemsize <= 1 << 19
    return np.empty(shape, dtype) if small else aligned(shape, dtype)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to: Numba compiles a kernel once for such arrays, whatever the caller's are."""
    view = array.view()
    view.setflags(write=False)
    return view
