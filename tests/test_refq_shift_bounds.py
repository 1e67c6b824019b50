"""The theorem of docs/shift_batchnorm.md: shift-based against float batch norm, as exact rationals, with witnesses."""

from fractions import Fraction
from math import ceil, floor, isqrt

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from refq_cases import QUICK

from refq.batchnorm.forms import form_steps
from refq.batchnorm.shift_bounds import float_twin, shift_error, shift_error_bound
from refq.batchnorm.shift_forms import SPREAD, freeze_shift
from refq.batchnorm.target import target_steps
from refq.formats import Rounding
from refq.spec.batchnorm import batchnorm, shift_batchnorm
from refq.staircase.steps import difference

FORMATS = [(bits, signed) for bits in range(2, 9) for signed in (True, False)]
MANY = settings(QUICK, max_examples=300)
KAPPA = Fraction(292893218, 10**9), Fraction(292893219, 10**9)  # around 1 - 1 / sqrt(2)

means = st.integers(-9999, 9999) | st.fractions(-99, 99, max_denominator=64)
deviations = st.integers(1, 9999) | st.fractions(Fraction(1, 50), 99, max_denominator=999).filter(bool)


def parts(mean, std, bits, signed):
    """(form, step, rho, delta, phi) of S8 and S9."""
    (form,) = freeze_shift(mean, std, bits, signed)
    step, width = Fraction(std) * Fraction(2) ** (SPREAD[signed] - bits), Fraction(2) ** form.shift
    return form, step, step / width, (mean - form.bias) / width, max(1 - 1 / width, Fraction(0))


def clamped(form, value):
    return max(Fraction(form.qmin), min(value, Fraction(form.qmax)))


@MANY
@given(st.integers(-99999, 99999), means, deviations, st.sampled_from(FORMATS))
@example(83, 0, 24, (4, True))
@example(79, 0, 24, (4, True))
def test_theorem(x, mean, std, fmt):
    form, step, rho, delta, phi = parts(mean, std, *fmt)
    assert Fraction(1, 2) < rho * rho < 2
    assert abs(delta) * 2 * Fraction(2) ** form.shift <= 1
    u, w = (x - mean) / step, (x - form.bias) * Fraction(2) ** -form.shift
    assert w == rho * u + delta
    assert 0 <= w - floor(w) <= phi
    code = shift_batchnorm(x, form)
    assert code == floor(clamped(form, w))
    lower, upper = shift_error_bound(mean, std, *fmt)
    assert lower <= code - clamped(form, u) <= upper
    twin = float_twin(mean, std, *fmt, -99999, 99999)
    assert ceil(lower) <= code - batchnorm(x, twin, Rounding.FLOOR) <= ceil(upper)
    for nearest in (Rounding.TIES_EVEN, Rounding.TIES_UP, Rounding.TIES_DOWN):
        assert ceil(lower - Fraction(1, 2)) <= code - batchnorm(x, twin, nearest) <= floor(upper + Fraction(1, 2))


@MANY
@given(means, deviations, st.sampled_from(FORMATS))
def test_both_ends_are_attained_where_shift_is_not_negative(mean, std, fmt):
    form, step, rho, delta, phi = parts(mean, std, *fmt)
    (lowest, at_low), (highest, at_high) = shift_error(mean, std, *fmt)
    for error, x in ((lowest, at_low), (highest, at_high)):
        assert error == shift_batchnorm(x, form) - clamped(form, (x - mean) / step)
    lower, upper = shift_error_bound(mean, std, *fmt)
    assert lower <= lowest <= 0 <= highest <= upper
    assume(form.shift >= 0)
    assert (lowest, highest) == (lower, upper)
    kappa = 1 - min(rho, 1 / rho)
    if rho <= 1:  # the plainer bound, at most kappa away
        assert 0 <= lower - min(0, -kappa * form.qmax - phi + delta) <= kappa
        assert 0 <= max(0, -kappa * form.qmin + delta) - upper <= kappa
    grain = Fraction(2) ** -(form.shift + 1)
    assert -KAPPA[1] * form.qmax - 1 + grain < lower
    assert upper < KAPPA[1] * form.qmax + grain


@QUICK
@given(
    means, st.integers(1, 40) | st.fractions(Fraction(1, 4), 9, max_denominator=99), st.integers(2, 4), st.booleans()
)
def test_extremes_equal_a_search_over_all_accumulators(mean, std, bits, signed):
    form, step, *_ = parts(mean, std, bits, signed)
    reach = ceil(3 * step * form.qmax) + ceil(3 * Fraction(2) ** form.shift) + 3
    errors = [
        shift_batchnorm(x, form) - clamped(form, (x - mean) / step)
        for x in range(floor(mean) - reach, ceil(mean) + reach)
    ]
    (lowest, _), (highest, _) = shift_error(mean, std, bits, signed)
    assert (lowest, highest) == (min(errors), max(errors))


@pytest.mark.parametrize(("bits", "signed"), FORMATS)
def test_witnesses_near_the_uniform_bound(bits, signed):
    root = isqrt(2 << 80)  # std = 2**40.5, rounded to either side
    qmax = 2 ** (bits - signed) - 1
    (highest, _), (lowest, _) = shift_error(0, root, bits, signed)[1], shift_error(0, root + 1, bits, signed)[0]
    assert KAPPA[0] * qmax < highest < KAPPA[1] * qmax
    assert -KAPPA[1] * qmax - 1 < lowest < -KAPPA[0] * qmax - 1 + KAPPA[1]


@pytest.mark.parametrize(("bits", "signed"), FORMATS)
def test_a_mean_and_a_deviation_on_the_grid_lose_only_the_rounding(bits, signed):
    """S9: any form is the floored float batch norm of mean = bias and std = 2**r."""
    domain = (-5000, 5000)
    for mean, std in ((0, 64), (Fraction(7, 2), 90), (-12, 91), (3, 1), (3, Fraction(1, 3))):
        (form,) = freeze_shift(mean, std, bits, signed)
        power = Fraction(2) ** (form.shift - SPREAD[signed] + bits)
        twin = float_twin(form.bias, power, bits, signed, *domain)
        assert form_steps(form, domain) == target_steps(twin, Rounding.FLOOR)


def test_differences_of_the_documented_examples_reach_the_bound():
    for (bits, signed), most in {(4, False): 5, (4, True): 3, (8, True): 38}.items():
        found = set()
        for std in (1482910, 1482911):
            domain = (-(1 << 24), 1 << 24)
            steps = form_steps(freeze_shift(0, std, bits, signed)[0], domain)
            twin = float_twin(0, std, bits, signed, *domain)
            for rounding in (Rounding.FLOOR, Rounding.TIES_EVEN):
                found |= {i.left - i.right for i in difference(steps, target_steps(twin, rounding)).intervals}
        assert (min(found), max(found)) == (-most, most)


def test_zero_deviation_and_many_channels_are_refused():
    for function in (shift_error_bound, shift_error, lambda *a: float_twin(*a, 0, 1)):
        with pytest.raises(ValueError, match="std=0 has no float batch norm; pass std > 0"):
            function(0, 0, 4, True)
        with pytest.raises(ValueError, match="mean has 2 channels; pass one"):
            function([0, 1], [1, 1], 4, True)
        with pytest.raises(ValueError, match=r"bits=9 is outside 2\.\.8"):
            function(0, 1, 9, True)
