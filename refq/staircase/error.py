"""How far a staircase is from real arithmetic: the largest error and its exact distribution."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from refq.arguments import integer
from refq.formats import INT8, IntFormat
from refq.staircase.steps import Staircase


def _rising(function: str, steps: Staircase, scale: Fraction) -> tuple[Staircase, Fraction]:
    """The staircase and scale, reflected where the scale is negative, so that the exact value rises."""
    if not isinstance(scale, Fraction | int) or scale == 0:
        raise ValueError(f"{function}: scale={scale!r} is not a Fraction other than 0; pass Fraction(scale)")
    return (steps.reflected(), -Fraction(scale)) if scale < 0 else (steps, Fraction(scale))


def target(scale: Fraction, zero_point: int, fmt: IntFormat, x: int) -> Fraction:
    """The real number the code stands for, in output steps: x * scale + zero_point, clamped to the format."""
    return min(max(x * scale + zero_point, Fraction(fmt.qmin)), Fraction(fmt.qmax))


def max_error(steps: Staircase, scale: Fraction, zero_point: int = 0, fmt: IntFormat = INT8) -> tuple[Fraction, int]:
    """Largest |code - exact value| in units of the output step, and an input that attains it.

    The exact value is x * scale + zero_point clamped to the format. On a step the level is constant and
    the exact value monotone, so the largest distance is at one of its ends.

    >>> from refq import staircase
    >>> max_error(staircase("gemmlowp_double", 0.25), Fraction(1, 4))
    (Fraction(3, 4), 1)
    """
    _rising("max_error", steps, scale)
    candidates = [x for first, last, _ in steps.ends() for x in (first, last)]
    levels = [level for _, _, level in steps.ends() for _ in (0, 1)]
    errors = [abs(v - target(scale, zero_point, fmt, x)) for x, v in zip(candidates, levels, strict=True)]
    if not errors:
        raise ValueError(f"max_error: domain {steps.first}..{steps.last} is empty; nothing to measure")
    # the largest error; among equals the input nearest to zero
    best = max(range(len(errors)), key=lambda i: (errors[i], -abs(candidates[i])))
    return errors[best], candidates[best]


def _cut(steps: Staircase, scale: Fraction, zero_point: int, fmt: IntFormat) -> list[tuple[int, int, int, int | None]]:
    """Steps cut where the exact value leaves the format: (first, last, level, clamped value or None)."""
    low = Fraction(fmt.qmin - zero_point) / scale
    high = Fraction(fmt.qmax - zero_point) / scale
    inside_from = -(-low.numerator // low.denominator)
    inside_to = high.numerator // high.denominator
    parts: list[tuple[int, int, int, int | None]] = []
    for first, last, level in steps.ends():
        parts.append((first, min(last, inside_from - 1), level, fmt.qmin))
        parts.append((max(first, inside_from), min(last, inside_to), level, None))
        parts.append((max(first, inside_to + 1), last, level, fmt.qmax))
    return [p for p in parts if p[0] <= p[1]]


def _at_most(first: int, last: int, bound: Fraction, scale: Fraction) -> int:
    """How many x in first..last have x * scale <= bound."""
    limit = bound / scale
    return min(max(limit.numerator // limit.denominator - first + 1, 0), last - first + 1)


def error_histogram(
    steps: Staircase, scale: Fraction, zero_point: int = 0, fmt: IntFormat = INT8, bins_per_step: int = 8
) -> dict[Fraction, int]:
    """Exact number of inputs by error, code - exact value, in bins of 1 / bins_per_step output steps.

    The key is the lower end of a half-open bin [key, key + 1 / bins_per_step); empty bins are left out.
    Every input of the domain is counted once; clamping as in `max_error`.

    >>> from refq import staircase
    >>> h = error_histogram(staircase("exact_ties_up", Fraction(1, 4), domain=(-8, 7)), Fraction(1, 4))
    >>> {str(k): v for k, v in h.items()}
    {'-1/4': 4, '0': 4, '1/4': 4, '1/2': 4}
    """
    integer("error_histogram", "bins_per_step", bins_per_step, 1, 1 << 16)
    steps, scale = _rising("error_histogram", steps, scale)
    counts: dict[int, int] = {}
    for first, last, level, clamped in _cut(steps, scale, zero_point, fmt):
        if clamped is not None:
            key = (level - clamped) * bins_per_step
            counts[key] = counts.get(key, 0) + last - first + 1
            continue
        offset = level - zero_point
        lowest = (offset - last * scale) * bins_per_step
        highest = (offset - first * scale) * bins_per_step
        for key in range(floor(lowest), floor(highest) + 1):
            # error in [key, key + 1) / bins  <=>  x * scale in (offset - (key + 1) / bins, offset - key / bins]
            upper, lower = (offset - Fraction(k, bins_per_step) for k in (key, key + 1))
            inside = _at_most(first, last, upper, scale) - _at_most(first, last, lower, scale)
            counts[key] = counts.get(key, 0) + inside
    return {Fraction(k, bins_per_step): counts[k] for k in sorted(counts) if counts[k]}
