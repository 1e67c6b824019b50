"""An integer network as data: steps in order, each naming the tensors it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.channels import FixedPoint, ShiftForm, ThresholdForm

Form = FixedPoint | ShiftForm | ThresholdForm
Padding = int | tuple[tuple[int, int], tuple[int, int]]

INPUT = "input"
"""The name by which steps read the network's input."""

USED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "conv": frozenset(("weights", "bias", "input_format", "weight_format", "stride", "padding")),
        "dense": frozenset(("weights", "bias", "input_format", "weight_format")),
        "requantize": frozenset(("forms",)),
        "add": frozenset(("qmin", "qmax")),
        "maxpool": frozenset(("pool",)),
        "flatten": frozenset(),
        "argmax": frozenset(),
    }
)
"""Every op and the fields of `Step` it looks at; all others keep their defaults."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operation; its result is the tensor `name`, (N, H, W, C) or (N, features).

    op: `conv`, `dense`: raw int64 accumulators, sum of weights * codes + bias. `requantize`: codes by `forms`; where
    they are shift forms, a second input of raw accumulators is added before the shift. `add`: codes of two inputs
    added and clamped to qmin..qmax. `maxpool`: the largest of pool x pool codes, steps of pool, a rest is left out.
    `flatten`: (N, H * W * C), channels fastest. `argmax`: the class (N,), ties to the lowest index.
    inputs: names of earlier steps, or "input".
    weights: integers (O, kh, kw, I) for conv, (O, I) for dense; bias: int64 (O,) or None.
    weight_format, input_format: names of the encodings of weights and codes, "int4", "uint5", "odd2", "bipolar".
    stride: one number for both dimensions; padding: one number, or ((top, bottom), (left, right)); padded taps add 0.
    forms: one a channel.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    weights: NDArray[Any] | None = None
    bias: NDArray[np.int64] | None = None
    forms: tuple[Form, ...] | None = None
    weight_format: str | None = None
    input_format: str | None = None
    stride: int = 1
    padding: Padding = 0
    pool: int | None = None
    qmin: int | None = None
    qmax: int | None = None


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Steps in the order of their evaluation; the result is the tensor of the last one.

    input_format: the encoding of the input's codes; input_shape: (H, W, C). record: what is worth knowing of the
    network, strings (method, ...), which nothing computes with.
    """

    steps: tuple[Step, ...]
    input_format: str
    input_shape: tuple[int, int, int]
    record: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def pads(step: Step) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding of a conv as ((top, bottom), (left, right)).

    >>> pads(Step("a", "conv", ("input",), padding=1))
    ((1, 1), (1, 1))
    """
    if isinstance(step.padding, int):
        return (step.padding, step.padding), (step.padding, step.padding)
    return step.padding
