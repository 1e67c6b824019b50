"""What a network costs: bits, accumulators, multiplications, bytes; counted, not estimated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import prod

import numpy as np

from refq.arguments import integer
from refq.batchnorm.words import signed_width
from refq.channels import FixedPoint, ShiftForm, ThresholdForm
from refq.encodings import parse_encoding
from refq.networks.checks import tensor_ranges
from refq.networks.ranges import Tensor
from refq.networks.records import Form, IntegerNetwork, Step

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class StepSummary:
    """One step, for one sample.

    shape: of the result. low, high: the interval of the result over all channels; for conv and dense that of the
    accumulators, whose signed width is accumulator_bits; for a requantize of two tensors that is the width of their
    sum, which is shifted; else None. weight_bits, input_bits: of the declared formats, None without. products: of
    weights and codes, padded taps among them. multiplications: those of them that need a multiplier, and one a code of
    a FixedPoint. parameter_bytes: see `summary`.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    low: int
    high: int
    input_bits: int | None = None
    weight_bits: int | None = None
    accumulator_bits: int | None = None
    products: int = 0
    multiplications: int = 0
    parameter_bytes: int = 0


@dataclass(frozen=True)
class NetworkSummary:
    """The summaries of all steps; accumulator_bits is that of the widest accumulator, the others are sums."""

    steps: tuple[StepSummary, ...]
    accumulator_bits: int
    products: int
    multiplications: int
    parameter_bytes: int


def _column_bits(values: Sequence[int]) -> int:
    """All of them in words of one width, signed only where one is negative."""
    if not values:
        return 0
    width = signed_width(*values) if min(values) < 0 else max(max(values).bit_length(), 1)
    return width * len(values)


def _columns(forms: Sequence[Form]) -> list[list[int]]:
    """What differs from channel to channel, a list a word; the ranges of codes are those of the step."""
    lines = [form for form in forms if isinstance(form, FixedPoint)]
    shifts = [form for form in forms if isinstance(form, ShiftForm)]
    stairs = [form for form in forms if isinstance(form, ThresholdForm)]
    return [
        [form.multiplier for form in lines],
        [form.bias for form in lines],
        # a power of two is kept as its exponent
        [form.divisor if form.shift is None else form.shift for form in lines],
        [form.bias for form in shifts],
        [form.shift for form in shifts],
        [threshold for form in stairs for threshold in form.thresholds],
    ]


def _parameter_bytes(step: Step) -> int:
    bits = 0
    if step.weights is not None and step.weight_format is not None:
        bits += step.weights.size * parse_encoding(step.weight_format).bits
    if step.bias is not None:
        bits += _column_bits(step.bias.tolist())
    return -(-(bits + sum(_column_bits(column) for column in _columns(step.forms or ()))) // 8)


def _needing(step: Step, plain_bits: int) -> int:
    """How many weights need a multiplier: neither of few bits, nor 0, nor a power of two."""
    assert step.weights is not None
    if parse_encoding(step.weight_format).bits <= plain_bits:
        return 0
    size = np.abs(step.weights.astype(np.int64))
    return int(np.count_nonzero(size & (size - 1)))


def _product_summary(step: Step, tensors: Tensors, plain_bits: int) -> dict[str, int]:
    assert step.weights is not None
    result = tensors[step.name]
    places = prod(result.shape[:-1])
    return {
        "input_bits": parse_encoding(step.input_format).bits,
        "weight_bits": parse_encoding(step.weight_format).bits,
        "accumulator_bits": signed_width(int(result.low.min()), int(result.high.max())),
        "products": step.weights.size * places,
        "multiplications": _needing(step, plain_bits) * places,
    }


def _requantize_summary(step: Step, tensors: Tensors, plain_bits: int) -> dict[str, int]:
    lines = sum(isinstance(form, FixedPoint) for form in step.forms or ())
    found = {"multiplications": lines * prod(tensors[step.name].shape[:-1])}
    if len(step.inputs) == 1:
        return found
    x, y = (tensors[name] for name in step.inputs)
    return found | {"accumulator_bits": signed_width(int((x.low + y.low).min()), int((x.high + y.high).max()))}


COUNTS: dict[str, Callable[[Step, Tensors, int], dict[str, int]]] = {
    "conv": _product_summary,
    "dense": _product_summary,
    "requantize": _requantize_summary,
}


def _step_summary(step: Step, tensors: Tensors, plain_bits: int) -> StepSummary:
    counts, result = COUNTS[step.op](step, tensors, plain_bits) if step.op in COUNTS else {}, tensors[step.name]
    ends = int(result.low.min()), int(result.high.max())
    return StepSummary(step.name, step.op, result.shape, *ends, **counts, parameter_bytes=_parameter_bytes(step))


def summary(network: IntegerNetwork, *, plain_bits: int = 2) -> NetworkSummary:
    """What each step and the whole network need for one sample.

    A product counts as a multiplication unless its weight is 0 or plus or minus a power of two, a shift, or the weight
    format has at most plain_bits bits, 0..16: two shifted additions, or two planes of ANDs and counts. For nets whose
    products all run on bit planes of k bits pass plain_bits=k. A FixedPoint form counts one multiplication a code (a
    divisor that is no power of two is a division besides, not counted), a ShiftForm and a ThresholdForm none.
    parameter_bytes: weights at the bits of their format; biases, multipliers, shifts and thresholds each in the
    narrowest word that holds all of the step, shifts for divisors that are powers of two. Errors as in `check`.

    >>> sums = Step("sums", "dense", ("flat",), np.array([[3, -4], [0, 5]]), None, None, "int4", "uint2")
    >>> found = summary(IntegerNetwork((Step("flat", "flatten", ("input",)), sums), "uint2", (1, 1, 2)))
    >>> found.accumulator_bits, found.products, found.multiplications, found.parameter_bytes
    (5, 4, 2, 2)
    """
    plain = integer("summary", "plain_bits", plain_bits, 0, 16)
    tensors = tensor_ranges(network)
    steps = tuple(_step_summary(step, tensors, plain) for step in network.steps)
    totals = {name: sum(getattr(step, name) for step in steps) for name in TOTALS}
    return NetworkSummary(steps, max((step.accumulator_bits or 0 for step in steps), default=0), **totals)


TOTALS = tuple(field.name for field in fields(NetworkSummary))[2:]
