"""Everything about a network that can be wrong, refused before anything runs; and what its tensors can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from refq.encodings import Kind
from refq.networks.operands import CHECKS, MOST_CELLS, MOST_SIDE, encoding_of, small_enough, whole
from refq.networks.ranges import RESULTS, Tensor
from refq.networks.records import INPUT, USED, IntegerNetwork, Step

DEFAULTS = {field.name: field.default for field in fields(Step) if field.name not in ("name", "op", "inputs")}
LONGEST = 200
MOST_INTERVALS = 2 * MOST_CELLS
"""Of all tensors together, one a channel or feature: a small file may name many large tensors."""
MOST_TOLD = 20
"""How many names an error lists, the latest."""


def _named(value: Any, taken: Mapping[str, Any]) -> None:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST:
        raise TypeError(f"name={value!r} is not a printable string of 1..{LONGEST} characters")
    if value in taken:
        raise ValueError(f"name={value!r} is taken; pass another")


def _operands(step: Step, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """The tensors a step reads; the op is known, the inputs are there, and no field stands that the op ignores."""
    if not isinstance(step.op, str) or step.op not in USED:
        raise ValueError(f"op={step.op!r} is unknown; legal: {', '.join(USED)}")
    _, least, most = CHECKS[step.op]
    if not isinstance(step.inputs, tuple) or not least <= len(step.inputs) <= most:
        counts = str(least) if least == most else f"{least} or {most}"
        raise ValueError(f"inputs={step.inputs!r} does not suit {step.op}; pass a tuple of {counts} names")
    for name in step.inputs:
        if not isinstance(name, str) or name not in tensors:
            raise ValueError(
                f"inputs has {name!r}, which no earlier step makes; known: {', '.join(list(tensors)[-MOST_TOLD:])}"
            )
    for name, default in DEFAULTS.items():
        value = getattr(step, name)
        unset = value is None if default is None else type(value) is type(default) and value == default
        if name not in USED[step.op] and not unset:
            raise ValueError(f"{name} is set, which {step.op} does not use; leave it out")
    return [tensors[name] for name in step.inputs]


def _result(step: Step, tensors: Mapping[str, Tensor]) -> Tensor:
    _named(step.name, tensors)
    operands = _operands(step, tensors)
    CHECKS[step.op][0](step, *operands)
    result: Tensor = RESULTS[step.op](step, *operands)
    return result


def _entered(network: IntegerNetwork) -> Tensor:
    """The input as a tensor."""
    code = encoding_of("input_format", network.input_format)
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 3:
        raise TypeError(f"input_shape={shape!r} is not a tuple (H, W, C)")
    for side, most in zip(shape, (MOST_SIDE, MOST_SIDE, MOST_CELLS), strict=True):
        whole("input_shape", side, 1, most)
    small_enough(shape)
    low, high = (np.full(shape[2], end, np.int64) for end in (code.minimum, code.maximum))
    return Tensor(shape, low, high, code.kind is Kind.ODD)


def _frame(network: IntegerNetwork) -> None:
    """All but the steps themselves."""
    if not isinstance(network, IntegerNetwork):
        raise TypeError(f"network={network!r} is not an IntegerNetwork")
    if not isinstance(network.steps, tuple) or not network.steps:
        raise TypeError("steps is no tuple, or empty; pass at least one Step")
    if not isinstance(network.record, Mapping):
        raise TypeError(f"record={network.record!r} is not a mapping of strings")
    for item in network.record.items():
        if not all(isinstance(text, str) for text in item):
            raise TypeError(f"record has {item!r}, which are not strings")


def _said(error: Exception, where: str) -> Exception:
    """The same error, beginning with who is meant."""
    return type(error)(f"check: {where}{str(error).removeprefix('check: ')}")


def tensor_ranges(network: IntegerNetwork) -> dict[str, Tensor]:
    """Shape and interval of every tensor, by name, "input" first; refuses what `check` refuses.

    low, high of a `Tensor`: int64, one a channel or feature. They hold for every input of `input_format`; they are
    attained where the inputs of the step take all values of their intervals independently. Padded taps are 0.

    >>> step = Step("sums", "dense", ("flat",), np.array([[3, -1]]), None, None, "int4", "uint2")
    >>> network = IntegerNetwork((Step("flat", "flatten", ("input",)), step), "uint2", (1, 1, 2))
    >>> tensor_ranges(network)["sums"].low, tensor_ranges(network)["sums"].high
    (array([-3]), array([9]))
    """
    try:
        _frame(network)
        tensors = {INPUT: _entered(network)}
    except (TypeError, ValueError) as error:
        raise _said(error, "") from None
    count = 0
    for place, step in enumerate(network.steps):
        if not isinstance(step, Step):
            raise TypeError(f"check: steps[{place}]={step!r} is not a Step")
        try:
            tensors[step.name] = result = _result(step, tensors)
            count += result.low.size
            if count > MOST_INTERVALS:
                raise ValueError(f"the tensors up to here have more than {MOST_INTERVALS} channels and features")
        except (TypeError, ValueError) as error:
            raise _said(error, f"step {str(step.name)[:LONGEST]!r}: ") from None
    return tensors


def check(network: IntegerNetwork) -> None:
    """Refuse a network that cannot run: TypeError or ValueError, one line, `check: step 'name': what is wrong`.

    Unknown ops, inputs that no earlier step makes, names used twice, fields an op does not use, shapes that do not
    match, weights outside their format, codes that can leave the format they are read in, sums and products of
    requantization that can leave 64 bits for some input, tensors of more than 2**24 values a sample, filters of more
    than 2**24 weights, and more than 2**25 channels and features in all.

    >>> check(IntegerNetwork((Step("top", "argmax", ("logits",)),), "uint4", (8, 8, 1)))
    Traceback (most recent call last):
    ValueError: check: step 'top': inputs has 'logits', which no earlier step makes; known: input
    """
    tensor_ranges(network)
