"""A staircase is the whole of requantize: equal at its probes and at random inputs, for every rule and odd case."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same, codes, limits

from refq import (
    INT8,
    INT32,
    RULES,
    UINT8,
    Arithmetic,
    FixedScale,
    IntFormat,
    Rounding,
    ZeroPoint,
    probes,
    requantize,
    staircase,
)

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
LAMBDA = "multiply_add_shift_floor"
INT32_ENDS = (-(1 << 31), (1 << 31) - 1)


def inputs(steps, seed=0):
    random = np.random.default_rng(seed).integers(steps.first, steps.last, 20000, endpoint=True)
    return np.unique(np.concatenate([probes(steps), random]))


def check_steps(rule, scale, zero_point=0, fmt=INT8, domain=INT32_ENDS):
    """The staircase equals requantize, and its form is the unique one."""
    low, high = limits(RULES[rule] if isinstance(rule, str) else rule, scale, zero_point, fmt)
    domain = max(low, domain[0]), min(high, domain[1])
    steps = staircase(rule, scale, zero_point=zero_point, fmt=fmt, domain=domain)
    xs = inputs(steps)
    expected = requantize(xs, rule, scale, zero_point=zero_point, fmt=fmt).astype(np.int64)
    assert_same(got=steps(xs), expected=expected)
    assert steps.starts[0] == domain[0]
    assert (np.diff(steps.starts) > 0).all()
    assert (np.diff(steps.levels) != 0).all()
    assert steps.starts.dtype == steps.levels.dtype == np.int64
    return steps


@EVERY_RULE
@pytest.mark.parametrize("scale", [0.25, 0.009586980574, 2.0**-14, 0.4], ids=float)
def test_every_rule_on_all_of_int32(rule, scale):
    for order in ZeroPoint:
        steps = check_steps(replace(rule, zero_point=order), scale, zero_point=7)
        assert steps.monotone
    assert steps.levels[0] == -128
    assert steps.levels[-1] == 127


@EVERY_RULE
def test_a_scale_above_one_wrap_or_not(rule):
    check_steps(rule, np.float32(3.7474487), zero_point=-4)


@EVERY_RULE
def test_every_small_input_against_the_definition(rule):
    steps = staircase(rule, 0.25, zero_point=5, fmt=IntFormat(5), domain=(-90, 91))
    expected = codes(range(-90, 92), rule, Fraction(1, 4), 5, IntFormat(5)).astype(np.int64)
    assert_same(got=steps(np.arange(-90, 92)), expected=expected)
    assert steps.size == 182


@pytest.mark.parametrize(
    ("rule", "scale"), [("xnnpack_rndnu", 3.7474487), ("gemmlowp_double", 3.7), ("double_up", 100.0)]
)
def test_wrapping_rules_are_not_monotone(rule, scale):
    assert not check_steps(rule, np.float32(scale)).monotone


@pytest.mark.parametrize("fixed", [FixedScale(32767, 8), FixedScale(32767, 14), FixedScale(20000, 12)])
def test_the_wrap_before_the_last_halving(fixed):
    check_steps("reduced_int64_halved", fixed)


@pytest.mark.parametrize("fixed", [FixedScale((1 << 31) - 1, 31, 1 << 61), FixedScale((1 << 31) - 1, 29, -(1 << 61))])
def test_an_addend_that_makes_the_result_wrap_beyond_the_kernels_range(fixed):
    steps = staircase("single_up", fixed)
    xs = np.concatenate([probes(steps), np.arange(steps.first, steps.last, 1 << 24)])
    assert_same(got=steps(xs), expected=codes(xs, RULES["single_up"], fixed, 0, INT8).astype(np.int64))


def test_an_addend_beyond_the_kernels_range_without_a_wrap():
    fixed = FixedScale((1 << 31) - 1, 54, 1 << 61)
    steps = staircase("single_up", fixed)
    xs = np.concatenate([probes(steps), np.arange(-2000, 2000, 37)])
    assert_same(got=steps(xs), expected=codes(xs, RULES["single_up"], fixed, 0, INT8).astype(np.int64))


@pytest.mark.parametrize("name", ["gemmlowp_double", "single_up", "single_even", "multiply_add_shift_floor"])
def test_a_negative_multiplier_gives_a_falling_staircase(name):
    steps = check_steps(name, FixedScale(-1518500250, 44), zero_point=3)
    assert steps.monotone
    assert (steps.levels[0], steps.levels[-1]) == (127, -128)


@pytest.mark.parametrize("name", ["gemmlowp_double", "single_up", "float64_ties_even"])
def test_a_constant(name):
    if RULES[name].arithmetic == Arithmetic.INTEGER:
        assert check_steps(name, FixedScale(0, 31), zero_point=9).levels.tolist() == [9]
    assert check_steps(name, 2.0**-50, zero_point=9).levels.tolist() == [9]


@EVERY_RULE
def test_one_level_formats(rule):
    only = IntFormat(1, signed=False, narrow_range=True)
    assert (only.qmin, only.qmax) == (1, 1)
    assert check_steps(rule, 0.25, zero_point=1, fmt=only).levels.tolist() == [1]
    assert check_steps(rule, 0.25, zero_point=0, fmt=IntFormat(1, narrow_range=True)).levels.tolist() == [0]


def test_an_empty_domain_has_no_steps_and_no_probes():
    for rule in ("single_up", "exact_ties_even", "float32_ties_even"):
        steps = staircase(rule, 0.25, domain=(5, 4))
        assert (steps.size, steps.ends(), probes(steps).size, steps.monotone) == (0, [], 0, True)
        assert steps == staircase(rule, 0.5, domain=(5, 4))


def test_a_domain_of_one_input():
    for rule in ("single_up", "exact_ties_even", "float32_ties_even"):
        assert staircase(rule, 0.25, domain=(10, 10)).ends() == [(10, 10, int(requantize(10, rule, 0.25)))]


@pytest.mark.parametrize(
    "name", ["float32_ties_even", "float64_ties_even", "exact_ties_away", "multiply_add_shift_floor"]
)
def test_domains_of_64_bits(name):
    fixed = FixedScale(3, 62) if name == LAMBDA else 2.0**-56
    reach = (1 << 63) - 2
    low, high = limits(RULES[name], fixed)
    steps = check_steps(name, fixed, domain=(max(low, -reach), min(high, reach)))
    assert steps.starts.size > 1


def test_a_kernel_that_would_leave_int64_is_replaced_by_the_definition():
    reach, fixed = (1 << 63) - 1, FixedScale(3, 62)
    steps = staircase(LAMBDA, fixed, domain=(-reach, reach))
    expected = codes(probes(steps), RULES[LAMBDA], fixed, 0, INT8).astype(np.int64)
    assert_same(got=steps(probes(steps)), expected=expected)


@pytest.mark.parametrize("name", ["reduced_int64", "tosa_scale16"])
def test_domains_of_48_bits(name):
    check_steps(name, 2.0**-42, domain=(-(1 << 47), (1 << 47) - 1))


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding(rounding):
    for name in ("single_up", "float64_ties_even", "exact_ties_even"):
        for order in ZeroPoint:
            check_steps(replace(RULES[name], rounding=rounding, zero_point=order), 0.25, zero_point=101, fmt=UINT8)


def test_wide_formats():
    check_steps("single_up", 0.001, fmt=INT32, domain=(-(1 << 20), 1 << 20))
    check_steps("gemmlowp_double", 0.5, fmt=IntFormat(12))


def test_equality_hash_and_call():
    left, right = staircase("xnnpack_rndnu", 0.25), staircase("single_up", 0.25)
    assert left == right
    assert hash(left) == hash(right)
    assert left != staircase("single_up", 0.5)
    assert left != "single_up"
    assert left(2).shape == ()
    assert_same(got=left(np.array([[2, -2], [5, 10]])), expected=np.array([[1, 0], [1, 3]]))


@pytest.mark.parametrize("x", [-11, 11])
def test_a_call_outside_the_domain_is_refused(x):
    steps = staircase("single_up", 0.25, domain=(-10, 10))
    with pytest.raises(ValueError, match=rf"{x} is outside -10\.\.10"):
        steps(np.array([0, x]))
