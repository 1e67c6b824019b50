"""One sample through an integer network, one number at a time. Python ints; standard library only.

A tensor is a nested list, [h][w][c] or [feature]. The steps are read by their field names (docs/networks.md), so that
any record with those fields will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refq.channels import FixedPoint, ShiftForm
from refq.spec import batchnorm
from refq.spec import conv as convolution
from refq.spec.products import dot


def nested(array: Any) -> Any:
    """An array as nested lists of Python ints; lists stay."""
    return array.tolist() if hasattr(array, "tolist") else array


def conv(step: Any, x: Any) -> Any:
    """sum over taps and channels of x * w, + bias; a tap outside of x adds 0."""
    weights = nested(step.weights)
    bias = [0] * len(weights) if step.bias is None else nested(step.bias)
    padding = ((step.padding,) * 2,) * 2 if isinstance(step.padding, int) else step.padding
    kernels, sizes = (len(weights[0]), len(weights[0][0])), (len(x), len(x[0]))
    height, width = (
        convolution.output_size(size, kernel, step.stride, 1, *around)
        for size, kernel, around in zip(sizes, kernels, padding, strict=True)
    )

    def at(row: int, column: int, o: int) -> int:
        place, stride = (0, row, column, o), (step.stride, step.stride)
        return convolution.conv([x], weights, place, stride=stride, padding=padding, dilation=(1, 1), bias=bias[o])

    return [[[at(row, column, o) for o in range(len(weights))] for column in range(width)] for row in range(height)]


def dense(step: Any, x: Any) -> Any:
    """sum of x * w, + bias, for each row of the weights."""
    rows = nested(step.weights)
    bias = [0] * len(rows) if step.bias is None else nested(step.bias)
    return [dot(x, row, bias=start) for row, start in zip(rows, bias, strict=True)]


def by_form(x: int, form: Any) -> int:
    """The code of one accumulator.

    >>> by_form(13, FixedPoint(19, -177, 64, 0, 15)), by_form(13, ShiftForm(3, 1, -7, 7))
    (1, 5)
    """
    if isinstance(form, FixedPoint):
        return batchnorm.fixed_point(x, form)
    if isinstance(form, ShiftForm):
        return batchnorm.shift_batchnorm(x, form)
    return batchnorm.threshold_batchnorm(x, form)


def requantize(step: Any, *operands: Any) -> Any:
    """The codes, channels last, of the sum of one or two tensors of accumulators."""
    if isinstance(operands[0][0], list):
        return [requantize(step, *rows) for rows in zip(*operands, strict=True)]
    return [by_form(sum(xs), form) for *xs, form in zip(*operands, step.forms, strict=True)]


def add(step: Any, x: Any, y: Any) -> Any:
    """clamp(x + y)."""
    if isinstance(x, list):
        return [add(step, a, b) for a, b in zip(x, y, strict=True)]
    return max(step.qmin, min(x + y, step.qmax))


def maxpool(step: Any, x: Any) -> Any:
    """The largest code of each whole square of pool x pool."""
    side: int = step.pool

    def largest(row: int, column: int, c: int) -> int:
        window = [x[row * side + i][column * side + j][c] for i in range(side) for j in range(side)]
        return int(max(window))

    rows, columns, channels = len(x) // side, len(x[0]) // side, len(x[0][0])
    return [[[largest(r, s, c) for c in range(channels)] for s in range(columns)] for r in range(rows)]


def flatten(step: Any, x: Any) -> Any:
    """Rows, then columns, then channels."""
    return [code for row in x for pixel in row for code in pixel]


def argmax(step: Any, x: Any) -> int:
    """The lowest index at which the largest value stands."""
    return max(range(len(x)), key=lambda i: (x[i], -i))


OPS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "dense": dense,
    "requantize": requantize,
    "add": add,
    "maxpool": maxpool,
    "flatten": flatten,
    "argmax": argmax,
}


def evaluate(network: Any, sample: Any) -> dict[str, Any]:
    """Every tensor of one sample by name, the sample [h][w][c] as "input".

    >>> from types import SimpleNamespace as Record
    >>> line = Record(name="line", op="flatten", inputs=("input",))
    >>> top = Record(name="top", op="argmax", inputs=("line",))
    >>> evaluate(Record(steps=(line, top)), [[[3, 7], [7, 1]]])["top"]
    1
    """
    tensors = {"input": nested(sample)}
    for step in network.steps:
        tensors[step.name] = OPS[step.op](step, *(tensors[name] for name in step.inputs))
    return tensors
