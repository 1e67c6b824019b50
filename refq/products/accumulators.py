"""Sums of products over arrays as an accumulator rule makes them: arguments, bounds, refusals.

The loops are in `refq.products.summing`. Before they run, depth * max|lhs| * max|rhs| + max|bias| < 2**63 is checked in
Python ints. No narrowing makes a sum larger, except an unsigned wrap, which is counted; so no sum there leaves int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.accumulation import Accumulator, Register, parse_accumulator
from refq.arguments import in_range, integer_array, per_column
from refq.formats import INT64, Overflow
from refq.products.summing import add_up, chunk_order, narrow_all, register_numbers

WAY_OUT = "; pass 'exact', or a rule that wraps or saturates there"
_SUM = Accumulator("sum", Register(INT64, Overflow.ERROR))


def _refused(changed: NDArray[np.int64], rule: Accumulator) -> NDArray[np.bool_]:
    """The rows in which a register of ERROR was left."""
    registers = (rule.inner, rule.outer)
    stops = [register is not None and register.overflow == Overflow.ERROR for register in registers]
    refused: NDArray[np.bool_] = np.any((changed != 0) & np.array(stops)[:, None], axis=0)
    return refused


def _hold(value: int, register: Register, place: str, when: str) -> int:
    """The value a register keeps; raises if it refuses it."""
    fmt = register.fmt
    if register.overflow == Overflow.WRAP:
        return (value - fmt.qmin) % (1 << fmt.bits) + fmt.qmin
    held = min(max(value, fmt.qmin), fmt.qmax)
    if register.overflow == Overflow.ERROR and held != value:
        raise ValueError(f"{place}={value} is outside {fmt.qmin}..{fmt.qmax}, {fmt.name}, {when}{WAY_OUT}")
    return held


def _chunk_sum(terms: list[int], register: Register | None, place: str, when: str) -> int:
    part = 0
    for count, term in enumerate(terms, 1):
        part += term
        if register is not None and (register.each_step or count == len(terms)):
            part = _hold(part, register, place, f"after {count} terms of {when}")
    return part


def add_up_one(terms: list[int], rule: Accumulator, bias: int, place: str) -> int:
    """One output in Python ints of any size, its terms in the order of `chunk_order`; raises where one is refused."""
    total, chunk = bias, rule.chunk_terms(len(terms))
    for start in range(0, len(terms), chunk):
        stop = min(start + chunk, len(terms))
        total += _chunk_sum(terms[start:stop], rule.inner, place, f"chunk {start // chunk}")
        if rule.outer.each_step:
            total = _hold(total, rule.outer, place, f"after {stop} of {len(terms)} terms")
    return _hold(total, rule.outer, place, f"after {len(terms)} of {len(terms)} terms")


def in_chunk_order(products: list[int], rule: Accumulator) -> list[int]:
    """The terms as the rule adds them: with a stride reordered, 0 for those beyond the depth."""
    if rule.stride == 1:
        return products
    return [[*products, 0][t] for t in chunk_order(len(products), rule)]


def _refuse(function: str, lhs: NDArray[Any], rhs: NDArray[Any], bias: NDArray[Any], rule: Accumulator) -> None:
    """Raises, with the first row and column whose sum leaves a register of ERROR."""
    out = np.empty((lhs.shape[0], rhs.shape[1]), np.int64)
    out[:] = bias
    row = int(np.argmax(_refused(add_up(lhs, rhs, rule, out), rule)))
    # Columns as rows, so that each has its own answer
    out = bias[:, None].copy()
    by_column = add_up(np.ascontiguousarray(rhs.T), np.ascontiguousarray(lhs[row, :, None]), rule, out)
    column = int(np.argmax(_refused(by_column, rule)))
    terms = in_chunk_order([int(x) * int(y) for x, y in zip(lhs[row], rhs[:, column], strict=True)], rule)
    add_up_one(terms, rule, int(bias[column]), f"{function}: sum[{row}, {column}]")


def _int64(array: NDArray[Any]) -> NDArray[np.int64]:
    """A writable copy in C order: one kernel type."""
    return np.array(array, np.int64, order="C")


def _largest(array: NDArray[Any]) -> int:
    return max(-int(array.min()), int(array.max())) if array.size else 0


def _bound(function: str, lhs: NDArray[Any], rhs: NDArray[Any], bias: NDArray[Any], rule: Accumulator) -> None:
    """Refuses what could leave int64 on the way."""
    depth = lhs.shape[1]
    reach = depth * _largest(lhs) * _largest(rhs)
    if rule.inner is not None and not rule.inner.fmt.signed:
        # Wrapped to unsigned, -1 becomes the largest code
        reach = max(reach, depth * rule.inner.fmt.qmax)
    reach += _largest(bias)
    if reach > INT64.qmax:
        raise ValueError(f"{function}: sums of depth {depth} could reach {reach}, outside int64; split or narrow them")


def _bias(function: str, bias: Any, columns: int, rule: Accumulator) -> NDArray[np.int64]:
    fmt, start = rule.outer.fmt if rule.outer.each_step else INT64, 0 if bias is None else bias
    return per_column(function, "bias", start, columns, fmt.qmin, fmt.qmax, f", the accumulator of {rule.name}")


def finish(function: str, exact: Any, rule: Accumulator | str) -> NDArray[np.int64]:
    """Exact sums, bias included, as a rule that narrows only at the end leaves them.

    exact: int64, any shape. Returns int64 of its shape. ValueError with the first place where a rule of ERROR refuses
    the sum, or if the rule looks at partial sums (`only_end` is false).

    >>> finish("gemm", np.array([40000, -5]), "wrap16"), finish("gemm", np.array([40000, -5]), "saturate16")
    (array([-25536,     -5]), array([32767,    -5]))
    """
    rule = parse_accumulator(rule)
    if not rule.only_end:
        raise ValueError(f"{function}: rule={rule.name} looks at partial sums; pass the operands to accumulate")
    sums = _int64(integer_array(function, "exact", exact))
    fmt = rule.outer.fmt
    if rule.outer.overflow == Overflow.ERROR:
        in_range(function, "sum", sums, fmt.qmin, fmt.qmax, f", {fmt.name}{WAY_OUT}")
        return sums
    narrow_all(sums.reshape(-1), *register_numbers(rule.outer)[:4])
    return sums


def accumulate(function: str, lhs: Any, rhs: Any, rule: Accumulator | str, bias: Any = None) -> NDArray[np.int64]:
    """out[i, j] = bias[j] + sum over t of lhs[i, t] * rhs[t, j], added up as `rule` says, t in rising order.

    lhs: (M, K), rhs: (K, N), integer dtypes, values (zero points subtracted). bias: None, a number or (N,).
    rule: a name of `ACCUMULATORS` or an `Accumulator`. Returns (M, N), int64, equal to `refq.spec.accumulators.dot`
    element by element. Errors begin with `function`: TypeError for kinds, ValueError for shapes, for sums that could
    leave int64, and for a register of ERROR that is left, with the first [row, column] and the sum.

    >>> accumulate("gemm", [[255, 255]], [[127, -128], [127, -128]], "pairs16")
    array([[ 32767, -32768]])
    """
    rule = parse_accumulator(rule)
    left, right = integer_array(function, "lhs", lhs), integer_array(function, "rhs", rhs)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(f"{function}: lhs {left.shape} and rhs {right.shape} do not match; pass (M, K) and (K, N)")
    start = _bias(function, bias, right.shape[1], rule)
    _bound(function, left, right, start, rule)
    turned = left.shape[0] > right.shape[1]
    # The kernel's vectors run along the second operand: the longer side goes there.
    first, second = (right.T, left.T) if turned else (left, right)
    out = np.empty((first.shape[0], second.shape[1]), np.int64)
    out[:] = start[:, None] if turned else start
    changed = add_up(_int64(first), _int64(second), _SUM if rule.only_end else rule, out)
    out = np.ascontiguousarray(out.T) if turned else out
    if rule.only_end:
        return finish(function, out, rule)
    if _refused(changed, rule).any():
        _refuse(function, _int64(left), _int64(right), start, rule)
    return out
