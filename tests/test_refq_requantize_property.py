"""Properties of requantize and quantize with three executors: definition, the kernel's plain-Python twin, compiled."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from refq_cases import (
    ORDERS,
    QUICK,
    assert_same,
    codes,
    formats,
    in_order,
    integers_near,
    limits,
    orders,
    roundings,
    rules,
    scales,
    twin,
)

from refq import (
    INT8,
    QUANTIZE_RULES,
    RULES,
    Arithmetic,
    FixedScale,
    IntFormat,
    Scaling,
    quantize,
    requantize,
)
from refq.pipeline import exact_code, float_code, integer_code
from refq.planner import plan
from refq.plans import ExactPlan, FloatPlan, IntegerPlan
from refq.spec import requantize as spec

FLOAT_EXACT = 1 << 53  # Python's int to NumPy float32 conversion goes through float64, exact up to here


def twin_code(x, rule, scale, zero_point, fmt):
    """The kernel's body on unbounded ints; None where the rule wraps, which needs a width."""
    prepared = plan(rule, [scale], [zero_point], fmt)
    column = prepared.table[:, 0].tolist()
    if rule.arithmetic == Arithmetic.INTEGER:
        p = IntegerPlan(*column)
        wraps = p.wrap_in or p.wrap_mid or p.wrap_out
        return None if wraps else twin(integer_code)(x, p)
    if rule.arithmetic == Arithmetic.EXACT:
        return twin(exact_code)(x, ExactPlan(prepared.table[:, 0], fmt.qmin))
    return int(twin(float_code)(x, FloatPlan(*column)))


def agree(x, rule, scale, zero_point, fmt):
    expected = codes([x], rule, scale, zero_point, fmt)
    got = requantize(np.array([x]), rule, scale, zero_point=zero_point, fmt=fmt)
    assert_same(got=got, expected=expected)
    if rule.arithmetic in (Arithmetic.INTEGER, Arithmetic.EXACT) or abs(x) < FLOAT_EXACT:
        assert twin_code(x, rule, scale, zero_point, fmt) in (None, int(expected[0]))


@QUICK
@given(st.data(), rules, orders, scales(), formats)
def test_real_scales(data, rule, order, scale, fmt):
    assume(rule.arithmetic != Arithmetic.EXACT or fmt.bits <= 8)
    rule = in_order(rule, *order)
    zero_point = data.draw(integers_near(fmt.qmin, fmt.qmax))
    agree(data.draw(integers_near(*limits(rule, scale, zero_point, fmt))), rule, scale, zero_point, fmt)


@QUICK
@given(st.data(), st.sampled_from([r for r in RULES.values() if r.derivation.value.startswith("q31")]), roundings)
def test_fixed_scales_under_any_last_rounding(data, rule, rounding):
    fixed = FixedScale(data.draw(integers_near(-(1 << 31) + 1, (1 << 31) - 1)), data.draw(st.integers(0, 62)))
    fmt = data.draw(formats)
    x = data.draw(integers_near(-(1 << 31), (1 << 31) - 1))
    agree(x, replace(rule, rounding=rounding), fixed, data.draw(integers_near(fmt.qmin, fmt.qmax)), fmt)


@QUICK
@given(st.data(), rules, st.sampled_from([2, 3, 4, 8]), st.integers(-40, 40))
def test_exact_ties_of_dyadic_scales(data, rule, denominator, k):
    scale = Fraction(1, 1 << denominator)
    x = (2 * k + 1) << (denominator - 1)
    for order in ORDERS:
        agree(x, in_order(rule, *order), scale, data.draw(st.integers(-8, 7)), INT8)


@QUICK
@given(st.data(), rules, scales(), st.integers(1, 5), st.integers(1, 4))
def test_channels_are_independent(data, rule, scale, channels, rows):
    several = [scale / (1 << i) for i in range(channels)]
    zeros = [data.draw(st.integers(-128, 127)) for _ in several]
    bounds = [limits(rule, s) for s in several]
    low, high = max(b[0] for b in bounds), min(b[1] for b in bounds)
    xs = np.array([[data.draw(integers_near(low, high)) for _ in several] for _ in range(rows)])
    columns = [codes(xs[:, c], rule, several[c], zeros[c], INT8) for c in range(channels)]
    got = requantize(xs, rule, several, zero_point=zeros)
    assert_same(got=got, expected=np.stack(columns, axis=1))


@QUICK
@given(
    st.floats(-(2.0**60), 2.0**60, width=32),
    st.sampled_from(list(QUANTIZE_RULES.values())),
    orders,
    st.sampled_from([Scaling.DIVISION, Scaling.RECIPROCAL]),
    scales(),
    st.integers(-128, 127),
)
def test_quantize(x, rule, order, scaling, scale, zero_point):
    rule = in_order(rule, *order)
    expected = spec.quantize(Fraction(x), rule, scaling, scale, zero_point, INT8)
    got = quantize(np.float32([x]), rule, scale, scaling=scaling, zero_point=zero_point)
    assert_same(got=got, expected=np.array([expected], np.int8))


@QUICK
@given(st.integers(-600, 600), st.sampled_from(list(QUANTIZE_RULES.values())), orders, st.integers(-8, 7))
def test_quantize_at_ties(k, rule, order, zero_point):
    rule, fmt = in_order(rule, *order), IntFormat(9)
    expected = spec.quantize(Fraction(k, 8), rule, Scaling.DIVISION, Fraction(1, 4), zero_point, fmt)
    got = quantize(np.float32([k / 8]), rule, 0.25, zero_point=zero_point, fmt=fmt)
    assert_same(got=got, expected=np.array([expected], np.int16))
