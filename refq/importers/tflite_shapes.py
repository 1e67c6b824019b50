"""Shapes that a file computes: SHAPE and what is cut, packed and joined from it, as constants.

Converters write them for models whose first dimension is open; at the declared size they are numbers of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.records import Tensor
from refq.importers import tflite_calls as calls
from refq.importers.limits import MOST_RANK
from refq.importers.tflite_calls import Call, operand, refuse
from refq.importers.tflite_slices import cuts_of

INTEGERS = ("int32", "int64")
MOST_VALUES = 1 << 8
"""Numbers that one such tensor holds."""


def _shape(call: Call) -> NDArray[Any]:
    calls.arity(call, 1, 1)
    return np.array(operand(call, 0).shape, np.int64)


def _values(call: Call) -> list[NDArray[Any]]:
    return [t.data for t in call.inputs if t is not None and t.data is not None]


def _cut(call: Call) -> NDArray[Any]:
    """STRIDED_SLICE; what is left has the declared shape."""
    calls.arity(call, 4, 4)
    x = _values(call)[0]
    # an end of -1 stands for the place before the first
    kept = (slice(c.begin, None if c.end < 0 else c.end, c.step) for c in cuts_of(call, x.shape))
    return x[tuple(kept)].reshape(call.outputs[0].shape)


def _packed(call: Call) -> NDArray[Any]:
    return np.stack(_values(call), int(call.options["Axis"]))


def _joined(call: Call) -> NDArray[Any]:
    return np.concatenate(_values(call), int(call.options["Axis"]))


FOLDS: Mapping[str, Callable[[Call], NDArray[Any]]] = {
    "SHAPE": _shape,
    "STRIDED_SLICE": _cut,
    "PACK": _packed,
    "CONCATENATION": _joined,
}
"""Operators that are computed while a file is read, where they compute integers from constants."""


def _constant(call: Call) -> bool:
    """Whether an operator computes a few integers from shapes and constants alone."""
    if call.code not in FOLDS or len(call.outputs) != 1 or call.outputs[0].dtype not in INTEGERS:
        return False
    if call.code == "SHAPE":
        return True
    return bool(call.inputs) and all(
        t is not None and t.data is not None and t.dtype in INTEGERS and t.data.size <= MOST_VALUES for t in call.inputs
    )


def folded(call: Call) -> Tensor | None:
    """The output of such an operator as a constant; None for every other operator.

    ModelRejectedError where the file declares another shape or the numbers do not fit.
    """
    if not _constant(call):
        return None
    y = call.outputs[0]
    if y.data is not None:
        raise refuse(call, f"writes {y.name}, which is a constant")
    if len(y.shape) > MOST_RANK or prod(y.shape) > MOST_VALUES:
        raise refuse(call, f"computes a shape of {y.shape} numbers; at most {MOST_VALUES} are")
    try:
        value = FOLDS[call.code](call).astype(y.dtype)
    except (ValueError, IndexError, KeyError) as error:
        raise refuse(call, f"computes a shape that is none: {error}") from None
    if value.shape != y.shape:
        raise refuse(call, f"computes a shape of {value.shape} numbers, the file declares {y.shape}")
    return replace(y, data=value)
