"""What a path costs, roughly: figures of benchmarks/products.py on one core. They order the paths, never a result."""

from __future__ import annotations

from typing import NamedTuple

from refq.products.paths import exact_depth
from refq.products.problem import DIGITS, PLANE_PATHS, Problem
from refq.products.subset_blocks import ROWS
from refq.products.vectors import target_features, vector_bits


class Cost(NamedTuple):
    """Microseconds a call, nanoseconds a value of the left operand, products a nanosecond."""

    call: float
    value: float
    speed: float


COSTS = {
    512: {
        "popcount": Cost(30, 0.1, 170),
        "subsets": Cost(50, 0.1, 900),
        "int8": Cost(12, 0.1, 80),
        "int16": Cost(30, 0.8, 80),
    },
    256: {
        "popcount": Cost(30, 0.1, 120),
        "subsets": Cost(50, 0.1, 200),
        "int8": Cost(28, 0.8, 35),
        "int16": Cost(30, 0.8, 35),
    },
    128: {
        "popcount": Cost(30, 0.3, 30),
        "subsets": Cost(50, 0.3, 80),
        "int8": Cost(28, 0.8, 10),
        "int16": Cost(30, 0.8, 10),
    },
}
EVERYWHERE = {"float32": Cost(28, 0.6, 50), "float64": Cost(28, 1.2, 25), "int64": Cost(20, 1.0, 3)}
BY_FEATURE = {"popcount": ("avx512vpopcntdq", 600.0), "int8": ("avx512vnni", 200.0)}
ADDED = 1e-9
"""Seconds to add one float, or one count of subsets, to the result."""
TABLE_ROWS = 6
"""Rows that cost as much as the table of subsets."""


def _cost(path: str) -> Cost:
    cost = (COSTS[vector_bits()] | EVERYWHERE)[path]
    feature, speed = BY_FEATURE.get(path, ("", cost.speed))
    return cost._replace(speed=speed) if feature in target_features() else cost


def _products(path: str, problem: Problem) -> float:
    """Products of the path's kind."""
    rows, columns = problem.rows, problem.columns
    pairs = problem.plane_pairs if path in PLANE_PATHS else 1
    if path == "subsets":
        rows += TABLE_ROWS * -(-rows // ROWS)
        columns = -(-columns // 512) * 512
    return float(rows) * columns * problem.depth * pairs


def _pieces(path: str, problem: Problem) -> int:
    """How many partial results are added up one by one; those of tiles are counted in their speed."""
    if path == "subsets":
        return problem.plane_pairs
    if path in DIGITS:
        return -(-problem.depth // max(exact_depth(problem.left, problem.right, DIGITS[path]), 1))
    return 0


def seconds(path: str, problem: Problem) -> float:
    """An estimate for one core."""
    cost = _cost(path)
    start = cost.call * 1e-6 + cost.value * 1e-9 * problem.rows * problem.depth
    adding = _pieces(path, problem) * problem.rows * problem.columns * ADDED
    return start + adding + _products(path, problem) / cost.speed * 1e-9
