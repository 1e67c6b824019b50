"""The staircase of a black box: all its thresholds bisected at once, one question a bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer
from refq.formats import INT32
from refq.staircase.steps import Staircase, canonical, empty

INT32_RANGE = (INT32.qmin, INT32.qmax)


def _between(low: int, high: int) -> int:
    return (low + high) // 2


def from_function(
    function: Callable[[NDArray[np.int64]], NDArray[Any]],
    domain: tuple[int, int] = INT32_RANGE,
    max_steps: int = 1 << 16,
) -> Staircase:
    """The staircase of a black box that is monotone on the domain, by bisection of all thresholds at once.

    function: (n,) int64 -> (n,) integers; asked about once per bit of the domain, for 8-bit outputs some
    8,000 values in all. Works for rising, falling and constant maps. Monotonicity is assumed;
    a fall among the values seen raises ValueError with both inputs.

    >>> from_function(lambda x: -(x >> 2), (0, 9)).starts.tolist()
    [0, 4, 8]
    """
    first, last = (integer("from_function", "domain", x, -(1 << 63), (1 << 63) - 1) for x in domain)
    if first > last:
        return empty(first, last)
    known: dict[int, int] = {}
    _ask(function, [first, last], known)
    sign = 1 if known[last] >= known[first] else -1
    spread = abs(known[last] - known[first])
    if spread > max_steps:
        raise ValueError(f"from_function: function spans {spread} levels, more than max_steps={max_steps}")
    open_ = [(first, last)] if known[first] != known[last] else []
    while open_:
        open_ = [(a, b) for a, b in open_ if b - a > 1 and known[a] != known[b]]
        _ask(function, [_between(a, b) for a, b in open_], known)
        open_ = [part for a, b in open_ for part in ((a, _between(a, b)), (_between(a, b), b))]
    xs = sorted(known)
    levels = np.array([known[x] for x in xs], np.int64)
    falls = np.flatnonzero(sign * np.diff(levels) < 0)
    if falls.size:
        a, b = xs[falls[0]], xs[falls[0] + 1]
        raise ValueError(
            f"from_function: function is not monotone: f({a})={known[a]}, f({b})={known[b]}; pass a smaller domain"
        )
    return canonical(first, last, np.array(xs, np.int64), levels)


def _ask(function: Callable[[NDArray[np.int64]], NDArray[Any]], xs: list[int], known: dict[int, int]) -> None:
    if not xs:
        return
    got = np.asarray(function(np.array(xs, np.int64)))
    if got.shape != (len(xs),) or got.dtype.kind not in "iu":
        raise ValueError(
            f"from_function: function returned {got.dtype} of shape {got.shape}; expected integers of ({len(xs)},)"
        )
    known.update(zip(xs, got.tolist(), strict=True))
