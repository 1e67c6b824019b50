"""A right operand made ready: for each kind of left operand a plan, and exact products by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import per_column
from refq.channels import ACC_LIMIT
from refq.products.affine import Affine, column_part, modulo_int64
from refq.products.choice import Choice, choose, made_ready
from refq.products.operands import Operand, Span, operand
from refq.products.paths import Ready
from refq.products.problem import PLANE_PATHS, Problem

NONE = np.empty(0, np.int64)
MOST_PLANS = 64
"""Plans that a right operand keeps: one for each number of rows, range of the left values, zero point, path, dtype."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A right operand with its zero points, one a column; each path keeps here what it packs of it."""

    operand: Operand
    zero_points: NDArray[np.int64]
    plans: dict[Any, Any] = field(default_factory=dict)

    @property
    def zero_range(self) -> tuple[int, int]:
        """The smallest and the largest zero point; 0, 0 without columns."""
        zeros = self.zero_points
        return (int(zeros.min()), int(zeros.max())) if zeros.size else (0, 0)


def prepared(function: str, rhs: Any, rhs_format: object, zero_point: Any) -> Prepared:
    """`prepare` for an argument of `function`."""
    right = operand(function, "rhs", rhs, rhs_format, transposed=True)
    right.check()
    return Prepared(right, per_column(function, "rhs_zero_point", zero_point, right.shape[0], -ACC_LIMIT, ACC_LIMIT))


@dataclass(frozen=True, eq=False)
class Plan:
    """All that does not depend on the left values: the path, made ready, and its correction."""

    choice: Choice
    ready: Ready
    reach: int
    base: NDArray[Any]
    row_weights: NDArray[Any]


WAYS_OUT = {
    np.dtype(np.int64): "declare narrower formats or split the depth",
    np.dtype(np.int32): "declare narrower formats or pass dtype='int64'",
}
"""For each dtype a result can have, what to do about sums outside it."""


def _reach(problem: Problem, zero_point: int, lowest: int, highest: int, dtype: np.dtype[Any]) -> int:
    """The largest magnitude of a sum, right zero points lowest..highest; refused if it could leave the dtype."""
    left, right = problem.left, problem.right
    reach = problem.depth * left.reach(zero_point, zero_point) * right.reach(lowest, highest)
    if reach > np.iinfo(dtype).max:
        raise ValueError(
            f"gemm: sums of {problem.depth} products of {left.low - zero_point}..{left.high - zero_point} and "
            f"{right.low - highest}..{right.high - lowest} could reach {reach}, outside {dtype}; {WAYS_OUT[dtype]}"
        )
    return reach


def _plan(rows: int, span: Span, right: Prepared, zero_point: int, path: str, dtype: np.dtype[Any]) -> Plan:
    columns, depth = right.operand.shape
    problem = Problem(rows, depth, columns, span, right.operand.span)
    reach = _reach(problem, zero_point, *right.zero_range, dtype)
    choice = choose(problem, path)
    ready = made_ready(choice.path, span, right.operand)
    offsets = ready.left_offset, ready.right_offset
    base, row_weights = column_part(right.operand, *offsets, zero_point, right.zero_points)
    weights = row_weights if row_weights.any() else NONE
    return Plan(choice, ready, reach, base.astype(dtype), weights.astype(dtype))


def with_bias(plan: Plan, bias: NDArray[np.int64] | None) -> NDArray[Any]:
    """What a sum starts from in each column."""
    if bias is None:
        return plan.base
    largest = max(int(bias.max()), -int(bias.min())) if bias.size else 0
    dtype = plan.base.dtype
    if plan.reach + largest > np.iinfo(dtype).max:
        raise ValueError(
            f"gemm: sums of up to {plan.reach} and a bias of up to {largest} could leave {dtype}; {WAYS_OUT[dtype]}"
        )
    base: NDArray[Any] = plan.base + bias.astype(dtype)
    return base


def plan_for(rows: int, span: Span, right: Prepared, zero_point: int, path: str, dtype: np.dtype[Any]) -> Plan:
    """The plan for such left operands, made the first time."""
    key, plans = (rows, span, zero_point, path, dtype.itemsize), right.plans
    plan: Plan | None = plans.get(key)
    if plan is None:
        if len(plans) >= MOST_PLANS:
            plans.clear()
        plan = plans[key] = _plan(rows, span, right, zero_point, path, dtype)
    return plan


def follow(plan: Plan, left: Operand, base: NDArray[Any], out: NDArray[Any]) -> None:
    """Fills out, C-contiguous and of the plan's dtype. base: that of the plan, or with a bias added to it."""
    if plan.choice.path not in PLANE_PATHS:
        left.check()
    if not out.size:
        return
    sums = plan.row_weights
    if sums.size:
        sums = (left.row_sums() - modulo_int64(left.shape[1] * plan.ready.left_offset)).astype(out.dtype)
    plan.ready.run(left, Affine(base, sums, plan.row_weights), out, plan.choice.seconds)


def exact_product(
    left: Operand, right: Prepared, zero_point: int, bias: NDArray[np.int64] | None, path: str, out: NDArray[Any]
) -> Choice:
    """Fills out, int64 or int32 and C-contiguous, with checked operands; says how. bias: int64, one a column."""
    plan = plan_for(left.shape[0], left.span, right, zero_point, path, out.dtype)
    follow(plan, left, with_bias(plan, bias), out)
    return plan.choice
