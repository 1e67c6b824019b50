"""Too few bits: the multiplier is the nearest, the error stays within a bound that is reached, counts are exact."""

from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import (
    C1,
    C2,
    C4,
    ROUNDINGS,
    SOME,
    built,
    channels,
    fitted,
    hard,
    line,
    roundings,
    seeded,
    targets,
)
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import (
    Deviation,
    FixedPoint,
    centred_form,
    code_error_bound,
    deviation,
    naive_form,
    naive_min_shift,
    target_steps,
)
from refq.batchnorm.approximate import MAX_SHIFT
from refq.batchnorm.surds import nearest
from refq.formats import Rounding
from refq.spec import batchnorm as spec

EVERY_ROUNDING = pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.name.lower())
F = Fraction
shifts = st.one_of(st.integers(0, 24), st.sampled_from([63, 64, MAX_SHIFT]))
rationals = st.fractions(-50, 50, max_denominator=16)
# what is added before a floor: half for the nearest rules, all but the last bit upwards
UPWARDS = (Rounding.CEIL, Rounding.AWAY_FROM_ZERO)
DOWNWARDS = (Rounding.FLOOR, Rounding.TOWARD_ZERO, Rounding.JAM)


def addend(rounding, shift):
    return F(2**shift - 1) if rounding in UPWARDS else F(0) if rounding in DOWNWARDS else F(2**shift, 2)


def nearest_multiple(channel, x, shift, extra=0):
    """The real line at x times 2**shift plus `extra`, rounded to even by the definition: the root is never computed."""
    p, q, v = spec.in_steps(x, channel)
    return spec.round_surd((p + channel.zero_point) * 2**shift + extra, q * 2**shift, v, Rounding.TIES_EVEN)


def slope_multiple(channel, shift):
    """The real slope times 2**shift, rounded to even."""
    _, q0, v = spec.in_steps(0, channel)
    q1 = spec.in_steps(1, channel)[1]
    return spec.round_surd(F(0), (q1 - q0) * 2**shift, v, Rounding.TIES_EVEN)


squares = st.one_of(st.fractions(0, 40, max_denominator=20), st.integers(0, 12).map(lambda k: F(k * k, 9)))


@given(rationals, rationals, squares)
@SOME
def test_the_nearest_integer_is_that_of_the_definition(p, q, v):
    assert nearest(p, q, v) == spec.round_surd(p, q, v, Rounding.TIES_EVEN)


def test_the_nearest_of_a_tie_is_even():
    ties = [(F(1, 2), F(1), F(1)), (F(5, 2), F(0), F(2)), (F(0), F(-3, 2), F(1)), (F(0), F(7, 4), F(4))]
    assert [nearest(*tie) for tie in ties] == [2, 2, -2, 4]


@given(channels, roundings, shifts)
@SOME
def test_the_naive_line_rounds_slope_and_offset_each_for_itself(channel, rounding, shift):
    got = naive_form(channel, shift, rounding)
    multiplier, bias = slope_multiple(channel, shift), nearest_multiple(channel, 0, shift, addend(rounding, shift))
    assert got == FixedPoint(multiplier, bias, 2**shift, channel.qmin, channel.qmax)


@given(channels, roundings, shifts)
@SOME
def test_the_centred_line_rounds_the_offset_in_the_middle(channel, rounding, shift):
    fit = fitted(channel, rounding)
    multiplier, (first, last) = slope_multiple(channel, shift), fit.open_range
    got = centred_form(channel, fit, shift, rounding)
    assert (got.multiplier, got.divisor, got.qmin, got.qmax) == (multiplier, 2**shift, channel.qmin, channel.qmax)
    # at the middle m: the bias is nearest to (line(m) + addend) * 2**shift - multiplier * m, to even
    (p, q0, v), (_, q1, _) = (spec.in_steps(x, channel) for x in (0, 1))
    middle = F(first + last, 2)
    rest = (p + channel.zero_point) * 2**shift + addend(rounding, shift) - multiplier * middle
    assert got.bias == spec.round_surd(rest, (q0 + (q1 - q0) * middle) * 2**shift, v, Rounding.TIES_EVEN)


def errors(channel, form, rounding):
    """|form - target| at every accumulator, from the definitions alone."""
    xs = range(channel.acc_min, channel.acc_max + 1)
    return [abs(spec.fixed_point(x, form) - y) for x, y in zip(xs, targets(channel, rounding), strict=True)]


@given(channels, roundings, shifts)
@SOME
def test_the_bound_holds_for_every_shift_and_rounding(channel, rounding, shift):
    fit = fitted(channel, rounding)
    found = errors(channel, centred_form(channel, fit, shift, rounding), rounding)
    assert max(found) <= code_error_bound(fit, shift, rounding)


@given(built(), roundings, st.integers(0, 9))
@SOME
def test_a_deviation_is_a_count_over_all_accumulators(channel, rounding, shift):
    fit = fitted(channel, rounding)
    for form in (naive_form(channel, shift, rounding), centred_form(channel, fit, shift, rounding)):
        found = errors(channel, form, rounding)
        got = deviation(fit.steps, form)
        assert (got.wrong, got.max_codes) == (sum(e > 0 for e in found), max(found))
        assert (got.at is None) == (got.wrong == 0)
        assert got.at is None or found[got.at - channel.acc_min] == max(found)


def small_channels():
    """Every slope and offset of small fractions on small domains, open and clamped, some of it off centre."""
    for q in (1, 2, 5):
        for p, rest in ((p, r) for p in range(-q - 1, q + 2) for r in range(-1, 2 * q, 2)):
            for first, last, qmin, qmax in ((0, 0, -9, 9), (-5, 6, -20, 20), (0, 15, 0, 3), (30, 50, -30, 30)):
                yield line(F(p, q), F(rest, 2 * q), first, last, qmin, qmax)


@EVERY_ROUNDING
def test_the_bound_on_small_domains_is_reached(rounding):
    reached = set()
    for channel in small_channels():
        fit = fitted(channel, rounding)
        for shift in (0, 1, 2, 4):
            worst = deviation(fit.steps, centred_form(channel, fit, shift, rounding)).max_codes
            bound = code_error_bound(fit, shift, rounding)
            assert worst <= bound
            if worst == bound:
                reached.add((shift, bound))
    assert len(reached) >= 2
    assert max(bound for _, bound in reached) >= 2


@EVERY_ROUNDING
def test_the_bound_falls_with_the_shift_and_ends_at_one_or_two(rounding):
    random = np.random.default_rng([14, rounding])
    for i in range(12):
        channel = (seeded, hard)[i % 2](random, int(random.integers(8, 17)))
        fit = fitted(channel, rounding)
        bounds = [code_error_bound(fit, shift, rounding) for shift in range(40)]
        assert bounds == sorted(bounds, reverse=True)
        assert bounds[-1] == 1 + (rounding in (Rounding.TOWARD_ZERO, Rounding.AWAY_FROM_ZERO, Rounding.JAM))
        for shift in range(0, 24, 3):
            form = centred_form(channel, fit, shift, rounding)
            assert deviation(fit.steps, form).max_codes <= bounds[shift]


# C4 is 1.2 everywhere: floor(1.2 + 1/2) by bias 2 at shift 0, but 3 / 2 at shift 1
@pytest.mark.parametrize(("channel", "expected"), [(C1, 12), (C4, 1)])
def test_the_naive_shift_of_the_worked_examples(channel, expected):
    assert naive_min_shift(channel, fitted(channel)) == expected


@EVERY_ROUNDING
def test_the_naive_shift_is_the_first_exact_one(rounding):
    random = np.random.default_rng([15, rounding])
    drawn = [C1, C2, C4, *((seeded, hard)[i % 2](random, 9) for i in range(30))]
    found = []
    for channel in drawn:
        fit = fitted(channel, rounding)
        got = naive_min_shift(channel, fit, rounding)
        forms = (naive_form(channel, k, rounding) for k in range(30 if got is None else got + 1))
        exact = [not deviation(fit.steps, form).wrong for form in forms]
        assert (exact.index(True) if any(exact) else None) == got
        assert got is None or got >= fit.min_shift
        found.append(got)
    assert sum(shift is not None for shift in found) > 5


def test_no_naive_shift_at_all():
    # down on a tie, and the half that naive rounding adds sends every tie up
    ties = line(F(1, 2), 0, 0, 9)
    fit = fitted(ties, Rounding.TIES_DOWN)
    assert fit.form is not None
    assert naive_min_shift(ties, fit, Rounding.TIES_DOWN) is None
    assert all(deviation(fit.steps, naive_form(ties, k, Rounding.TIES_DOWN)).wrong for k in range(MAX_SHIFT + 1))
    assert naive_min_shift(ties, fitted(ties, Rounding.TIES_EVEN), Rounding.TIES_EVEN) is None


# both roundings to even lose half a unit each, the same way, at an end of the domain where the target is a tie
@pytest.mark.parametrize("rounding", [Rounding.TIES_EVEN, Rounding.TIES_DOWN, Rounding.TIES_TOWARD_ZERO])
def test_the_bound_is_reached_where_it_is_whole(rounding):
    tied = line(F(-3, 2), F(1, 2), 0, 2)
    fit = fitted(tied, rounding)
    assert max(errors(tied, centred_form(tied, fit, 0, rounding), rounding)) == code_error_bound(fit, 0, rounding) == 2


def test_the_deviation_of_a_falling_and_of_a_far_form():
    steps, zero = target_steps(C2), FixedPoint(0, 0, 1, 0, 15)
    # the falling target leaves 0 below u = 2, so at every x <= -2, and is 15 first at x = -256
    assert deviation(steps, zero) == Deviation(wrong=255, max_codes=15, at=-256)


@pytest.mark.parametrize(
    ("name", "wrong", "error"),
    [("shift", -1, ValueError), ("shift", 129, ValueError), ("shift", 6.0, TypeError), ("rounding", "up", ValueError)],
)
def test_what_is_refused(name, wrong, error):
    arguments = {"shift": 4, "rounding": Rounding.TIES_UP} | {name: wrong}
    with pytest.raises(error, match=f"^naive_form: {name}={wrong!r} is "):
        naive_form(C1, **arguments)
    with pytest.raises(error, match=f"^centred_form: {name}={wrong!r} is "):
        centred_form(C1, fitted(C1), **arguments)
