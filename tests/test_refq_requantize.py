"""requantize equals its definition for every rule: boundary lattice, all small accumulators, every order."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import ORDERS, around, check, in_order, lattice, limits

from refq import (
    INT8,
    RULES,
    Clamp,
    Derivation,
    FixedScale,
    IntFormat,
    Rounding,
    ZeroPoint,
)

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
EVERY_ORDER = pytest.mark.parametrize(("zero_point", "clamp"), ORDERS, ids=lambda o: o.value)
INT11 = IntFormat(11)
QUARTER, GENERAL, OVER_ONE = Fraction(1, 4), Fraction(0.009586980574), Fraction(np.float32(3.7474487).item())
TINY_FORMATS = [
    IntFormat(bits, signed=signed, narrow_range=narrowed)
    for bits in range(1, 7)
    for signed in (True, False)
    for narrowed in (True, False)
]


def ties_of(rule, scale):
    """Accumulators at and beside the first exact ties of a scale, where it has any."""
    half = 1 / (2 * scale)
    return around(*(round(n * half) for n in range(-9, 10)))


@EVERY_RULE
@pytest.mark.parametrize("scale", [QUARTER, GENERAL, OVER_ONE, Fraction(1, 1 << 19)], ids=float)
def test_boundary_lattice_of_the_accumulator(rule, scale):
    xs = lattice(*limits(rule, scale, 3, INT11))
    check(rule, scale, 3, INT11, [*xs[::2], *ties_of(rule, scale)])


@EVERY_RULE
@EVERY_ORDER
@pytest.mark.parametrize("zero", [-128, -3, 0, 7, 127])
def test_orders_at_ties_and_ends(rule, zero_point, clamp, zero):
    xs = [*ties_of(rule, QUARTER), *range(-12, 13), -513, -512, 511, 512]
    check(in_order(rule, zero_point, clamp), QUARTER, zero, INT8, xs)


@EVERY_RULE
@EVERY_ORDER
def test_orders_where_the_result_leaves_int32(rule, zero_point, clamp):
    xs = lattice(*limits(rule, OVER_ONE, 101))[::4]
    check(in_order(rule, zero_point, clamp), OVER_ONE, 101, INT8, xs)


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.derivation != Derivation.TOSA32], ids=lambda r: r.name)
@EVERY_ORDER
def test_orders_at_the_edge_of_int32(rule, zero_point, clamp):
    fixed = FixedScale(1 << 14, 14)
    edge = [x for x in around((1 << 31) - 1, -(1 << 31), reach=130) if -(1 << 31) <= x < 1 << 31]
    check(in_order(rule, zero_point, clamp), fixed, 100, INT8, edge[::7])


@EVERY_RULE
@pytest.mark.parametrize(
    ("scale", "zero", "order", "stride"),
    [
        (QUARTER, 7, (ZeroPoint.BEFORE, Clamp.FIRST), 1),
        (QUARTER, -3, (ZeroPoint.AFTER, Clamp.LAST), 7),
        (Fraction(3, 128), 7, (ZeroPoint.BEFORE, Clamp.LAST), 11),
        (GENERAL, 0, (ZeroPoint.AFTER, Clamp.FIRST), 11),
    ],
    ids=["quarter_before", "quarter_after", "three_128ths_before", "general"],
)
def test_every_small_accumulator(rule, scale, zero, order, stride):
    check(in_order(rule, *order), scale, zero, INT11, range(-2048, 2048, stride))


@pytest.mark.sweep
@EVERY_RULE
@EVERY_ORDER
@pytest.mark.parametrize("scale", [QUARTER, Fraction(5, 64), GENERAL], ids=float)
def test_every_14_bit_accumulator(rule, zero_point, clamp, scale):
    check(in_order(rule, zero_point, clamp), scale, -3, INT8, range(-8192, 8192))


@EVERY_RULE
@pytest.mark.parametrize("fmt", TINY_FORMATS, ids=lambda f: f.name)
def test_small_formats(rule, fmt):
    for zero in sorted({fmt.qmin, fmt.qmax}):
        check(rule, Fraction(1, 2), zero, fmt, range(-10, 11))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("name", ["single_up", "double_up", "float32_ties_even", "exact_ties_even"])
def test_every_rounding_in_every_kernel(name, rounding):
    for zero_point, clamp in ORDERS:
        rule = in_order(RULES[name], zero_point, clamp)
        check(type(rule)(**{**vars(rule), "rounding": rounding}), QUARTER, 5, INT8, range(-24, 25))
