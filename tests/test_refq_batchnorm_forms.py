"""Lines, shifts, thresholds and staircases turned into each other: equal as staircases and at every accumulator."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import C1, C2, C4, ROUNDINGS, SOME, THRESHOLDS, channels, fitted, roundings
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import (
    Channel,
    Crossing,
    FixedPoint,
    ShiftForm,
    ThresholdForm,
    crossing_form,
    form_steps,
    from_shift,
    target_steps,
    threshold_form,
)
from refq.channels import ACC_LIMIT
from refq.formats import Rounding
from refq.spec import batchnorm as spec
from refq.staircase.steps import Staircase, rising

INCLUSIVE, STRICT = Crossing
SPEC = {FixedPoint: spec.fixed_point, ShiftForm: spec.shift_batchnorm, ThresholdForm: spec.threshold_batchnorm}
small = st.integers(-30, 30)
signs = st.sampled_from([1, -1])
clamps = st.tuples(st.integers(-9, 9), st.integers(0, 12)).map(lambda c: (c[0], c[0] + c[1]))
domains = st.tuples(st.one_of(small, st.just(ACC_LIMIT - 30), st.just(-ACC_LIMIT)), st.integers(0, 30)).map(
    lambda d: (d[0], min(d[0] + d[1], ACC_LIMIT))
)
shift_forms = st.builds(
    lambda bias, shift, clamp, sign, zero_point: ShiftForm(bias, shift, *clamp, sign, zero_point),
    st.one_of(small, st.just(ACC_LIMIT - 9), st.just(7 - ACC_LIMIT)),
    st.integers(-4, 6),
    clamps,
    signs,
    small,
)
lines = st.builds(
    lambda a, b, divisor, clamp: FixedPoint(a, b, divisor, *clamp),
    st.one_of(small, st.just(1 << 70)),
    st.one_of(st.integers(-900, 900), st.integers(-(1 << 90), 1 << 90)),
    st.one_of(st.integers(1, 40), st.sampled_from([1 << 64, (1 << 63) + 1])),
    clamps,
)
threshold_forms = st.builds(
    lambda thresholds, qmin, crossing, sign: ThresholdForm(tuple(sorted(thresholds)), qmin, crossing, sign),
    st.lists(st.one_of(st.integers(-40, 40), st.sampled_from([ACC_LIMIT, -ACC_LIMIT, 1 << 80])), max_size=9),
    st.integers(-9, 9),
    st.sampled_from(Crossing),
    signs,
)
any_form = st.one_of(shift_forms, lines, threshold_forms)


def reach(form):
    """qmin..qmax of any form."""
    return (form.qmin, form.qmin + len(form.thresholds)) if isinstance(form, ThresholdForm) else (form.qmin, form.qmax)


def check(form, domain):
    """The staircase of a form is its definition at each accumulator."""
    steps = form_steps(form, domain)
    xs = range(domain[0], domain[1] + 1)
    expected = [SPEC[type(form)](x, form) for x in xs]
    assert steps(np.array(xs, np.int64)).tolist() == expected
    assert (steps.first, steps.last) == domain
    assert steps.monotone
    assert (steps.levels[1:] != steps.levels[:-1]).all()
    return steps


@given(any_form, domains)
@SOME
def test_the_staircase_of_every_form_is_its_definition(form, domain):
    check(form, domain)


@given(any_form, domains)
@SOME
def test_every_form_as_thresholds_under_both_conventions(form, domain):
    steps, (qmin, qmax) = form_steps(form, domain), reach(form)
    inclusive, strict = (threshold_form(steps, qmin, qmax, crossing) for crossing in Crossing)
    assert check(inclusive, domain) == check(strict, domain) == steps
    assert (inclusive.crossing, strict.crossing) == (INCLUSIVE, STRICT)
    assert len(inclusive.thresholds) == len(strict.thresholds) == qmax - qmin
    assert list(inclusive.thresholds) == sorted(inclusive.thresholds)
    assert inclusive.thresholds == tuple(t + 1 for t in strict.thresholds)
    assert inclusive == crossing_form(strict, INCLUSIVE)
    assert strict == crossing_form(inclusive, STRICT)
    assert crossing_form(strict, STRICT) == strict


@given(threshold_forms, domains)
@SOME
def test_the_other_convention_is_the_same_function(form, domain):
    for crossing in Crossing:
        turned = crossing_form(form, crossing)
        assert turned.crossing == crossing
        assert check(turned, domain) == form_steps(form, domain)


@given(shift_forms, domains)
@SOME
def test_a_shift_as_a_line(form, domain):
    got = from_shift(form)
    assert form_steps(got, domain) == check(form, domain)
    for x in range(domain[0], domain[1] + 1):
        assert spec.fixed_point(x, got) == spec.shift_batchnorm(x, form)
    assert abs(got.multiplier) == 2 ** max(-form.shift, 0)
    assert got.divisor == 2 ** max(form.shift, 0)


@given(channels, roundings)
@SOME
def test_target_and_line_as_thresholds(channel, rounding):
    domain = channel.acc_min, channel.acc_max
    fit = fitted(channel, rounding)
    assert check(threshold_form(fit.steps, channel.qmin, channel.qmax), domain) == fit.steps
    assert fit.form is None or check(fit.form, domain) == fit.steps


@pytest.mark.parametrize("rounding", [Rounding.TIES_EVEN, Rounding.TIES_ODD])
def test_what_has_no_line_has_thresholds(rounding):
    halves = Channel(Fraction(1, 2), 0, 0, 1, 0, acc_min=-20, acc_max=20, qmin=-8, qmax=8)
    fit = fitted(halves, rounding)
    assert fit.form is None
    assert check(threshold_form(fit.steps, -8, 8, STRICT), (-20, 20)) == fit.steps


def test_worked_thresholds():
    got = threshold_form(target_steps(C1), 0, 15)
    assert got == ThresholdForm(tuple(THRESHOLDS[C1]), 0)
    assert threshold_form(target_steps(C1), 0, 15, STRICT).thresholds == tuple(t - 1 for t in THRESHOLDS[C1])
    assert threshold_form(target_steps(C2), 0, 15) == ThresholdForm(tuple(THRESHOLDS[C2]), 0, INCLUSIVE, -1)
    assert threshold_form(target_steps(C4), 0, 15).thresholds == (-256, *[256] * 14)
    # out of reach: below the domain at its first input, above it one past the last
    cut = replace(C1, acc_min=20, acc_max=40)
    assert threshold_form(target_steps(cut), 0, 15).thresholds == (20, 20, 20, 23, 27, 30, 33, 37, 40, *[41] * 6)


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.name.lower())
def test_equal_thresholds_are_a_jump(rounding):
    steep = Channel(-5, 0, 0, 1, 0, acc_min=-9, acc_max=9, qmin=-6, qmax=6)
    form = threshold_form(target_steps(steep, rounding), -6, 6)
    # 5 x is whole, so every rule agrees: u = -1 gives -5, 0 gives 0, 1 gives 5, then the clamp
    assert form == ThresholdForm((-1, *[0] * 5, *[1] * 5, 2), -6, INCLUSIVE, -1)
    assert check(form, (-9, 9)).levels.tolist() == [6, 5, 0, -5, -6]


def test_a_boundary_of_equal_forms():
    third = rising(0, 255, 0, [3 * j for j in range(1, 86)])
    assert form_steps(FixedPoint(85, 85, 256, 0, 85), (0, 255)) == third
    assert form_steps(FixedPoint(171, 0, 512, 0, 85), (0, 255)) == third
    assert form_steps(FixedPoint(1, 0, 3, 0, 85), (0, 255)) == third
    assert form_steps(FixedPoint(85, 84, 256, 0, 85), (0, 255)) != third


REFUSED = [
    (lambda: threshold_form(Staircase(0, -1, *np.empty((2, 0), np.int64)), 0, 1), "threshold_form: steps is empty"),
    (
        lambda: threshold_form(Staircase(0, 9, np.array([0, 3, 5]), np.array([0, 1, 0])), 0, 1),
        "threshold_form: steps is",
    ),
    (lambda: threshold_form(rising(0, 9, 0, [3, 4]), 0, 1), "threshold_form: steps reaches 0..2, outside 0..1"),
    (lambda: threshold_form(rising(0, 9, 0, [3]), 1, 3), "threshold_form: steps reaches 0..1, outside 1..3"),
    (lambda: form_steps(FixedPoint(1, 0, 1, 0, 1), (0, 1 << 63)), f"form_steps: domain={1 << 63} is outside"),
    (lambda: FixedPoint(1, 0, 0, 0, 1), "FixedPoint: divisor=0 is not positive"),
    (lambda: FixedPoint(1, 0, -4, 0, 1), "FixedPoint: divisor=-4 is not positive"),
    (lambda: FixedPoint(1, 0, 4, 2, 1), "FixedPoint: qmin=2 is above qmax=1; the range is empty"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [3, None, "1 >> 2", C1])
def test_what_is_no_form(wrong):
    with pytest.raises(TypeError, match=r"^form_steps: form=.* is no FixedPoint, ShiftForm or ThresholdForm$"):
        form_steps(wrong, (0, 1))


@pytest.mark.parametrize(("divisor", "shift"), [(1, 0), (64, 6), (3, None), (1 << 80, 80), (96, None)])
def test_the_shift_of_a_line(divisor, shift):
    assert FixedPoint(1, 0, divisor, 0, 1).shift == shift
