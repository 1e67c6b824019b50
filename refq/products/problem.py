"""A product to compute, and for each path the proof that it is exact there, or what stands against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from refq.products.cells import dot_chunk
from refq.products.inner import Inner, bytes_inner, pairs_inner
from refq.products.operands import Span
from refq.products.paths import exact_depth


@dataclass(frozen=True)
class Problem:
    """Rows, depth and columns of a product, and what its operands may be."""

    rows: int
    depth: int
    columns: int
    left: Span
    right: Span

    @property
    def plane_pairs(self) -> int:
        """Products of bit planes; 0 if an operand has no encoding."""
        left, right = self.left.encoding, self.right.encoding
        return left.bits * right.bits if left and right else 0

    @property
    def ranges(self) -> str:
        """`-8..7 times 0..255`."""
        return f"{self.left.low}..{self.left.high} times {self.right.low}..{self.right.high}"


class Verdict(NamedTuple):
    """Whether a path is exact for a problem, and why or why not."""

    exact: bool
    why: str


def _planes(problem: Problem) -> Verdict:
    if not problem.plane_pairs:
        return Verdict(False, "an operand has no format of at most 16 bits; declare one")
    return Verdict(True, f"{problem.plane_pairs} products of bit planes, counts of at most {problem.depth}")


def dot_inner(path: str) -> Inner:
    """The inner product of the paths int8 and int16 on this target."""
    return (bytes_inner() if path == "int8" else None) or pairs_inner()


def _dot(path: str, least: int, problem: Problem) -> Verdict:
    """`least` cells of the depth must fit a lane for the path to be worth its name."""
    inner, bits = dot_inner(path), int(path.removeprefix("int"))
    if any(span.high - span.low >= 1 << bits for span in (problem.left, problem.right)):
        return Verdict(False, f"{problem.ranges} does not fit {bits} bits")
    chunk = dot_chunk(inner, problem.left, problem.right)
    if chunk < least:
        return Verdict(False, f"fewer than {least * inner.depth} products of {problem.ranges} fit a sum of 32 bits")
    pieces = min(chunk * inner.depth, problem.depth)
    return Verdict(True, f"32-bit lanes hold sums of {pieces} products of {problem.ranges}")


def _floats(digits: int, problem: Problem) -> Verdict:
    piece = exact_depth(problem.left, problem.right, digits)
    if not piece:
        return Verdict(False, f"a product of {problem.ranges} can exceed 2**{digits}")
    return Verdict(True, f"sums of {min(piece, problem.depth)} products of {problem.ranges} stay within 2**{digits}")


def _always(problem: Problem) -> Verdict:
    return Verdict(True, "int64 modulo 2**64, and the result fits")


DIGITS = {"float32": 24, "float64": 53}
PLANE_PATHS = ("popcount", "subsets")
VERDICTS: dict[str, Callable[[Problem], Verdict]] = {
    "popcount": _planes,
    "subsets": _planes,
    "int8": partial(_dot, "int8", 1),
    "int16": partial(_dot, "int16", 16),
    "float32": partial(_floats, DIGITS["float32"]),
    "float64": partial(_floats, DIGITS["float64"]),
    "int64": _always,
}
PATHS = tuple(VERDICTS)
