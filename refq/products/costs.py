"""What a path costs, roughly: figures of benchmarks/products.py on one core. They order the paths, never a result."""

from __future__ import annotations

from typing import NamedTuple

from refq.products.paths import exact_depth
from refq.products.problem import DIGITS, PLANE_PATHS, Problem
from refq.products.vectors import target_features, vector_bits


class Cost(NamedTuple):
    """Microseconds a call, nanoseconds a value of the left operand, products a nanosecond."""

    call: float
    value: float
    speed: float


COSTS = {
    512: {
        "popcount": Cost(25, 0.1, 250),
        "subsets": Cost(30, 0.1, 900),
        "int8": Cost(20, 0.3, 150),
        "int16": Cost(20, 0.6, 70),
    },
    256: {
        "popcount": Cost(25, 0.1, 120),
        "subsets": Cost(30, 0.1, 200),
        "int8": Cost(20, 0.6, 35),
        "int16": Cost(20, 0.6, 35),
    },
    128: {
        "popcount": Cost(25, 0.3, 30),
        "subsets": Cost(30, 0.3, 80),
        "int8": Cost(20, 0.6, 10),
        "int16": Cost(20, 0.6, 10),
    },
}
EVERYWHERE = {"float32": Cost(20, 0.6, 50), "float64": Cost(20, 1.2, 25), "int64": Cost(15, 1.0, 1.0)}
BY_FEATURE = {"popcount": ("avx512vpopcntdq", 700.0), "int8": ("avx512vnni", 150.0)}
ADDED = 1e-9
"""Seconds to add one float to the result."""
TABLE_ROWS = 14
"""Rows that cost as much as the table of subsets; 64 rows share one."""


def _cost(path: str) -> Cost:
    cost = (COSTS[vector_bits()] | EVERYWHERE)[path]
    feature, speed = BY_FEATURE.get(path, ("", cost.speed))
    return cost._replace(speed=speed) if feature in target_features() else cost


def _products(path: str, problem: Problem) -> float:
    """Products of the path's kind."""
    rows, columns = problem.rows, problem.columns
    pairs = problem.plane_pairs if path in PLANE_PATHS else 1
    if path == "subsets":
        rows += TABLE_ROWS * -(-rows // 64)
        columns = -(-columns // 512) * 512
    return float(rows) * columns * problem.depth * pairs


def seconds(path: str, problem: Problem) -> float:
    """An estimate for one core."""
    cost = _cost(path)
    start = cost.call * 1e-6 + cost.value * 1e-9 * problem.rows * problem.depth
    adding = 0.0
    if path in DIGITS:
        piece = max(exact_depth(problem.left, problem.right, DIGITS[path]), 1)
        adding = -(-problem.depth // piece) * problem.rows * problem.columns * ADDED
    return start + adding + _products(path, problem) / cost.speed * 1e-9
