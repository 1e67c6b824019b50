"""Which path computes a product: the fastest of those that are proved exact for its operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from refq.products.operands import Span
from refq.products.paths import dot_chunk, exact_depth
from refq.products.tile import Inner, bytes_inner, pairs_inner
from refq.products.vectors import target_features, vector_bits


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


@dataclass(frozen=True)
class Choice:
    """The path taken and why; `others` has, for each other path, an estimate or the reason why it is not exact.

    `seconds` is the estimate for one core: it decides between paths and whether to wake a second thread, never a result.
    """

    path: str
    reason: str
    seconds: float
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a path costs on one core: microseconds a call, nanoseconds a value of the left operand, products a nanosecond."""

    call: float
    value: float
    speed: float


def _costs() -> dict[str, Cost]:
    """Figures of benchmarks/products.py for the target's widest vectors; only their order matters."""
    features, wide = target_features(), vector_bits() == 512
    return {
        "popcount": Cost(12, 0.1, 800 if "avx512vpopcntdq" in features else 250 if wide else 120 if vector_bits() == 256 else 30),
        "subsets": Cost(15, 0.1, 900 if wide else 200 if vector_bits() == 256 else 80),
        "int8": Cost(6, 0.3, 150 if bytes_inner() else 60 if vector_bits() >= 256 else 12),
        "int16": Cost(8, 0.6, 70 if wide else 35 if vector_bits() == 256 else 10),
        "float32": Cost(10, 0.6, 50),
        "float64": Cost(10, 1.2, 25),
        "int64": Cost(4, 1.0, 1.0),
    }


def dot_inner(path: str) -> Inner:
    """The inner product of the paths int8 and int16."""
    return (bytes_inner() or pairs_inner()) if path == "int8" else pairs_inner()


PATHS = ("popcount", "subsets", "int8", "int16", "float32", "float64", "int64")
DIGITS = {"float32": 24, "float64": 53}
LONG_ENOUGH = 16
"""Cells of the depth that a 32-bit lane must hold for the int16 path to be worth it."""


def obstacle(path: str, problem: Problem) -> str | None:
    """Why the path would not be exact, or could not run; None if it is proved exact."""
    left, right = problem.left, problem.right
    ranges = f"{left.low}..{left.high} times {right.low}..{right.high}"
    if path in ("popcount", "subsets"):
        return None if problem.plane_pairs else "an operand has no format of at most 16 bits; declare one"
    if path == "int8":
        eight = all(span.high - span.low <= 255 for span in (left, right))
        return None if eight and dot_chunk(dot_inner(path), left, right) else f"{ranges} does not fit 8 bits"
    if path == "int16":
        fits = dot_chunk(dot_inner(path), left, right) >= LONG_ENOUGH
        return None if fits else f"fewer than {LONG_ENOUGH} pairs of {ranges} fit a sum of 32 bits"
    if path in DIGITS:
        fits = exact_depth(left, right, DIGITS[path]) > 0
        return None if fits else f"a product of {ranges} can exceed 2**{DIGITS[path]}"
    return None


def _proof(path: str, problem: Problem) -> str:
    """Why the path is exact."""
    left, right, depth = problem.left, problem.right, problem.depth
    if path in ("popcount", "subsets"):
        return f"{problem.plane_pairs} products of bit planes, counts of at most {depth}"
    if path in ("int8", "int16"):
        inner = dot_inner(path)
        return f"32-bit lanes hold pieces of {dot_chunk(inner, left, right) * inner.depth} products of the depth {depth}"
    if path in DIGITS:
        piece = min(exact_depth(left, right, DIGITS[path]), depth)
        return f"sums of {piece} products of the depth {depth} stay within 2**{DIGITS[path]}"
    return "64-bit integers modulo 2**64, and the result fits"


def _seconds(path: str, problem: Problem) -> float:
    """Estimated seconds on one core."""
    cost = _costs()[path]
    products = problem.rows * problem.depth * problem.columns * max(problem.plane_pairs if path in PATHS[:2] else 1, 1)
    extra = 0.0
    if path == "subsets":
        # 64 rows share a table, and columns come by 512
        products = products * (1 + 14 / max(min(problem.rows, 64), 1)) * (-(-problem.columns // 512) * 512 / max(problem.columns, 1))
    if path in DIGITS:
        pieces = -(-problem.depth // max(exact_depth(problem.left, problem.right, DIGITS[path]), 1))
        extra = pieces * problem.rows * problem.columns * 1e-9
    return cost.call * 1e-6 + cost.value * problem.rows * problem.depth * 1e-9 + products / cost.speed * 1e-9 + extra


@lru_cache(1024)
def choose(problem: Problem, path: str) -> Choice:
    """The path for a problem: the named one, or with "auto" the one of least estimated time."""
    obstacles = {name: obstacle(name, problem) for name in PATHS}
    if path != "auto":
        if obstacles[path]:
            possible = ", ".join(name for name in PATHS if not obstacles[name])
            raise ValueError(f"gemm: path={path!r} is not exact here: {obstacles[path]}; possible: auto, {possible}")
        return Choice(path, f"asked for; {_proof(path, problem)}", _seconds(path, problem))
    estimates = {name: _seconds(name, problem) for name in PATHS if not obstacles[name]}
    best = min(estimates, key=lambda name: estimates[name])
    others = {name: obstacles[name] or f"about {estimates[name] * 1e6:.0f} us on one core" for name in PATHS if name != best}
    reason = f"{_proof(best, problem)}; about {estimates[best] * 1e6:.0f} us on one core"
    return Choice(best, reason, estimates[best], tuple(others.items()))
