"""float32 values as integers in the same order, so that a quantizer of reals is a staircase too.

key(x) is the number of float32 steps from 0 to x, negative below 0: -0.0 and 0.0 share key 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 0x7F7FFFFF


def from_keys(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    """The float32 of each key, |key| <= 0x7F7FFFFF (all finite values).

    >>> from_keys(np.array([0, 1, 0x3F800000, -0x3F800000])).tolist()
    [0.0, 1.401298464324817e-45, 1.0, -1.0]
    """
    bits = np.abs(keys) | np.where(keys < 0, 1 << 31, 0)
    return bits.astype(np.uint32).view(np.float32)


def to_keys(values: Any) -> NDArray[np.int64]:
    """The key of each float32.

    >>> to_keys(np.float32([-1.0, 1.0])).tolist()
    [-1065353216, 1065353216]
    """
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.int64)
    return np.where(bits >> 31, -(bits & 0x7FFFFFFF), bits)
