"""The worked examples of the optimal line: every number typed in from papers.md 1.10."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import (
    C1,
    C2,
    C3,
    C4,
    THRESHOLDS,
    fitted,
    outputs,
    targets,
)

from refq.batchnorm import (
    Share,
    deviation,
    fit_batchnorm,
    multipliers_for,
    naive_form,
    reproduces,
    smallest_shared_divisor,
    target_steps,
    widths,
)
from refq.batchnorm.choice import integers_inside, some
from refq.batchnorm.slopes import bias_range
from refq.formats import Rounding

F = Fraction
WORKED = {
    # channel: slope interval (of x), K, A, B, min S and its A
    C1: ((F(8, 27), F(3, 10)), 6, 19, -177, 37, 11),
    C2: ((F(-2, 7), F(-11, 39)), 8, -73, 116, 46, -13),
    C3: ((F(13, 23), F(11, 19)), 6, 37, -1140, 7, 4),
    C4: ((F(-1, 511), F(1, 511)), 0, 0, 1, 1, 0),
}
BY_NAME = pytest.mark.parametrize("worked", WORKED, ids=["c1", "c2", "c3", "c4"])
XS = np.arange(-256, 256)


def wrong_outputs(channel, form):
    """How many accumulators a line gets wrong, counted one by one against the thresholds typed in."""
    sign = -1 if channel is C2 else 1
    expected = [(channel is C4) + sum(sign * x >= t for t in THRESHOLDS[channel]) for x in range(-256, 256)]
    return int((outputs(form, XS) != expected).sum())


@BY_NAME
def test_worked_examples(worked):
    slopes, shift, multiplier, bias, divisor, divisor_multiplier = WORKED[worked]
    fit = fitted(worked)
    assert (fit.slopes, fit.min_shift, fit.min_divisor) == (slopes, shift, divisor)
    assert (fit.form.multiplier, fit.form.bias, fit.form.divisor) == (multiplier, bias, 1 << shift)
    assert (fit.form.qmin, fit.form.qmax, fit.form.shift) == (0, 15, shift)
    assert fit.multiplier_range == (multiplier, multiplier)
    assert fit.bias_range == (bias, bias)
    assert fitted(worked, divisor=divisor).multiplier_range == (divisor_multiplier, divisor_multiplier)
    assert all(not some(integers_inside(slopes, s)) for s in range(1, divisor))
    assert all(fitted(worked, divisor=1 << k).form is None for k in range(shift))


@BY_NAME
def test_one_step_of_the_bias_or_the_multiplier_breaks_an_accumulator(worked):
    fit = fitted(worked)
    assert wrong_outputs(worked, fit.form) == 0
    assert reproduces(fit, fit.form)
    for changed in ({"bias": 1}, {"bias": -1}, {"multiplier": 1}, {"multiplier": -1}):
        broken = replace(fit.form, **{name: getattr(fit.form, name) + step for name, step in changed.items()})
        assert wrong_outputs(worked, broken) > 0
        assert not reproduces(fit, broken)


@pytest.mark.parametrize(("bias", "expected"), [(-177, (19, 19)), (-178, None), (-176, None)])
def test_a_multiplier_for_a_prescribed_bias(bias, expected):
    got = multipliers_for(fitted(C1), bias, 64)
    assert got == expected if expected else got[0] > got[1]


def test_a_shared_shift():
    layer = fit_batchnorm([C1, C2, C3], share=Share.SHIFT)
    assert layer.shared == 8
    assert [(f.form.multiplier, f.form.divisor) for f in layer.fits] == [(76, 256), (-73, 256), (146, 256)]
    assert [f.form.bias for f in layer.fits] == [-708, 116, -4480]
    assert [f.bias_range for f in layer.fits] == [(-708, -705), (116, 116), (-4482, -4453)]
    assert layer.fits[2].multiplier_range == (145, 148)
    ranges = {145: (-4425, -4419), 146: (-4482, -4453), 147: (-4524, -4502), 148: (-4560, -4557)}
    assert {a: bias_range(layer.fits[2].points, a, 256) for a in ranges} == ranges


def test_a_shared_divisor():
    layer = fit_batchnorm([C1, C2, C3], share=Share.DIVISOR)
    assert layer.shared == smallest_shared_divisor([WORKED[c][0] for c in (C1, C2, C3)]) == 67
    assert [(f.form.multiplier, f.form.divisor) for f in layer.fits] == [(20, 67), (-19, 67), (38, 67)]
    assert [f.bias_range for f in layer.fits] == [(-190, -190), (35, 35), (-1161, -1159)]
    intervals = [WORKED[c][0] for c in (C1, C2, C3)]
    feasible = [s for s in range(1, 139) if all(some(integers_inside(ends, s)) for ends in intervals)]
    assert feasible == [67, 74, 124, 127, 131, 134, 137, 138]
    for worked, fit in zip((C1, C2, C3), layer.fits, strict=True):
        assert wrong_outputs(worked, fit.form) == 0


def test_the_range_of_the_sum():
    form = fitted(C1).form
    assert [form.multiplier * x + form.bias for x in (-256, 255)] == [-5041, 4668]
    assert widths(form, -256, 255).total == 14


@pytest.mark.parametrize(("shift", "wrong"), [*enumerate([26, 23, 3, 3, 4, 1, 1, 1, 0], 4)])
def test_naive_rounding_of_the_first_worked_example(shift, wrong):
    form = naive_form(C1, shift)
    assert deviation(target_steps(C1), form).wrong == wrong_outputs(C1, form) == wrong
    assert reproduces(fitted(C1), form) == (wrong == 0)


def test_the_targets_typed_in_are_the_definition():
    assert targets(C3, Rounding.TIES_UP) == [sum(x >= t for t in THRESHOLDS[C3]) for x in range(-256, 256)]
