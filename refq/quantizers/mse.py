"""The clipping point with the least mean squared error: the global minimum, proved, not the best of a grid of points.

docs/clipping.md has the proof. A sort, then a few hundred evaluations of the error; candidates that float64 pairs
cannot tell apart are compared as exact rationals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer
from refq.quantizers.apply import finite_array
from refq.quantizers.mse_pieces import Piece, Side, best_piece
from refq.quantizers.mse_search import DIGITS, SAFE, survivors
from refq.quantizers.mse_sums import Stairs, block_sums, exact_squares

GRIDS: dict[str, Callable[[int], range]] = {
    "int": lambda bits: range(-(1 << (bits - 1)), 1 << (bits - 1)),
    "zero": lambda bits: range(1 - (1 << (bits - 1)), 1 << (bits - 1)),
    "even": lambda bits: range(1 - (1 << bits), 1 << bits, 2),
    "unsigned": lambda bits: range(1 << bits),
}
"""Codes: two's complement; without its lowest code; odd; without sign."""
SMALLEST, LARGEST = 2.0**-400, 2.0**400
MOST_BITS, MOST_AFFINE_BITS = 12, 8
"""Beyond, the search is exact still, but takes minutes."""


@dataclass(frozen=True)
class LeastError:
    """The least mean squared error over all steps s > 0 with values code * s, and where it is.

    step: float64 nearest to the exact optimum; alpha: step * the largest magnitude of a code, the clipping point of
    symmetric grids; error: the mean of the squared errors at the exact optimum, rounded once.
    exact_step, exact_error (of the sum of squares): the rationals themselves. zero_point: of affine grids, else 0.
    """

    step: float
    alpha: float
    error: float
    exact_step: Fraction
    exact_error: Fraction
    zero_point: int = 0


def _side(magnitudes: NDArray[Any], stairs: Stairs) -> Side:
    magnitudes = magnitudes.astype(np.float64, copy=False)
    magnitudes.sort()
    return Side(magnitudes, block_sums(magnitudes), stairs)


def _signs(x: NDArray[Any], above: int, below: int) -> list[Side]:
    """Positive values with codes 0..above, and negative ones with as many below 0."""
    negative = x[x < 0]
    np.negative(negative, out=negative)
    return [_side(x[x > 0], Stairs(0, 1, above)), _side(negative, Stairs(0, 1, below))]


def _sides(x: NDArray[Any], codes: range) -> list[Side]:
    """Magnitudes that share a staircase: all of a symmetric grid (beside an empty side), else each sign."""
    if codes[0] != -codes[-1]:
        return _signs(x, codes[-1], -codes[0])
    both = Stairs(codes.step - 1, codes.step, (len(codes) - 1) // 2)
    return [_side(np.abs(x, dtype=np.float64), both), _side(np.empty(0, x.dtype), Stairs(0, 1, 0))]


def _search(sides: Sequence[Side], known: Piece | None = None, below: int = 0) -> Piece | None:
    """The piece of highest rank of all steps and the one known."""
    live = [side for side in sides if side.reach and side.magnitudes.size and side.magnitudes[-1] > 0]
    if not live:
        return known
    largest = max(float(side.magnitudes[-1]) for side in live)
    if len(live) == 1 and live[0].magnitudes[0] == largest:
        # One magnitude: no error at largest / reach, and some at every smaller step.
        piece = Piece(live[0].magnitudes.size * Fraction(largest) ** 2, Fraction(largest) / live[0].reach, below)
        return max(piece, known or piece, key=lambda piece: piece.rank)
    size = sum(side.magnitudes.size + side.stairs.cuts for side in sides) + 64
    reach = sum(side.reach * float(side.sums[0, 0]) for side in sides) * SAFE
    top = (frexp(largest)[1] + 1) << DIGITS
    arguments = tuple((side.magnitudes, side.sums, *side.stairs) for side in sides)
    best = (float(known.gain) * (2.0 - SAFE), 0.0) if known else (0.0, 0.0)
    kept, _, _ = survivors(arguments, top, reach, best, size * 2.0**-100)
    return best_piece(sides, kept, known, below)


def _checked(function: str, x: NDArray[Any], name: str, values: int) -> NDArray[Any]:
    """Flat; magnitudes 0 or 2**-400..2**400, and counts that stay below 2**53."""
    flat = x.reshape(-1)
    if x.size * values * values >= 1 << 53:
        raise ValueError(f"{function}: {name} has {x.size} values, too many for codes up to {values}; pass fewer bits")
    if flat.dtype == np.float32:
        return flat
    largest, smallest = max(flat.max(), -flat.min()), np.min(np.abs(flat), where=flat != 0, initial=1.0)
    if largest > LARGEST or smallest < SMALLEST:
        raise ValueError(f"{function}: {name} has magnitudes {smallest}..{largest} outside 2**-400..2**400; scale them")
    return flat


def _result(x: NDArray[Any], piece: Piece | None, codes: range, zero_point: int = 0) -> LeastError:
    reach = max(codes[-1], -codes[0])
    if piece is None:
        start = codes.step - 1  # every value has code 0, or magnitude 1 where there is no 0
        error, step = exact_squares(x) + start * x.size, Fraction(1)
    else:
        error, step = exact_squares(x) - piece.gain, piece.step
    return LeastError(float(step), float(reach * step), float(error / x.size), step, error, zero_point)


def minimum_mse(values: Any, bits: int, *, grid: str = "zero") -> LeastError:
    """The step s > 0 with the least mean squared error of values at the nearest code * s; of several the smallest.

    values: float16, float32 or float64 of any shape, at least one, finite; float64 magnitudes 0 or 2**-400..2**400.
    bits: 1..12 (2..12 for "zero"). grid: "zero" (codes -(2**(bits-1) - 1)..2**(bits-1) - 1), "int" (one code more
    below), "even" (odd codes -(2**bits - 1)..2**bits - 1: 2**bits levels around 0), "unsigned" (0..2**bits - 1).
    Where no step moves any value (all 0, or no value on the side of the codes), step 1 with its own error.
    TypeError for other dtypes; ValueError for empty, NaN, infinite or too many values (2**53 / code**2), other grids.
    Uniform symmetric clipping as PACT-SAWB (1807.06964) needs it.

    >>> found = minimum_mse(np.array([1.0, 2.0, 4.0, -8.0]), 2)
    >>> found.step, found.alpha, found.error
    (6.0, 6.0, 3.25)
    """
    if not isinstance(grid, str) or grid not in GRIDS:
        raise ValueError(f"minimum_mse: grid={grid!r} is unknown; legal: {', '.join(GRIDS)}")
    codes = GRIDS[grid](integer("minimum_mse", "bits", bits, 2 if grid == "zero" else 1, MOST_BITS))
    x = _checked("minimum_mse", finite_array("minimum_mse", "values", values), "values", max(codes[-1], -codes[0]))
    return _result(x, _search(_sides(x, codes)), codes)


def minimum_affine_mse(values: Any, bits: int, *, signed: bool = True) -> LeastError:
    """The same with 2**bits codes of which any may stand for 0: every zero point is searched.

    values, errors: as `minimum_mse`; bits: 1..8. Of equal errors, the smallest step, then the smallest zero point. The
    values of the codes are (code - zero_point) * step.

    >>> found = minimum_affine_mse(np.array([0.0, 1.0, 2.0, 3.0]), 2)
    >>> found.step, found.zero_point, found.error
    (1.0, -2, 0.0)
    """
    count = 1 << integer("minimum_affine_mse", "bits", bits, 1, MOST_AFFINE_BITS)
    lowest = -(count >> 1) if signed else 0
    x = _checked("minimum_affine_mse", finite_array("minimum_affine_mse", "values", values), "values", count - 1)
    positive, negative = _signs(x, 0, 0)
    best: Piece | None = None
    for below in _likely_first(x, count):
        above = positive._replace(stairs=Stairs(0, 1, count - 1 - below))
        best = _search([above, negative._replace(stairs=Stairs(0, 1, below))], best, below)
    zero = best.below if best else 0
    return _result(x, best, range(-zero, count - zero), lowest + zero)


def _likely_first(x: NDArray[Any], count: int) -> Iterable[int]:
    """Numbers of codes below 0, those first that split the codes as the ends of the values do."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    guess = round((count - 1) * (low / (low - high))) if high > low else 0
    return sorted(range(count), key=lambda below: (abs(below - guess), below))
