"""An array into the packing kernels: its lanes in memory order, along rows or columns, on one core or all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.products.packing import Lanes, pack_rows
from refq.products.packing_columns import pack_columns
from refq.products.threads import share


def words_for(depth: int) -> int:
    """Words of 64 bits that hold `depth` bits."""
    return -(-depth // 64)


def lanes_in_order(array: NDArray[Any]) -> NDArray[Any]:
    """`values` of the packing kernels: all values in C order, 1-D, unsigned, at least 64; a view where it can be."""
    values = np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}")
    if values.size < 64:
        values = np.concatenate([values, np.zeros(64 - values.size, values.dtype)])
    values.flags.writeable = False  # read-only and writeable arrays share one kernel
    return values


def fill_planes(array: NDArray[Any], lanes: Lanes, out: NDArray[np.uint64]) -> bool:
    """Planes of the array into out (bits, rows, words), on all cores if that pays; True if a value is illegal."""
    (_, rows, words), depth = out.shape, array.shape[-1]
    turned = array.ndim == 2 and array.flags.f_contiguous and min(rows, depth) > 1
    values = lanes_in_order(array.T if turned else array)
    illegal: list[bool] = []

    def by_rows(start: int, stop: int) -> None:
        illegal.append(pack_rows(values, depth, start, stop, lanes, out.reshape(-1, rows * words)))

    def by_columns(start: int, stop: int) -> None:
        illegal.append(pack_columns(values, depth, rows, 64 * start, min(64 * stop, rows), lanes, out))

    if out.size and turned:
        share(by_columns, words_for(rows), 3e-10 * array.size)
    elif out.size:
        share(by_rows, rows, 7e-11 * array.size)
    return any(illegal)
