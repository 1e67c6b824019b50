"""One op under one case as a map from integers to codes: the box to ask, and each rule's own answers.

The integers are accumulators, or float32 keys (`verify.floatkeys`) where the op quantizes a real number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq import INT8, UINT8, Semantics, effective_scale, from_function, probes, quantize, staircase
from verify.carriers import CARRIERS, PER_CHANNEL, QUANTIZING, Carrier
from verify.cases import Case, quantize_cases, requantize_cases
from verify.compare import checked_answer
from verify.failures import UsageError
from verify.floatkeys import LARGEST, from_keys, to_keys
from verify.worker import Ask

# probes and array elements an inference holds at most, the multiple it is padded to, and less than a vector
CHUNK, ELEMENTS, BLOCK, FEW = 4096, 1 << 24, 64, 3


class Positions(StrEnum):
    """Where in a tensor the probes stand: kernels may treat the end of a vector differently."""

    BLOCKS = "blocks"
    REMAINDER = "remainder"


@dataclass(frozen=True)
class Answers:
    """What a box said: the integers asked, through which carrier, and its codes."""

    carrier: str
    xs: NDArray[np.int64]
    got: NDArray[Any]
    positions: str = "blocks"


def is_quantizing(op: str) -> bool:
    """Whether the op takes real numbers (an unknown op is taken for a product)."""
    return op in QUANTIZING


def cases_for(op: str) -> list[Case]:
    """The plan of an op; LiteRT's ops are asked in int8, the format their products have."""
    formats = (INT8, UINT8) if op.startswith("Q") and op != "QUANTIZE" else (INT8,)
    if is_quantizing(op):
        return quantize_cases(formats)
    # without a bias a huge accumulator costs tens of thousands of products a probe
    skipped = ("products-23-int8",) if op == "QLinearMatMul" else ()
    return [case for case in requantize_cases(formats) if case.name not in skipped]


def check_op(op: str) -> str:
    """The op, if there is a way to ask it."""
    if op not in CARRIERS and op not in QUANTIZING:
        raise UsageError(f"op={op!r} has no carrier; legal: {', '.join((*CARRIERS, *QUANTIZING))}")
    return op


def reach(op: str, case: Case) -> tuple[int, int]:
    """The integers asked: all that every carrier can bring, without a bias only some way past saturation."""
    if is_quantizing(op):
        return -LARGEST, LARGEST
    lows, highs = zip(*(c.reach for c in CARRIERS[op]), strict=True)
    low, high = max(lows), min(highs)
    if CARRIERS[op][0].width(high) == 1:
        return low, high
    scale = case.input_scale * case.weight_scale / case.output_scale
    past = min(high, int(4 * (case.fmt.qmax - case.fmt.qmin) / scale) + 4096)
    return -past, past


def sentinels(op: str, case: Case) -> NDArray[np.int64]:
    """Ends, zero, and powers of two with their neighbours: where widths and special cases break."""
    low, high = reach(op, case)
    powers = [s * (1 << k) + d for k in range(31) for s in (-1, 1) for d in (-1, 0, 1)]
    inside = [x for x in (low, low + 1, -1, 0, 1, high - 1, high, *powers) if low <= x <= high]
    return np.unique(np.array(inside, np.int64))


def _parameters(op: str, case: Case, count: int) -> dict[str, Any]:
    dtype = case.fmt.name
    parameters: dict[str, Any] = {
        "output_scale": np.float32(case.output_scale),
        "output_zero_point": case.zero_point,
        "dtype": dtype,
    }
    if is_quantizing(op):
        return parameters
    weight_scale = np.float32(case.weight_scale)
    return parameters | {
        "input_scale": np.float32(case.input_scale),
        "input_zero_point": case.input_zero_point,
        "weight_scale": np.full(count, weight_scale, np.float32) if op in PER_CHANNEL else weight_scale,
    }


@dataclass(frozen=True)
class _Way:
    """How integers become one inference's inputs: a carrier, or float32 values."""

    name: str
    place: Callable[[NDArray[np.int64]], dict[str, NDArray[Any]]]
    width: Callable[[int], int]


def _ways(op: str, case: Case) -> list[_Way]:
    if is_quantizing(op):
        return [_Way("x", lambda part: {"x": from_keys(part)}, lambda largest: 1)]
    zero, dtype = case.input_zero_point, case.fmt.name
    return [_Way(c.name, partial(_place, c, zero, dtype), c.width) for c in CARRIERS[op]]


def _place(carrier: Carrier, zero_point: int, dtype: str, part: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return carrier.place(part, zero_point, dtype)


def smallest_first(xs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted by absolute value."""
    return xs[np.argsort(np.abs(xs), kind="stable")]


def _chunks(xs: NDArray[np.int64], width: Callable[[int], int], limit: int) -> Iterator[NDArray[np.int64]]:
    """Parts of at most `limit` probes and ELEMENTS array elements, smallest inputs first."""
    order = smallest_first(xs)
    start = 0
    while start < len(order):
        count = min(limit, len(order) - start)
        count = max(min(count, ELEMENTS // width(int(abs(order[start + count - 1])))), 1)
        yield order[start : start + count]
        start += count


def _affordable(xs: NDArray[np.int64], width: Callable[[int], int]) -> NDArray[np.int64]:
    """The smallest inputs that together take ELEMENTS: what the carriers after the first are asked."""
    order = smallest_first(xs)
    spent = np.cumsum([width(int(abs(x))) for x in order])
    return order[spent <= ELEMENTS]


def ask_box(
    ask: Ask, who: str, op: str, case: Case, xs: NDArray[np.int64], positions: Positions = Positions.BLOCKS
) -> list[Answers]:
    """The box's codes for xs, once through every carrier (the later ones as far as it is affordable).

    BLOCKS pads each inference to a multiple of 64 outputs, so that no probe is in a vector's remainder;
    REMAINDER asks three outputs at a time, so that every one is.
    """
    limit, multiple = (CHUNK, BLOCK) if positions == Positions.BLOCKS else (FEW, FEW)
    out = []
    for i, way in enumerate(_ways(op, case)):
        asked, codes = [], []
        for part in _chunks(_affordable(xs, way.width) if i else xs, way.width, limit):
            padded = np.pad(part, (0, -len(part) % multiple), mode="edge")
            got = ask(op, _parameters(op, case, len(padded)), way.place(padded))
            codes.append(checked_answer(who, got, case.fmt.name, len(padded))[: len(part)])
            asked.append(part)
        out.append(Answers(way.name, np.concatenate(asked), np.concatenate(codes), positions.value))
    return out


@dataclass(frozen=True)
class RuleMap:
    """A rule under one case: its complete probe set inside the op's reach, and its codes for any integers."""

    probes: NDArray[np.int64]
    codes: Callable[[NDArray[np.int64]], NDArray[Any]]


def rule_map(op: str, semantics: Semantics, case: Case) -> RuleMap | None:
    """What the rule says of the op under the case; None where the rule is not defined on the case's parameters."""
    try:
        return _quantizing_map(semantics, case) if is_quantizing(op) else _product_map(op, semantics, case)
    except ValueError:
        return None


def _product_map(op: str, semantics: Semantics, case: Case) -> RuleMap:
    factor = effective_scale(case.input_scale, case.weight_scale, case.output_scale, semantics.scaling)
    steps = staircase(semantics.rule, factor, zero_point=case.zero_point, fmt=case.fmt, domain=reach(op, case))
    return RuleMap(probes(steps), lambda xs: steps(xs).astype(case.fmt.name))


def _quantizing_map(semantics: Semantics, case: Case) -> RuleMap:
    def codes(keys: NDArray[np.int64]) -> NDArray[Any]:
        rule, scaling = semantics.rule, semantics.scaling
        x, zero_point = from_keys(keys), case.zero_point
        return quantize(x, rule, case.output_scale, scaling=scaling, zero_point=zero_point, fmt=case.fmt)

    # inside int32 the map is monotone under every rule; beyond, the sentinels ask
    edge = int(to_keys(np.float32(min(case.output_scale * 2.0**30, 3e38))))
    return RuleMap(probes(from_function(codes, (-edge, edge))), codes)
