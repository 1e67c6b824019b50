"""Which path computes a product: the fastest of those that are proved exact for its operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from refq.accumulation import Accumulator
from refq.products.costs import seconds
from refq.products.operands import Operand, Span
from refq.products.paths import Ready, blas, dot, plain, popcount, subsets
from refq.products.problem import DIGITS, VERDICTS, Problem, dot_inner


@dataclass(frozen=True)
class Choice:
    """The path taken and why; `others` has, for each other path, an estimate or the reason why it is not exact.

    `seconds` is the estimate for one core: it decides between paths and whether to wake a thread, never a result.
    """

    path: str
    reason: str
    seconds: float
    others: tuple[tuple[str, str], ...] = ()


def _microseconds(path: str, problem: Problem) -> str:
    return f"about {seconds(path, problem) * 1e6:.0f} us on one core"


@lru_cache(1024)
def choose(problem: Problem, path: str) -> Choice:
    """The path for a problem: the named one, or with "auto" the one of least estimated time."""
    verdicts = {name: verdict(problem) for name, verdict in VERDICTS.items()}
    possible = [name for name in verdicts if verdicts[name].exact]
    if path == "auto":
        best = min(possible, key=lambda name: seconds(name, problem))
        others = {
            name: _microseconds(name, problem) if name in possible else verdicts[name].why
            for name in verdicts
            if name != best
        }
        reason = f"{verdicts[best].why}; {_microseconds(best, problem)}"
        return Choice(best, reason, seconds(best, problem), tuple(others.items()))
    if path not in possible:
        legal = ", ".join(possible)
        raise ValueError(f"gemm: path={path!r} is not exact here: {verdicts[path].why}; possible: auto, {legal}")
    return Choice(path, f"asked for; {verdicts[path].why}", seconds(path, problem))


def in_order(rule: Accumulator) -> Choice:
    """Of a rule that looks at partial sums: there is no path to choose."""
    return Choice("accumulate", f"{rule.name} looks at partial sums, so they are added in order", 0.0)


def check_follows(function: str, path: str, rule: Accumulator) -> None:
    """Refuse a path asked for together with a rule that looks at partial sums."""
    if path != "auto" and not rule.only_end:
        raise ValueError(
            f"{function}: path={path!r} does not follow {rule.name} through its partial sums; pass path='auto'"
        )


def made_ready(path: str, left: Span, right: Operand) -> Ready:
    """A path of `PATHS` for a right operand and what left values may be."""
    if path in DIGITS:
        return blas(np.dtype(path), left, right)
    if path in ("int8", "int16"):
        return dot(dot_inner(path), left, right)
    return {"popcount": popcount, "subsets": subsets, "int64": plain}[path](left, right)
