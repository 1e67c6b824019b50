"""The last word between the survivors of the search: sum(c x)**2 / sum(c * c) of every piece, in exact rationals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refq.quantizers.mse_search import step_of
from refq.quantizers.mse_sums import Stairs, exact_moments, places


class Side(NamedTuple):
    """Sorted magnitudes of one sign (or of both, on a symmetric grid), their block sums, and their codes."""

    magnitudes: NDArray[Any]
    sums: NDArray[np.float64]
    stairs: Stairs

    @property
    def reach(self) -> int:
        """The largest code."""
        return self.stairs.start + self.stairs.spacing * self.stairs.cuts


class Piece(NamedTuple):
    """A set of codes: gain = a * a / b is what it takes off sum(x * x) at its best step a / b.

    below: how many codes the grid has below 0, a name for the grid among those of a search.
    """

    gain: Fraction
    step: Fraction
    below: int = 0

    @property
    def rank(self) -> tuple[Fraction, Fraction, int]:
        """The larger, the better: gain; of equal ones the smallest step, then the fewest codes below 0."""
        return self.gain, -self.step, -self.below


def crossings(side: Side, low: float, high: float) -> Iterator[tuple[Fraction, Fraction, int]]:
    """(step at which values cross a cut, what A and what B lose), for all between two steps; equal values at once."""
    start, spacing, _ = side.stairs
    pairs = zip(*(places(side.magnitudes, *side.stairs, s) for s in (low, high)), strict=True)
    for j, (first, last) in enumerate(pairs, 1):
        values, counts = np.unique(side.magnitudes[first:last], return_counts=True)
        lower = start + spacing * (j - 1)
        for x, count in zip(values.tolist(), counts.tolist(), strict=True):
            exact = Fraction(x)
            loss = (2 * lower * spacing + spacing * spacing) * count
            yield exact * 2 / (2 * lower + spacing), spacing * exact * count, loss


def pieces(sides: Sequence[Side], low: float, high: float, below: int = 0) -> Iterator[Piece]:
    """Every set of codes that occurs at a step of low..high and has A > 0."""
    a, b = Fraction(0), 0
    for side in sides:
        more, squares = exact_moments(side.magnitudes, side.stairs, low)
        a, b = a + more, b + squares
    moves = sorted(move for side in sides for move in crossings(side, low, high))
    if a > 0:
        yield Piece(a * a / b, a / b, below)
    for at, (step, less, loss) in enumerate(moves):
        a, b = a - less, b - loss
        if a > 0 and (at + 1 == len(moves) or moves[at + 1][0] > step):
            yield Piece(a * a / b, a / b, below)


def best_piece(
    sides: Sequence[Side], kept: Sequence[tuple[int, int]], known: Piece | None, below: int = 0
) -> Piece | None:
    """The highest rank of all surviving intervals of keys and of a piece known before."""
    found = {piece for low, high in kept for piece in pieces(sides, step_of(low), step_of(high), below)}
    return max(found | ({known} if known else set()), key=lambda piece: piece.rank, default=None)
