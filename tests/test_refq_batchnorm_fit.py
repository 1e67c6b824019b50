"""Which targets have a line and how many bits it needs at most: ties, thirds, the worst case, prescribed biases."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import (
    C1,
    ROUNDINGS,
    fitted,
    hard,
    line,
    seeded,
)

from refq.batchnorm import (
    deviation,
    fit_steps,
    form_steps,
    multipliers_for,
    naive_form,
    reproduces,
    target_steps,
)
from refq.batchnorm.choice import integers_inside, is_empty, some
from refq.batchnorm.slopes import bias_range
from refq.formats import Rounding
from refq.staircase.steps import Staircase, rising

F = Fraction


def test_a_third_needs_8_bits_with_a_free_bias_and_9_without():
    third = fitted(line(F(1, 3), 0, 0, 255), Rounding.FLOOR)
    assert (third.min_shift, third.form.multiplier, third.bias_range) == (8, 85, (85, 85))
    assert reproduces(third, replace(third.form, multiplier=85, bias=85))
    without = [multipliers_for(third, 0, 1 << k) for k in range(10)]
    assert not any(map(some, without[:9]))
    assert without[9] == (171, 171)


def test_naive_rounding_fails_at_every_even_shift_where_the_line_meets_a_boundary():
    third = line(F(1, 3), 0, 0, 255)
    steps = target_steps(third, Rounding.FLOOR)
    failing = [k for k in range(23) if deviation(steps, naive_form(third, k, Rounding.FLOOR)).wrong]
    assert failing == [*range(9), *range(10, 23, 2)]


@pytest.mark.parametrize(
    ("slope", "rounding", "first", "last", "slopes"),
    [
        (F(1, 2), Rounding.TIES_EVEN, 0, 5, None),
        (F(1, 2), Rounding.TIES_EVEN, 0, 4, (F(1, 2), F(3, 4))),
        (F(1, 3), Rounding.TOWARD_ZERO, -6, 6, None),
        (F(1, 3), Rounding.TOWARD_ZERO, -5, 5, (F(1, 6), F(1, 4))),
        (F(-1, 2), Rounding.TIES_EVEN, -5, 0, None),
    ],
)
def test_what_no_line_reproduces(slope, rounding, first, last, slopes):
    fit = fitted(line(slope, 0, first, last), rounding)
    assert fit.slopes == slopes if slopes else is_empty(fit.slopes)
    fields = (fit.form, fit.min_shift, fit.min_divisor, fit.multiplier_range, fit.bias_range)
    assert all((field is None) == (slopes is None) for field in fields)
    if slopes:
        assert form_steps(fit.form, (first, last)) == fit.steps


@pytest.mark.parametrize("bits", range(4, 13))
@pytest.mark.parametrize("clip", [(0, 2), (-9, 9)])
def test_the_worst_case_needs_twice_the_bits_less_one(bits, clip):
    size = (1 << bits) - 1
    worst = fitted(line(F(1, size - 1), 1 - F(1, size - 1), 0, size, *clip), Rounding.FLOOR)
    assert worst.steps.starts.tolist() == [0, 1, size]
    assert worst.slopes == (F(1, size), F(1, size - 2))
    assert worst.slopes[1] - worst.slopes[0] == F(2, size * (size - 2))
    assert (worst.min_shift, worst.min_divisor) == (2 * bits - 1, size - 1)


@pytest.mark.parametrize("bits", range(1, 5))
def test_no_digital_line_needs_more(bits):
    size = (1 << bits) - 1
    most = 0
    for q in range(1, size + 2):
        for p, rest in ((p, r) for p in range(q + 1) for r in range(q)):
            fit = fitted(line(F(p, q), F(rest, q), 0, size, -1, size + 3), Rounding.FLOOR)
            most = max(most, fit.min_shift)
            assert fit.min_divisor <= max(size, 1)
            assert size < 4 or fit.slopes[1] - fit.slopes[0] >= F(2, size * (size - 2))
    assert most == {1: 0, 2: 2, 3: 4, 4: 7}[bits]


@pytest.mark.parametrize("rounding", [Rounding.TIES_AWAY, Rounding.TIES_TOWARD_ZERO, Rounding.TIES_UP, Rounding.CEIL])
def test_these_roundings_always_have_a_line(rounding):
    random = np.random.default_rng(int(rounding))
    for _ in range(300):
        slope, offset = (
            F(int(n), int(d)) for n, d in zip(random.integers(-20, 21, 2), random.integers(1, 9, 2), strict=True)
        )
        first = int(random.integers(-40, 20))
        fit = fitted(line(slope, offset, first, first + int(random.integers(1, 50))), rounding)
        assert form_steps(fit.form, (fit.steps.first, fit.steps.last)) == fit.steps


@pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.name.lower())
def test_what_works_at_a_shift_works_at_the_next(rounding):
    random = np.random.default_rng([7, rounding])
    for make in (seeded, hard):
        fit = fitted(make(random, 9), rounding)
        for k in range(fit.min_shift or 0, (fit.min_shift or 0) + 4 if fit.form else 0):
            a = integers_inside(fit.slopes, 1 << k)[0]
            least, most = bias_range(fit.points, fit.sign * a if a is not None else 5, 1 << k)
            doubled = bias_range(fit.points, 2 * fit.sign * a if a is not None else 10, 2 << k)
            assert doubled == (least and 2 * least, most and 2 * most + 1)
            assert some(integers_inside(fit.slopes, 2 << k))


NOT_FITTED = [
    (
        lambda: Staircase(3, 2, np.empty(0, np.int64), np.empty(0, np.int64)),
        "domain 3..2 is empty; nothing to reproduce",
    ),
    (lambda: Staircase(0, 9, np.array([0, 3, 5]), np.array([0, 2, 1])), "steps is not monotone; no line reproduces it"),
    (lambda: rising(0, 9, -1, [3]), "steps reaches -1..0, outside qmin..qmax=0..1"),
    (lambda: rising(0, 9, 1, [3]), "steps reaches 1..2, outside qmin..qmax=0..1"),
]


@pytest.mark.parametrize(("make", "message"), NOT_FITTED)
def test_staircases_that_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^fit_steps: {message}$"):
        fit_steps(make(), 0, 1)


@pytest.mark.parametrize(("divisor", "error"), [(0, ValueError), (-4, ValueError), (2.0, TypeError), (True, TypeError)])
def test_divisors_that_are_refused(divisor, error):
    with pytest.raises(error, match=f"^fit_steps: divisor={divisor} is "):
        fitted(C1, divisor=divisor)


def test_a_line_with_another_clamp_is_not_compared():
    with pytest.raises(ValueError, match=r"^reproduces: form=.* clamps to another range than 0\.\.15$"):
        reproduces(fitted(C1), replace(fitted(C1).form, qmax=16))
