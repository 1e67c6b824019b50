"""From the sums of a layer of products to its codes: a plan a rule, made once, and kernels with channels innermost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import dtype_of, in_range
from refq.formats import IntFormat, Rounding
from refq.layers.plan_arrays import plan_codes
from refq.layers.product_kernels import VALUES_A_SECOND, rows_kernel, tiled
from refq.layers.product_rules import parse_product_rule, tail_channels
from refq.layers.rescaling import activation_bounds
from refq.parameters import prepare
from refq.plans import FloatPlan, IntegerPlan, Plan
from refq.products.threads import share
from refq.rules import Arithmetic, Scaling, Semantics

Codes = Callable[[NDArray[Any]], NDArray[Any]]
_ENDS = {Arithmetic.INTEGER: IntegerPlan._fields, Arithmetic.FLOAT32: FloatPlan._fields}
_ENDS[Arithmetic.FLOAT64] = _ENDS[Arithmetic.FLOAT32]


@dataclass(frozen=True, eq=False)
class Target:
    """What the sums of a layer become.

    where: the layer, for errors. factors: steps of the output per unit of a sum under a product of scales, one or one a
    channel. scale, zero_point, fmt: of the output. axis: the dimension of the sums with the channels, `channels` of
    them. activation: a name of ACTIVATIONS. bounds: how a float32 rule rounds the activation's bounds; all others
    compute them as TFLite does, ties away. wide: sums have 64 bits. reach: sums are known to lie in low..high.
    """

    where: str
    factors: Callable[[Scaling], list[Fraction]]
    scale: np.float32
    zero_point: int
    fmt: IntFormat
    channels: int
    axis: int = -1
    activation: str = "none"
    bounds: Rounding = Rounding.TIES_AWAY
    wide: bool = False
    reach: tuple[int, int] | None = None


def _limits(target: Target, semantics: Semantics) -> tuple[int, int]:
    """The codes that the activation leaves."""
    single = semantics.rule.arithmetic == Arithmetic.FLOAT32
    rounding = target.bounds if single else Rounding.TIES_AWAY
    return activation_bounds(target.activation, target.scale, target.zero_point, target.fmt, rounding)


def _prepared(target: Target, semantics: Semantics) -> tuple[Plan, tuple[int, int]]:
    """The plan of one rule with the activation's limits for its ends, and the sums it is exact on."""
    factors = target.factors(semantics.scaling)
    try:
        plan, domain = prepare(semantics.rule, factors, target.zero_point, target.fmt, "rescale")
    except ValueError as error:
        raise ValueError(f"{target.where}: {str(error).partition(': ')[2]}") from None
    return _clamped(plan, _limits(target, semantics)), domain


def _clamped(plan: Plan, limits: tuple[int, int]) -> Plan:
    """Narrower ends; a table of thresholds has none."""
    if plan.arithmetic == Arithmetic.EXACT:
        return plan
    fields, table = _ENDS[plan.arithmetic], plan.table.copy()
    table[fields.index("qmin")], table[fields.index("qmax")] = limits
    return replace(plan, table=table)


def _merged(target: Target, ahead: Plan, behind: Plan) -> Plan:
    """One plan of two: whole vectors of channels by the first, the channels behind them by the second."""
    shape = (len(ahead.table), target.channels)
    tables = [np.broadcast_to(plan.table, shape) for plan in (ahead, behind)]
    table = np.where(tail_channels(target.channels), tables[1], tables[0])
    return replace(ahead, table=table, acc_bound=min(ahead.acc_bound, behind.acc_bound))


def bind_codes(label: str, target: Target) -> Codes:
    """A function of sums (int64, channels along the axis, any other sizes) -> codes of the target's format.

    label: see `refq.layers.product_rules`. ValueError where a factor does not fit the rule, and, from the function,
    where a sum lies outside the accumulators of the rule; both name the layer.

    >>> from refq.formats import INT8
    >>> target = Target("conv", lambda scaling: [Fraction(1, 4)], np.float32(1), 0, INT8, channels=9)
    >>> bind_codes("double_up+gemmlowp_double_tail/double_product/after", target)(np.full((1, 9), -2))
    array([[ 0,  0,  0,  0,  0,  0,  0,  0, -1]], dtype=int8)
    """
    ahead, behind = parse_product_rule(label, wide=target.wide)
    plan, (low, high) = _prepared(target, ahead)
    if behind != ahead:
        last, (lower, upper) = _prepared(target, behind)
        plan, low, high = _merged(target, plan, last), max(low, lower), min(high, upper)
    proved = target.reach is not None and low <= target.reach[0] and target.reach[1] <= high
    run = _runner(target, plan)

    def codes(acc: NDArray[Any]) -> NDArray[Any]:
        if not proved:
            in_range(target.where, "sum", acc, low, high, f"; {label} is not defined there")
        return run(acc)

    if plan.arithmetic != Arithmetic.EXACT:
        return codes
    ends = _limits(target, ahead)
    return lambda acc: np.clip(codes(acc), *(dtype_of(target.fmt.bits, target.fmt.signed).type(e) for e in ends))


def _runner(target: Target, plan: Plan) -> Codes:
    """The fast kernel where there is one and the channels lie last, else what any plan takes."""
    kernel = rows_kernel(plan)
    dtype, single = dtype_of(target.fmt.bits, target.fmt.signed), plan.table.shape[1] == 1
    if kernel is None:
        return lambda acc: plan_codes(target.where, plan, acc, target.axis, target.fmt)
    table, signed = tiled(plan), np.dtype(f"int{8 * dtype.itemsize}")

    def run(acc: NDArray[Any]) -> NDArray[Any]:
        if not single and target.axis % acc.ndim != acc.ndim - 1:
            return plan_codes(target.where, plan, acc, target.axis, target.fmt)
        out = np.empty(acc.shape, dtype)
        # a code is stored by its low bits: one kernel serves both signs
        flat, codes, width = np.ascontiguousarray(acc).reshape(-1), out.reshape(-1).view(signed), table.shape[1]
        share(partial(_some, kernel, flat, table, codes), -(-flat.size // width), flat.size / VALUES_A_SECOND)
        return out

    return run


def _some(
    kernel: Callable[..., None], acc: NDArray[Any], table: NDArray[Any], out: NDArray[Any], start: int, stop: int
) -> None:
    """Tiles start..stop - 1 of the flat sums."""
    span = slice(start * table.shape[1], stop * table.shape[1])
    kernel(acc[span], table, out[span])


def finisher(target: Target) -> Callable[[NDArray[Any], str], NDArray[Any]]:
    """A function of (sums, label) -> codes that keeps what it has bound of each label.

    >>> from refq.formats import INT8
    >>> finish = finisher(Target("dense", lambda scaling: [Fraction(1, 4)], np.float32(1), 7, INT8, channels=3))
    >>> [finish(np.array([[-2, 1, 2]]), rule).tolist() for rule in ("gemmlowp_double", "float32_ties_even")]
    [[[6, 8, 8]], [[7, 7, 7]]]
    """
    bound: dict[str, Codes] = {}

    def finish(acc: NDArray[Any], label: str) -> NDArray[Any]:
        if label not in bound:
            bound[label] = bind_codes(label, target)
        return bound[label](acc)

    return finish
