"""Which kernel runs a plan, and the loop that runs it over an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.pipeline import (
    exact_code,
    exact_column,
    float32_plain,
    float64_plain,
    float_code,
    float_column,
    integer_code,
    integer_column,
    integer_plain,
)
from refq.plans import FloatPlan, IntegerPlan, Plan
from refq.rules import Arithmetic

# arithmetic -> (code of one accumulator, record of one channel)
KERNELS: dict[Arithmetic, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Arithmetic.INTEGER: (integer_code, integer_column),
    Arithmetic.FLOAT32: (float_code, float_column),
    Arithmetic.FLOAT64: (float_code, float_column),
    Arithmetic.EXACT: (exact_code, exact_column),
}


def _places(record: Any, names: str) -> tuple[int, ...]:
    return tuple(record._fields.index(name) for name in names.split())


# arithmetic -> a shorter kernel, some times as fast, and the fields that must be zero for it to be the same
_PLAIN: dict[Arithmetic, tuple[Callable[..., Any], tuple[int, ...]]] = {
    Arithmetic.INTEGER: (
        integer_plain,
        _places(
            IntegerPlan,
            "move addend high_negative high_odd wrap_mid low_odd before inside wrap_out",
        ),
    ),
    Arithmetic.FLOAT32: (float32_plain, _places(FloatPlan, "divide before last")),
    Arithmetic.FLOAT64: (float64_plain, _places(FloatPlan, "divide before last")),
}


def fastest(prepared: Plan) -> Callable[..., Any]:
    """The kernel for one accumulator that serves every channel of the plan."""
    plain, idle = _PLAIN.get(prepared.arithmetic, (None, ()))
    if plain is None or prepared.table[list(idle)].any() or prepared.qmax >= 1 << 31:
        return KERNELS[prepared.arithmetic][0]
    return plain


@njit
def _planes(code, column, acc, table, qmin, out):
    """acc: (outer, channels, inner); the channel's numbers are loop invariants, so its unused stages vanish."""
    for o in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            p = column(table, c, qmin)
            for i in range(acc.shape[2]):
                out[o, c, i] = code(acc[o, c, i], p)


def run_plan(prepared: Plan, acc: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill out (outer, channels, inner) from acc of the same shape; ranges already checked."""
    code, column = fastest(prepared), KERNELS[prepared.arithmetic][1]
    if acc.shape[2] > 1 or acc.shape[1] == 1:
        _planes(code, column, acc, prepared.table, prepared.qmin, out)
        return
    # channels innermost: turned round, so that the loop over one channel's values is contiguous
    turned = np.ascontiguousarray(acc.transpose(2, 1, 0))
    codes = np.empty(turned.shape, out.dtype)
    _planes(code, column, turned, prepared.table, prepared.qmin, codes)
    out[...] = codes.transpose(2, 1, 0)
