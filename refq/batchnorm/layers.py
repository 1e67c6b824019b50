"""A layer's batch norm from arrays: one value or one per channel, and the reachable accumulators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer, integer_array
from refq.batchnorm.layout import checked_forms
from refq.channels import ACC_LIMIT, INTEGERS, REALS, Channel, FixedPoint

OPTIONAL = ("zero_point",)
NEEDED = REALS + tuple(name for name in INTEGERS if name not in OPTIONAL)
MAX_CHANNELS = 1 << 20


def _column(name: str, value: Any) -> list[Any]:
    """The values of one array as Python numbers: a list of 1 or of all channels."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"channels_of: {name} is no array: {error}") from None
    legal = "iu" if name in INTEGERS else "iuf"
    fractions = legal == "iuf" and array.dtype == object and all(isinstance(x, Fraction | int) for x in array.flat)
    if array.dtype.kind not in legal and not fractions:
        kinds = "integers of at most 64 bits" if legal == "iu" else "floats or integers"
        raise TypeError(f"channels_of: {name} has dtype {array.dtype}; pass {kinds}")
    if array.ndim > 1:
        raise ValueError(f"channels_of: {name} has shape {array.shape}; pass one value, or one per channel")
    if not array.size or array.size > MAX_CHANNELS:
        raise ValueError(f"channels_of: {name} has {array.size} values; pass 1..{MAX_CHANNELS}")
    # longdouble has no exact Python twin but its own ratio, which Channel takes
    return list(array.reshape(-1)) if array.dtype.kind in "fO" else array.reshape(-1).tolist()


def channels_of(arrays: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The channels of a layer, each array of shape () or (1,) for all of them or (channels,).

    arrays: gamma beta mean variance epsilon acc_scale out_scale, floats or integers taken as the exact rationals
    they are, Fractions too, and acc_min acc_max qmin qmax, integers; zero_point may be left out. Raises TypeError
    for dtypes and ValueError for missing or unknown names, shapes, and any value `Channel` refuses, with its place.

    >>> layer = dict(gamma=[1.0, -2.0], beta=0.5, mean=0.0, variance=1.0, epsilon=0.0, acc_scale=1.0, out_scale=0.25)
    >>> [str(c.gamma) for c in channels_of(layer | dict(acc_min=-8, acc_max=7, qmin=0, qmax=15))]
    ['1', '-2']
    """
    missing = [name for name in NEEDED if name not in arrays]
    unknown = [name for name in arrays if name not in NEEDED + OPTIONAL]
    if missing or unknown:
        what = f"array {missing[0]} is missing" if missing else f"array {unknown[0]} is unknown"
        raise ValueError(f"channels_of: {what}; pass {' '.join(NEEDED)} and, if any, zero_point")
    columns = {name: _column(name, value) for name, value in arrays.items()}
    longest = max(columns, key=lambda name: len(columns[name]))
    count = len(columns[longest])
    for name, column in columns.items():
        if len(column) not in (1, count):
            raise ValueError(f"channels_of: {name} has {len(column)} values, {longest} {count}; pass 1 or as many")
    rows = zip(*(column * (count if len(column) == 1 else 1) for column in columns.values()), strict=True)
    return tuple(_channel(i, dict(zip(columns, row, strict=True))) for i, row in enumerate(rows))


def _channel(place: int, values: dict[str, Any]) -> Channel:
    try:
        return Channel(**values)
    except ValueError as error:
        raise ValueError(f"channels_of: channel {place}: {str(error).removeprefix('Channel: ')}") from None


def columns_of(forms: Sequence[FixedPoint]) -> dict[str, NDArray[np.int64]]:
    """The integers of lines as arrays (channels,) int64: multiplier bias divisor qmin qmax, as hardware stores them.

    Raises ValueError where one leaves 64 bits.

    >>> {name: column.tolist() for name, column in columns_of([FixedPoint(19, -177, 64, 0, 15)]).items()}
    {'multiplier': [19], 'bias': [-177], 'divisor': [64], 'qmin': [0], 'qmax': [15]}
    """
    checked_forms("columns_of", forms, FixedPoint)
    for place, form in enumerate(forms):
        for name, value in vars(form).items():
            if abs(value) > ACC_LIMIT:
                raise ValueError(f"columns_of: {name}={value} of channel {place} leaves 64 bits")
    return {
        field.name: np.array([getattr(form, field.name) for form in forms], np.int64) for field in fields(FixedPoint)
    }


def accumulator_range(
    weights: Any, input_min: int, input_max: int, axis: int = -1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the greatest accumulator each output channel can reach, both attained: (acc_min, acc_max).

    weights: integers of any shape, output channels along `axis`; every other axis is summed. Inputs run over all
    integers input_min..input_max, which must include 0 where the layer pads. int64 arrays (channels,).
    Raises ValueError where a sum could leave 64 bits.

    >>> [x.tolist() for x in accumulator_range([[1, -2], [3, 0]], 0, 15)]
    [[0, -30], [60, 0]]
    """
    array = integer_array("accumulator_range", "weights", weights)
    low = integer("accumulator_range", "input_min", input_min, -ACC_LIMIT, ACC_LIMIT)
    high = integer("accumulator_range", "input_max", input_max, low, ACC_LIMIT)
    if not array.ndim:
        raise ValueError("accumulator_range: weights has no axis of output channels; pass at least one dimension")
    at = integer("accumulator_range", "axis", axis, -array.ndim, array.ndim - 1)
    rows = np.moveaxis(array, at, 0).reshape(array.shape[at], array.size // max(array.shape[at], 1))
    largest = max((abs(int(rows.min(initial=0))), int(rows.max(initial=0))))
    if largest * max(abs(low), abs(high)) * max(rows.shape[1], 1) > ACC_LIMIT:
        raise ValueError(f"accumulator_range: weights up to {largest} times inputs {low}..{high} could leave 64 bits")
    wide = rows.astype(np.int64)
    ends = wide * low, wide * high
    return np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)
