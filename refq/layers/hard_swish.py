"""HARD_SWISH of 8-bit codes in 16-bit fixed point: x * relu6(x + 3) / 6. Source: TFLite reference/hard_swish.h."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.fixedpoint import derive
from refq.layers.lookup import Grids
from refq.layers.sigmoid_fixed import divide_by_power, product
from refq.rules import FixedScale

Codes = NDArray[np.int64]


def _saturated16(x: Any) -> Codes:
    result: Codes = np.clip(x, -(1 << 15), (1 << 15) - 1)
    return result


def _reduced(scale: np.float32) -> FixedScale:
    """15-bit multiplier and right shift of a float32 scale."""
    return derive(scale, "reduced15")


def multipliers(grids: Grids) -> tuple[FixedScale, FixedScale]:
    """Of the output and of the ramp: the input, times 2**7, in steps of the output and of 3 / 2**15."""
    fine = np.float32(1 / 128) * grids.scale
    ramp = fine / np.float32(3.0 / 32768.0)
    output = _reduced(fine / grids.out_scale)
    if output.shift < 15:
        raise ValueError(
            f"hard_swish: scale / out_scale={grids.scale / grids.out_scale} is above 128; TFLite refuses it"
        )
    return output, _reduced(ramp)


def _ramp(fine: Codes, fixed: FixedScale) -> Codes:
    """relu6(x + 3) / 6 in 2**15 steps: the value on the scale where 3 is 2**15, saturated, then moved to 0..1."""
    left = 15 - fixed.shift
    value = _saturated16(fine << (left - 1)) if left > 0 else fine
    value = product(value, fixed.multiplier, 16)
    value = _saturated16(value << 1) if left > 0 else divide_by_power(value, -left)
    return (value + (1 << 15)) >> 1


def hard_swish_fixed(codes: Codes, grids: Grids) -> Codes:
    """HARD_SWISH, int8 or uint8 codes (int64 array) to codes, int64.

    >>> from refq.formats import INT8
    >>> hard_swish_fixed(np.array([-60, -10, 0, 10, 60]), Grids(np.float32(0.1), 0, INT8, np.float32(0.1), 0, INT8))
    array([ 0, -3,  0,  7, 60])
    """
    output, ramp = multipliers(grids)
    fine = (codes - grids.zero_point) << 7
    if grids.fmt.bits > 8:
        raise ValueError(f"hard_swish_fixed: fmt={grids.fmt.name} is wider than 8 bits; TFLite has int8 and uint8")
    unshifted = product(fine, output.multiplier, 16)
    high = _ramp(fine, ramp) * unshifted
    toward_zero = np.sign(high) * (np.abs(high) >> 15)
    shifted = divide_by_power(toward_zero, output.shift - 15) + grids.out_zero_point
    return np.clip(shifted, grids.out_fmt.qmin, grids.out_fmt.qmax)
