"""A checked plan on an array of accumulators: its channels along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of, integer
from refq.dispatch import run_plan
from refq.formats import IntFormat
from refq.plans import Plan


def _channels(function: str, shape: tuple[int, ...], count: int, axis: int | None) -> tuple[int, int, int]:
    """(outer, channels, inner) of an array whose `axis` holds the channels; one channel spans everything."""
    size = int(np.prod(shape))
    if axis is not None and shape:
        integer(function, "axis", axis, -len(shape), len(shape) - 1)
    if count == 1:
        return 1, 1, size
    axis = -1 if axis is None else axis
    if not shape:
        raise ValueError(f"{function}: {count} channels on a scalar; pass an array with a channel axis")
    axis %= len(shape)
    if shape[axis] != count:
        raise ValueError(f"{function}: axis={axis} has {shape[axis]} channels, the parameters have {count}")
    return int(np.prod(shape[:axis])), count, int(np.prod(shape[axis + 1 :]))


def run_prepared(function: str, prepared: Plan, x: NDArray[Any], axis: int | None, fmt: IntFormat) -> NDArray[Any]:
    """Codes of checked accumulators under a plan; channels along `axis`."""
    shape = _channels(function, x.shape, prepared.table.shape[1], axis)
    out = np.empty(shape, dtype_of(fmt.bits, fmt.signed))
    run_plan(prepared, np.ascontiguousarray(x).reshape(shape), out)
    return out.reshape(x.shape)
