"""Shared by the tests of `refq`: exact comparison, boundary lattices, the definition applied to arrays."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from types import FunctionType
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from refq import INT8, RULES, Clamp, FixedScale, IntFormat, Rounding, Rule, ZeroPoint, requantize
from refq.parameters import prepare
from refq.spec import requantize as spec

ORDERS = [(zero_point, clamp) for zero_point in ZeroPoint for clamp in Clamp]
QUICK = settings(derandomize=True, max_examples=60, deadline=None, database=None)


def assert_same(got: Any, expected: Any) -> int:
    """Equal dtype, shape and values, and at least one of them; returns how many were compared."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, f"dtype {got.dtype}, expected {expected.dtype}"
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    assert got.size > 0, "nothing was compared"
    wrong = np.flatnonzero((got != expected).ravel())
    if wrong.size:
        at = int(wrong[0])
        first = f"flat[{at}]: {got.flat[at]}, expected {expected.flat[at]}"
        raise AssertionError(f"{wrong.size} of {got.size} differ; {first}")
    return int(got.size)


def stored_dtype(fmt: IntFormat) -> str:
    """The smallest NumPy dtype of a format, written independently of `refq.arguments`."""
    width = 8 if fmt.bits <= 8 else 16 if fmt.bits <= 16 else 32 if fmt.bits <= 32 else 64
    return f"int{width}" if fmt.signed else f"uint{width}"


def codes(xs: Iterable[int], rule: Rule, scale: Fraction | FixedScale, zero_point: int, fmt: IntFormat) -> np.ndarray:
    """The definition, one accumulator at a time; a scale is turned into multiplier and shift once."""
    operand = spec.operand(rule, scale)
    if not isinstance(operand, FixedScale):
        operand = scale
    return np.array([spec.requantize(int(x), rule, operand, zero_point, fmt) for x in xs], stored_dtype(fmt))


def in_order(rule: Rule, zero_point: ZeroPoint, clamp: Clamp) -> Rule:
    return replace(rule, zero_point=zero_point, clamp=clamp)


def limits(rule: Rule, scale: Any, zero_point: int = 0, fmt: IntFormat = INT8) -> tuple[int, int]:
    """The accumulators on which the array function answers."""
    return prepare(rule, scale, zero_point, fmt)[1]


def check(rule: Rule, scale: Any, zero_point: int, fmt: IntFormat, xs: Iterable[int]) -> int:
    """requantize equals the definition on those of the accumulators that the rule is defined on."""
    low, high = limits(rule, scale, zero_point, fmt)
    inside = np.array([x for x in xs if low <= x <= high], np.int64)
    got = requantize(inside, rule, scale, zero_point=zero_point, fmt=fmt)
    return assert_same(got=got, expected=codes(inside, rule, scale, zero_point, fmt))


def around(*centres: int, reach: int = 1) -> list[int]:
    return sorted({c + d for c in centres for d in range(-reach, reach + 1)})


def lattice(low: int, high: int) -> list[int]:
    """Ends, ends -+ 1, -1, 0, 1 and powers of two -+ 1 of both signs, inside low..high."""
    powers = [sign << k for k in range(64) for sign in (1, -1)]
    return [x for x in around(low, high, 0, *powers) if low <= x <= high]


def twin(kernel: Any) -> Callable[..., Any]:
    """The kernel's body as plain Python on unbounded ints, the kernels it calls included."""
    body = kernel.py_func
    callees = {name: body.__globals__.get(name) for name in body.__code__.co_names}
    plain = {name: twin(callee) for name, callee in callees.items() if hasattr(callee, "py_func")}
    return FunctionType(body.__code__, body.__globals__ | plain)


roundings = st.sampled_from(list(Rounding))
rules = st.sampled_from(list(RULES.values()))
orders = st.sampled_from(ORDERS)


def integers_near(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of the range, half of them from its lattice."""
    return st.one_of(st.integers(low, high), st.sampled_from(lattice(low, high)))


@st.composite
def scales(draw: st.DrawFn) -> Fraction:
    """A float32 scale in 2**-28..2**2, powers of two among them."""
    mantissa = draw(st.one_of(st.just(1 << 23), st.integers(1 << 23, (1 << 24) - 1)))
    return Fraction(mantissa, 1 << 23) * Fraction(2) ** draw(st.integers(-28, 1))


formats = st.sampled_from([IntFormat(8), IntFormat(8, signed=False), IntFormat(4), IntFormat(16), IntFormat(32)])
