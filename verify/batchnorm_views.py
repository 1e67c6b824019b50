"""One channel as curves: its exact line, the staircase of each scheme, and how far each step is moved."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq import Staircase
from refq.batchnorm import Channel, form_steps
from refq.batchnorm.approximate import real_line
from refq.exact import boundary
from verify.batchnorm_schemes import CENTRED, NAIVE, OPTIMAL, SCHEMES, SHIFT_BN, Schemes

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
HUGE = 1e300


@dataclass(frozen=True)
class View:
    """A channel as it is drawn.

    steps: the staircase of each scheme, the optimal one by thresholds where no line is exact. moves: for each code
    above the lowest reached, by how many accumulators its step comes too late (early: negative) on the way up.
    codes, due, boundaries: those codes, the accumulator at which the exact target takes each, and the real value
    from which on it is rounded to; inclusive: whether that value itself is.
    """

    place: int
    channel: Channel
    target: Staircase
    open_range: tuple[int, int]
    steps: dict[str, Staircase]
    moves: dict[str, NDArray[Any]]
    codes: list[int]
    due: list[int]
    boundaries: list[float]
    inclusive: list[bool]


def _thresholds(steps: Staircase, sign: int, codes: list[int]) -> NDArray[Any]:
    """min{u : output >= code}, u = sign * x; one past the range where it is never reached."""
    up = steps if sign > 0 else steps.reflected()
    starts = np.array([*up.starts.tolist(), up.last + 1], object)
    return starts[np.searchsorted(up.levels, codes)]


def view(schemes: Schemes, place: int, shift: int) -> View:
    """The channel under every scheme at this shift; the optimal one at the shared shift, if that is larger."""
    channel, fit = schemes.pairs[place]
    sign, domain = -1 if channel.gamma < 0 else 1, (channel.acc_min, channel.acc_max)
    codes = list(range(int(fit.steps.levels.min()) + 1, int(fit.steps.levels.max()) + 1))
    steps: dict[str, Staircase] = {}
    for scheme in SCHEMES:
        if scheme == OPTIMAL and fit.form is None:
            steps[scheme] = fit.steps
            continue
        at = max(shift, schemes.start) if scheme == OPTIMAL else shift
        steps[scheme] = form_steps(schemes.form(scheme, place, at), domain)
    due = _thresholds(fit.steps, sign, codes)
    moves = {scheme: _thresholds(found, sign, codes) - due for scheme, found in steps.items()}
    bounds = [boundary(schemes.rounding, code - channel.zero_point) for code in codes]
    boundaries, inclusive = [twice / 2 + channel.zero_point for twice, _ in bounds], [closed for _, closed in bounds]
    places = [sign * int(u) for u in due]
    return View(place, channel, fit.steps, fit.open_range, steps, moves, codes, places, boundaries, inclusive)


def _float(value: Fraction) -> float:
    return float(max(min(value, Fraction(HUGE)), Fraction(-HUGE)))


def line_points(channel: Channel, xs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The real output in codes, zero point included, near enough to be drawn."""
    line = real_line(channel)
    root = _float(line.v) ** 0.5
    with np.errstate(all="ignore"):
        ys = _float(line.slope) * root * xs + (_float(line.offset) + _float(line.root_offset) * root)
    found: NDArray[np.float64] = np.clip(np.nan_to_num(ys, nan=0.0), -1e9, 1e9)
    return found


def stair_points(steps: Staircase, first: int, last: int) -> Curve:
    """Corners of the staircase on first..last, every accumulator half a unit wide to both sides."""
    inside = steps.starts[(steps.starts > first) & (steps.starts <= last)]
    starts = np.concatenate([np.array([first], np.int64), inside])
    levels = steps(starts).astype(np.float64)
    xs = np.append(starts.astype(np.float64) - 0.5, last + 0.5)
    return np.repeat(xs, 2)[1:-1], np.repeat(levels, 2)


def widest_move(seen: View) -> int | None:
    """The index of the code whose step naive rounding moves most, or else the first scheme that moves any."""
    for scheme in (NAIVE, CENTRED, SHIFT_BN):
        if any(seen.moves[scheme]):
            return int(np.argmax(np.abs(seen.moves[scheme])))
    return len(seen.codes) // 2 if seen.codes else None
