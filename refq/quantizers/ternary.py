"""Ternary weights -1, 0, +1 (Li & Liu 2016, arXiv 1605.04711): the 0.7 rule, and the exact least squares."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import Real, real
from refq.encodings import Encoding, Kind
from refq.quantizers.apply import channel_rows, finite_array
from refq.quantizers.quantizer import Quantizer, first_float
from refq.quantizers.significand_sums import absolute_sum, exact_sum

SEVEN_TENTHS = Fraction(7, 10)


def _rule_of_thumb(row: NDArray[Any], factor: Fraction) -> tuple[Fraction, Fraction]:
    """(delta, alpha): factor * mean |w|, and the mean of the magnitudes beyond it."""
    delta = factor * absolute_sum(row) / row.size
    # a plain float would be rounded to the dtype of the row
    cut = np.float64(first_float(delta, False))
    kept = np.abs(row[(row >= cut) | (row <= -cut)])
    return delta, exact_sum(kept) / max(kept.size, 1)


def _least_squares(row: NDArray[Any], factor: Fraction) -> tuple[Fraction, Fraction]:
    """(alpha / 2, alpha) of the kept set that maximises S**2 / k, S the sum of its k magnitudes.

    With alpha = S / k the squared error is sum w**2 - S**2 / k. The best set holds the k largest magnitudes, and
    whole groups of equal ones, because (S + t v)**2 / (k + t) is convex in t.
    """
    falling = np.sort(np.abs(row.astype(np.float64)))[::-1]
    if falling[0] == 0:
        return Fraction(0), Fraction(0)
    best, total, kept, done = (Fraction(0), 0), Fraction(0), 1, 0
    for count in _near_best(falling):
        total += exact_sum(falling[done:count])
        done = int(count)
        if total * total * kept > best[0] * best[0] * done:
            best, kept = (total, done), done
    alpha = best[0] / kept
    return alpha / 2, alpha


def _near_best(falling: NDArray[np.float64]) -> NDArray[np.int64]:
    """The counts k, ascending, whose S**2 / k in float64 is near enough to the largest to be it.

    A sum of k numbers >= 0 is off by less than a share k u, u = 2**-53, the score by less than (2 k + 4) u. Division by
    the largest keeps the squares in range (what underflows is below 2**-1000 of the sum).
    """
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    sums = np.cumsum(np.ldexp(falling, -int(np.frexp(falling[0])[1])))[ends]
    score = sums * sums / (ends + 1)
    slack = (4 * falling.size + 16) * 2.0**-53
    near: NDArray[np.int64] = ends[score >= score.max() * (1 - slack)] + 1
    return near


CHOICES: dict[str, Callable[[NDArray[Any], Fraction], tuple[Fraction, Fraction]]] = {
    "twn": _rule_of_thumb,
    "mse": _least_squares,
}


def fit_ternary(values: Any, *, choose: str = "twn", factor: Real = SEVEN_TENTHS, axis: int | None = None) -> Quantizer:
    """+1 beyond delta, -1 beyond -delta, else 0 (delta itself too); codes of int2 worth alpha.

    choose: `twn`, delta = factor * mean |w| and alpha the mean of the magnitudes beyond it, the paper's rule of
    thumb; or `mse`, the delta and alpha of the smallest squared error of all (the paper's problem solved, not
    approximated), delta = alpha / 2, and of equally good ones that with the fewest non-zeros; `factor` is not used
    then. delta and alpha are exact rationals: the codes are decided by them, `step` and `parameters` hold the nearest
    float64. values: float16, float32 or float64 of any shape; axis: one delta and alpha a channel, None for one.
    factor: a positive real number, Fraction(7, 10) is not the float 0.7. All zeros: delta = alpha = 0. A factor so
    large that nothing is beyond delta: alpha = 0. TypeError for other dtypes, ValueError for no values, NaN,
    infinities, an unknown choice, factor <= 0 and an axis outside the shape.

    >>> from refq.quantizers.apply import quantize
    >>> w = np.array([-2.0, -0.5, 0.0, 0.25, 1.0, 1.25])
    >>> quantizer = fit_ternary(w)
    >>> quantize(w, quantizer), quantizer.step
    (array([-1,  0,  0,  0,  1,  1], dtype=int8), array([1.41666667]))
    """
    array = finite_array("fit_ternary", "values", values)
    if not isinstance(choose, str) or choose not in CHOICES:
        raise ValueError(f"fit_ternary: choose={choose!r} is unknown; legal: {', '.join(CHOICES)}")
    exact = real("fit_ternary", "factor", factor)
    fits = [CHOICES[choose](row, exact) for row in channel_rows("fit_ternary", array, axis)]
    cuts = np.array([[first_float(-delta, True), first_float(delta, False)] for delta, _ in fits])
    deltas, alphas = (np.array([float(fit[place]) for fit in fits]) for place in (0, 1))
    return Quantizer(
        f"ternary_{choose}",
        Encoding(2, Kind.SIGNED),
        lowest=-1,
        cuts=cuts,
        step=alphas,
        zero_point=np.zeros(len(fits), np.int64),
        axis=axis,
        parameters=MappingProxyType({"delta": deltas, "alpha": alphas.copy()}),
    )
