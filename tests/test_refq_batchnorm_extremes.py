"""Where 64 bits are too few: the same code on Python's integers, and counts of more inputs than 64 bits can tell."""

import random
import re
from fractions import Fraction

import pytest

from refq.batchnorm import (
    Channel,
    FixedPoint,
    ShiftForm,
    ThresholdForm,
    centred_form,
    certificate,
    code_error_bound,
    crossing_form,
    deviation,
    fit_batchnorm,
    fit_steps,
    form_steps,
    multipliers_for,
    naive_form,
    naive_min_shift,
    reproduces,
    shift_form,
    smallest_shared_divisor,
    target_steps,
)
from refq.channels import ACC_LIMIT
from refq.formats import Rounding
from refq.spec.batchnorm import batchnorm
from refq.staircase.steps import rising
from verify.certificate_checker import check

STEPS = rising(0, 9, 0, [3, 6])
PLAIN = {"beta": 0, "mean": 0, "variance": 1, "epsilon": 0}
EXTREMES = {
    "constant on 62 bits": Channel(gamma=0, **PLAIN, acc_min=-(1 << 61), acc_max=1 << 61, qmin=-1, qmax=254),
    "one input, a steep line": Channel(gamma=1, **PLAIN, acc_scale=Fraction(1 << 70), acc_min=1, acc_max=1),
    "two inputs, steeper": Channel(gamma=-1, **PLAIN, acc_scale=Fraction(1 << 120), acc_min=-1, acc_max=0),
    "all of 64 bits": Channel(gamma=1, **PLAIN, out_scale=Fraction(1 << 56), acc_min=-ACC_LIMIT, acc_max=ACC_LIMIT),
    "falling on 64 bits": Channel(
        gamma=Fraction(-7, 3), **PLAIN, out_scale=Fraction(1 << 50), acc_min=-ACC_LIMIT, acc_max=ACC_LIMIT
    ),
    "far from 0": Channel(
        gamma=3, **PLAIN | {"mean": ACC_LIMIT - 500}, out_scale=7, acc_min=ACC_LIMIT - 999, acc_max=ACC_LIMIT
    ),
    "a shift past 64": Channel(
        gamma=1, **PLAIN | {"variance": 2}, out_scale=Fraction(1 << 57), acc_min=-ACC_LIMIT, acc_max=ACC_LIMIT
    ),
    "tiny gamma": Channel(gamma=2.0**-1074, **PLAIN | {"beta": 0.3}),
    "huge gamma": Channel(gamma=1e308, **PLAIN, acc_min=-5, acc_max=5),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_the_whole_way_at_the_extremes(name):
    channel = EXTREMES[name]
    domain = (channel.acc_min, channel.acc_max)
    layer = fit_batchnorm([channel])
    (fit,) = layer.fits
    assert form_steps(fit.form, domain) == fit.steps
    assert check(certificate(layer)).startswith("accepted: 1 channels")
    for shift in (0, 1, 17, 64, 128):
        for form in (naive_form(channel, shift), centred_form(channel, fit, shift)):
            assert reproduces(fit, form) == (form_steps(form, domain) == fit.steps)
        assert deviation(fit.steps, centred_form(channel, fit, shift)).max_codes <= code_error_bound(fit, shift)
    shift = naive_min_shift(channel, fit)
    assert shift is None or form_steps(naive_form(channel, shift), domain) == fit.steps
    assert deviation(fit.steps, shift_form(channel)).wrong <= channel.acc_max - channel.acc_min + 1


def test_every_input_of_64_bits_is_counted():
    channel = EXTREMES["all of 64 bits"]
    (fit,) = fit_batchnorm([channel]).fits
    codes = FixedPoint(0, 200, 1, -128, 127), FixedPoint(0, -200, 1, -128, 127)
    wrong = [deviation(fit.steps, form).wrong for form in codes]
    # code 127 from 126.5 * 2**56 on, code -128 below -127.5 * 2**56
    right = [2 * ACC_LIMIT + 1 - count for count in wrong]
    assert right == [ACC_LIMIT + 1 - (253 << 55), ACC_LIMIT - (255 << 55)]


@pytest.mark.parametrize("seed", range(40))
def test_random_parameters_of_any_size_leave_no_crash(seed):
    random_ = random.Random(seed)

    def real(low=-200, high=200):
        return Fraction(random_.randint(-(1 << 30), 1 << 30)) * Fraction(2) ** random_.randint(low, high)

    first, last = sorted(random_.randint(-ACC_LIMIT, ACC_LIMIT) >> random_.randint(0, 63) for _ in range(2))
    channel = Channel(
        gamma=real(),
        beta=real(),
        mean=real(-20, 60),
        variance=abs(real()),
        epsilon=Fraction(2) ** random_.randint(-1074, 0),
        acc_scale=Fraction(2) ** random_.randint(-100, 100),
        out_scale=abs(real()) + Fraction(1, 1 << 60),
        zero_point=random_.randint(-300, 300),
        acc_min=first,
        acc_max=last,
        qmin=random_.choice([-128, 0, -1]),
        qmax=random_.choice([0, 15, 127, 300]),
    )
    layer = fit_batchnorm([channel], random_.choice(list(Rounding)))
    (fit,) = layer.fits
    if fit.form is not None:
        assert form_steps(fit.form, (first, last)) == fit.steps
    assert check(certificate(layer)).startswith("accepted")


def test_codes_further_apart_than_64_bits():
    low, high = -(1 << 63), (1 << 63) - 1
    found = deviation(rising(0, 9, low, [3]), ThresholdForm((), high))
    assert (found.wrong, found.max_codes, found.at) == (10, high - low, 0)


def test_only_reached_codes_cost_anything():
    wide = FixedPoint(1, 0, 1, -(1 << 62), 1 << 62)
    assert form_steps(wide, (-2, 2)).levels.tolist() == [-2, -1, 0, 1, 2]
    with pytest.raises(ValueError, match=r"^form_steps: form reaches -4194304\.\.4194304, more than 1048576 codes"):
        form_steps(wide, (-(1 << 22), 1 << 22))


def test_a_bound_is_of_the_rounding_the_fit_was_made_with():
    channel = Channel(gamma=1, **PLAIN, out_scale=3, acc_min=-9, acc_max=9)
    layer = fit_batchnorm([channel], Rounding.CEIL)
    (fit,) = layer.fits
    assert code_error_bound(fit, 0) == code_error_bound(fit, 0, Rounding.CEIL)
    assert centred_form(channel, fit, 3) == centred_form(channel, fit, 3, Rounding.CEIL)
    for call in (lambda: code_error_bound(fit, 0, Rounding.FLOOR), lambda: naive_min_shift(channel, fit, 6)):
        with pytest.raises(ValueError, match="is not that of the fit; leave it out"):
            call()
    assert layer.forms == (fit.form,)


def test_a_layer_with_a_channel_without_a_line_has_no_forms():
    halves = Channel(gamma=1, **PLAIN, out_scale=2, acc_min=0, acc_max=5)
    layer = fit_batchnorm([halves], Rounding.TIES_EVEN)
    with pytest.raises(ValueError, match=r"^LayerFit: channel 0 has no line under ties_even; use its thresholds$"):
        layer.forms  # noqa: B018


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("out_scale", [Fraction(1, 1 << 90), Fraction(3, 1 << 20), Fraction(5), Fraction(1 << 40, 3)])
def test_every_boundary_of_a_rational_line_is_told_exactly(rounding, out_scale):
    """All boundaries are met: the filter of 64 bits must leave each to the exact division."""
    for gamma, variance, qmax in ((1, 1, 1), (1, 1, 300), (Fraction(7, 5), 4, 2), (-3, Fraction(9, 4), 17)):
        channel = Channel(
            gamma, Fraction(1, 2) * out_scale, 0, variance, 0, out_scale / 4, out_scale, 0, -600, 600, 0, qmax
        )
        got = target_steps(channel, rounding)(range(-600, 601)).tolist()
        assert got == [batchnorm(x, channel, rounding) for x in range(-600, 601)]


FORMS = [
    (lambda: FixedPoint(1.5, 0, 4, 0, 3), TypeError, "FixedPoint: multiplier=1.5 is not an integer"),
    (lambda: FixedPoint(1, True, 4, 0, 3), TypeError, "FixedPoint: bias=True is not an integer"),
    (lambda: FixedPoint(1, 0, 0, 0, 3), ValueError, "FixedPoint: divisor=0 is not positive"),
    (lambda: FixedPoint(1, 0, 4, 4, 3), ValueError, "FixedPoint: qmin=4 is above qmax=3"),
    (lambda: FixedPoint(1, 0, 4, 0, 1 << 63), ValueError, f"FixedPoint: qmax={1 << 63} is outside"),
    (lambda: ShiftForm(1, -2, 0, 3, sign=0), ValueError, "ShiftForm: sign=0 is neither 1 nor -1"),
    (lambda: ThresholdForm((1,), 0, sign=2), ValueError, "ThresholdForm: sign=2 is neither 1 nor -1"),
    (lambda: ThresholdForm((5, 2), 0), ValueError, "ThresholdForm: thresholds fall; sort them"),
    (lambda: ThresholdForm((1, 2.0), 0), TypeError, "ThresholdForm: thresholds[1]=2.0 is not an integer"),
    (lambda: ThresholdForm((1,), -(1 << 70)), ValueError, f"ThresholdForm: qmin={-(1 << 70)} is outside"),
    (lambda: ThresholdForm((1,), 0, 2), ValueError, "ThresholdForm: crossing=2 is no Crossing"),
    (lambda: crossing_form(ThresholdForm((1,), 0), 2), ValueError, "crossing_form: crossing=2 is no Crossing"),
    (lambda: fit_steps(STEPS, 0.0, 3), TypeError, "fit_steps: qmin=0.0 is not an integer"),
    (lambda: fit_steps(STEPS, 0, 3, divisor=0), ValueError, "fit_steps: divisor=0 is outside 1.."),
    (lambda: multipliers_for(fit_steps(STEPS, 0, 3), 0.5, 4), TypeError, "multipliers_for: bias=0.5 is not an integer"),
    (lambda: multipliers_for(fit_steps(STEPS, 0, 3), 1, 0), ValueError, "multipliers_for: divisor=0 is outside 1.."),
    (lambda: fit_batchnorm([]), ValueError, "fit_batchnorm: channels is empty; nothing to fit"),
    (lambda: fit_batchnorm([1]), TypeError, "fit_batchnorm: channels is no sequence of Channel"),
    (lambda: ThresholdForm((1, 2, 3), (1 << 63) - 2), ValueError, "ThresholdForm: qmin="),
    (lambda: smallest_shared_divisor([(Fraction(1, 3),) * 2]), ValueError, "smallest_shared_divisor: intervals[0]="),
]


@pytest.mark.parametrize(("call", "error", "message"), FORMS)
def test_a_form_that_means_nothing_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()
