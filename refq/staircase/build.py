"""From a rule with its parameters to its staircase: compiled bisection, piece by monotone piece."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import Real, integer
from refq.dispatch import KERNELS
from refq.formats import INT8, INT32, IntFormat
from refq.parameters import check_scale, find, prepare
from refq.pipeline import float_turn, integer_turn
from refq.plans import IntegerPlan, Plan
from refq.rules import Arithmetic, FixedScale, Rule
from refq.semantics import RULES
from refq.spec.requantize import requantize as requantize_one
from refq.staircase.blackbox import from_function
from refq.staircase.steps import Staircase, canonical, empty, rising

INT32_RANGE = (INT32.qmin, INT32.qmax)
MAX_STEPS, MAX_PIECES = 1 << 20, (1 << 12) - 1
# arithmetic -> how often one accumulator wrapped; exact rules never do, and are not bisected
TURNS = {Arithmetic.INTEGER: integer_turn, Arithmetic.FLOAT32: float_turn, Arithmetic.FLOAT64: float_turn}


@njit
def _walk(code, p, first, last, starts, levels, used):
    """Append the steps of a monotone map, codes or wrap counts; each next start by bisection.

    Returns the steps used, -1 if full.
    """
    x, level, top = first, code(first, p), code(last, p)
    while True:
        if used == starts.size:
            return -1
        starts[used], levels[used] = x, level
        used += 1
        if level == top:
            return used
        low, high = x, last
        while high - 1 != low:
            # the mean without the overflow of high - low
            middle = (low & high) + ((low ^ high) >> 1)
            if code(middle, p) == level:
                low = middle
            else:
                high = middle
        x, level = high, code(high, p)


def _wrap_starts(prepared: Plan, first: int, last: int) -> list[int]:
    """Where the left shift of the accumulator wraps int32: x * 2**left crosses an odd multiple of 2**31."""
    if prepared.arithmetic != Arithmetic.INTEGER:
        return [first]
    fields = IntegerPlan(*prepared.table[:, 0].tolist())
    if not (fields.wrap_in and fields.left):
        return [first]
    period, half = 1 << (32 - fields.left), 1 << (31 - fields.left)
    count = (last - first) // period + 1
    if count > 1 << 16:
        raise ValueError(
            f"staircase: a left shift of {fields.left} wraps {count} times on {first}..{last}; pass a smaller domain"
        )
    start = first + (half - first) % period
    return [first, *(x for x in range(start, last + 1, period) if x != first)]


def _pieces(prepared: Plan, p: Any, first: int, last: int) -> list[tuple[int, int]]:
    """The domain cut where the map may fall because something wraps; monotone on each piece."""
    turn = TURNS[prepared.arithmetic]
    outer = _wrap_starts(prepared, first, last)
    pieces: list[tuple[int, int]] = []
    for start, end in zip(outer, [*(x - 1 for x in outer[1:]), last], strict=True):
        cuts, counts = np.empty(MAX_PIECES, np.int64), np.empty(MAX_PIECES, np.int64)
        used = _walk(turn, p, start, end, cuts, counts, 0)
        if used < 0:
            raise ValueError(f"staircase: the result wraps more than {MAX_PIECES} times; pass a smaller domain")
        inner = [int(x) for x in cuts[:used]]
        pieces += zip(inner, [*(x - 1 for x in inner[1:]), end], strict=True)
    return pieces


def _from_kernel(prepared: Plan, fmt: IntFormat, first: int, last: int) -> Staircase:
    code, column = KERNELS[prepared.arithmetic]
    p = column(prepared.table, 0, prepared.qmin)
    pieces = _pieces(prepared, p, first, last)
    room = min((fmt.qmax - fmt.qmin + 1) * len(pieces), last - first + 1, MAX_STEPS)
    starts, levels = np.empty(room, np.int64), np.empty(room, np.int64)
    used = 0
    for start, end in pieces:
        used = _walk(code, p, start, end, starts, levels, used)
        if used < 0:
            raise ValueError(f"staircase: more than {room} steps; pass a smaller domain or a narrower fmt")
    return canonical(first, last, starts[:used], levels[:used])


def _from_thresholds(prepared: Plan, fmt: IntFormat, first: int, last: int) -> Staircase:
    """An exact rule is its thresholds already."""
    return rising(first, last, fmt.qmin, prepared.table[:, 0].tolist())


def staircase(
    rule: Rule | str,
    scale: Real | FixedScale,
    *,
    zero_point: int = 0,
    fmt: IntFormat = INT8,
    domain: tuple[int, int] = INT32_RANGE,
) -> Staircase:
    """The whole of `requantize(x, rule, scale, ...)` for x in domain = (first, last), both included.

    Exact, wraps included. On accumulators where the kernel would leave int64 the definition in
    `refq.spec` is bisected instead (about 0.1 s for 8 bits). Raises ValueError as `requantize` does.

    >>> from refq import IntFormat
    >>> s = staircase("float32_ties_even", 0.25, fmt=IntFormat(2))
    >>> s.starts.tolist(), s.levels.tolist()
    ([-2147483648, -5, -2, 3], [-2, -1, 0, 1])
    """
    found = find("staircase", rule, RULES)
    prepared, (low, high) = prepare(found, scale, zero_point, fmt, "staircase")
    first, last = (integer("staircase", "domain", x, -(1 << 63), (1 << 63) - 1) for x in domain)
    if first > last:
        return empty(first, last)
    if low <= first and last <= high and found.arithmetic == Arithmetic.EXACT:
        return _from_thresholds(prepared, fmt, first, last)
    if low <= first and last <= high:
        return _from_kernel(prepared, fmt, first, last)
    width = min(found.acc_bits, 64) - 1
    if first < -(1 << width) or last >= 1 << width or low > -prepared.acc_bound:
        raise ValueError(f"staircase: domain={first}..{last} is outside {low}..{high} of {found.name}")
    if found.arithmetic != Arithmetic.EXACT and found.result_bits == 32:
        raise ValueError(f"staircase: domain={first}..{last} is outside {low}..{high}, where wraps can be cut out")
    exact = check_scale("staircase", found, scale)

    def definition(xs: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([requantize_one(int(x), found, exact, zero_point, fmt) for x in xs], np.int64)

    return from_function(definition, (first, last))
