"""Codes of which whole vectors of sixteen, counted through a tensor, follow one rule and the rest another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES = 16
"""Values of one vector in LiteRT's transposed convolution of uint8 on x86 (optimized_ops.h, Quantize of uint8)."""

FLAT_VECTORS = "double_up+gemmlowp_double_flat/mixed_product/after"
"""Whole vectors round ties up, the values behind the last one away from zero; the channel plays no part."""

FLAT_RULES = ("double_up/mixed_product/after", "gemmlowp_double/mixed_product/after")
"""What the vectors of FLAT_VECTORS follow, and what the rest."""


def behind_vectors(size: int) -> NDArray[np.bool_]:
    """Which of `size` values lie behind the last whole vector.

    >>> behind_vectors(18).nonzero()[0]
    array([16, 17])
    """
    behind: NDArray[np.bool_] = np.arange(size) >= size // LANES * LANES
    return behind


def merged_flat(ahead: NDArray[Any], behind: NDArray[Any], size: int) -> NDArray[Any]:
    """Codes under the two rules -> codes of vector code that runs through `size` values at a time.

    ahead, behind: of one shape, any number of tensors of `size` values. ValueError if they are not whole tensors.

    >>> merged_flat(np.zeros((2, 17), np.int8), np.ones((2, 17), np.int8), 17)[:, 15:].tolist()
    [[0, 1], [0, 1]]
    """
    if size < 1 or ahead.size % size:
        raise ValueError(f"merged_flat: {ahead.shape} does not hold whole tensors of size={size} values")
    result = np.where(behind_vectors(size), behind.reshape(-1, size), ahead.reshape(-1, size))
    return result.reshape(ahead.shape)
