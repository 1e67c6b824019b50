"""The solver against brute force: all working (A, B), the choice among them, and the slopes by pairs of Fractions."""

from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import ROUNDINGS, SOME, built, fitted, hard, line, outputs, roundings, seeded, wild
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import FixedPoint, fit_steps, form_steps, multipliers_for, reproduces
from refq.batchnorm import slopes as kernels
from refq.batchnorm.choice import integers_inside, is_empty, some, trailing_zeros
from refq.batchnorm.slopes import bias_range, constraints, slope_interval
from refq.formats import Rounding
from refq.spec import batchnorm as spec
from refq.staircase.steps import Staircase, canonical, rising

DIVISORS = [1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 32, 64]


def staircases(random, count, size=12):
    """Small monotone staircases, of real lines and of none, in both directions, with the range they are clamped to."""
    for i in range(count):
        first, last = np.sort(random.integers(-7, 12, 2)).tolist()
        last = min(last, first + size - 1)
        qmin = int(random.integers(-4, 3))
        qmax = qmin + int(random.integers(0, 5))
        if i % 2:
            slope, offset = (Fraction(int(random.integers(-12, 13)), int(random.integers(1, 9))) for _ in range(2))
            channel = line(slope, offset, first, last, qmin, qmax)
            yield fitted(channel, ROUNDINGS[i // 2 % 11]).steps, qmin, qmax
        else:
            # any levels that never fall: most of them no line reproduces
            steps = rising(first, last, qmin, sorted(random.integers(first - 2, last + 3, qmax - qmin).tolist()))
            falling = canonical(first, last, steps.starts, qmin + qmax - steps.levels)
            yield (falling if i % 4 else steps), qmin, qmax


def working(steps, qmin, qmax, divisor):
    """Every working (A, B) of a window: a 2-d truth table over A and B, with the window.

    A bound of B is level * divisor - A x, of A where B is free (level difference) * divisor / (difference of x):
    both lie in the window, so it holds an end of every range that has one.
    """
    height = qmax - qmin + 2
    most = height * divisor
    furthest = max(abs(steps.first), abs(steps.last))
    reach = (most + 1) * furthest + (max(abs(qmin), abs(qmax)) + 1) * divisor + 1
    multipliers, biases = np.arange(-most - 1, most + 2), np.arange(-reach - 1, reach + 2)
    good = np.ones((len(multipliers), len(biases)), bool)
    for x in range(steps.first, steps.last + 1):
        values = np.floor_divide(multipliers[:, None] * x + biases, divisor)
        good &= np.clip(values, qmin, qmax) == int(steps(x))
    return good, multipliers, biases


def inside(ends, values):
    """Which values lie in first..last, None unbounded."""
    first, last = ends
    return (values >= (values[0] if first is None else first)) & (values <= (values[-1] if last is None else last))


def check_all(steps, qmin, qmax, divisor, random):
    good, multipliers, biases = working(steps, qmin, qmax, divisor)
    fit = fit_steps(steps, qmin, qmax, divisor)
    assert (fit.form is None) == (not good.any())
    if not is_empty(fit.slopes):
        assert np.array_equal(good.any(axis=1), inside(integers_inside(fit.slopes, divisor), multipliers))
    for a, row in zip(multipliers.tolist(), good, strict=True):
        ends = bias_range(fit.points, fit.sign * a, divisor)
        assert np.array_equal(row, inside(ends, biases))
    for at in {*random.integers(0, len(biases), 20).tolist(), *np.flatnonzero(good.any(axis=0))[:20].tolist()}:
        expected = good[:, at]
        assert np.array_equal(inside(multipliers_for(fit, int(biases[at]), divisor), multipliers), expected)
    return fit, good, multipliers, biases


def best(good, multipliers, biases, bounded):
    """The policy, by looking at all: fewest bits of A, then, for a bounded B, most trailing zeros; smallest A and B."""
    pairs = np.argwhere(good)
    working_pairs = zip(multipliers[pairs[:, 0]].tolist(), biases[pairs[:, 1]].tolist(), strict=True)
    return min(
        working_pairs,
        key=lambda ab: (abs(ab[0]).bit_length(), -trailing_zeros(ab[1]) * bounded, abs(ab[0]), abs(ab[1])),
    )


@pytest.mark.parametrize("divisor", DIVISORS)
def test_all_working_pairs(divisor):
    random = np.random.default_rng(divisor)
    found = 0
    for steps, qmin, qmax in staircases(random, 44 if divisor < 16 else 10, 12 if divisor < 32 else 4):
        fit, good, multipliers, biases = check_all(steps, qmin, qmax, divisor, random)
        if fit.form:
            found += 1
            assert (fit.form.multiplier, fit.form.bias) == best(good, multipliers, biases, None not in fit.bias_range)
    assert found >= 3


@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_shift_by_trying_all(seed):
    random = np.random.default_rng([6, seed])
    for steps, qmin, qmax in staircases(random, 22, 6):
        fit = fit_steps(steps, qmin, qmax)
        tried = [working(steps, qmin, qmax, 1 << k)[0].any() for k in range(min(fit.min_shift or 0, 5) + 1)]
        expected = None if is_empty(fit.slopes) else fit.min_shift
        assert (tried.index(True) if any(tried) else None) == (expected if expected is None or expected <= 5 else None)


@given(st.data(), st.sampled_from(DIVISORS[:7]))
@SOME
def test_the_definition_decides_single_lines(data, divisor):
    qmin, height, first = data.draw(st.tuples(st.integers(-3, 3), st.integers(0, 4), st.integers(-8, 4)))
    last = first + data.draw(st.integers(0, 11))
    thresholds = sorted(data.draw(st.lists(st.integers(first - 1, last + 2), min_size=height, max_size=height)))
    fit = fit_steps(rising(first, last, qmin, thresholds), qmin, qmin + height, divisor)
    near = [fit.form.multiplier, fit.form.bias] if fit.form else [divisor, 0]
    multiplier, bias = (near[i] + data.draw(st.integers(-3, 3)) for i in range(2))
    form = FixedPoint(multiplier, bias, divisor, qmin, qmin + height)
    expected = all(spec.fixed_point(x, form) == int(fit.steps(x)) for x in range(first, last + 1))
    assert reproduces(fit, form) == expected
    assert inside(multipliers_for(fit, bias, divisor), np.arange(multiplier - 1, multiplier + 2))[1] == expected
    assert (form_steps(form, (first, last)) == fit.steps) == expected
    xs = np.arange(first, last + 1)
    assert np.array_equal(outputs(form, xs), fit.steps(xs)) == expected


def pairwise(lower, upper):
    """The open interval of slopes from all pairs of points, one Fraction each: papers.md, appendix."""
    ends = [(y - x, k - j) for x, j in lower for y, k in upper]
    assert all(n > 0 for d, n in ends if d == 0)
    low = max((Fraction(n, d) for d, n in ends if d < 0), default=None)
    return low, min((Fraction(n, d) for d, n in ends if d > 0), default=None)


def points_everywhere(steps, qmin, qmax):
    values = [(x, int(steps(x))) for x in range(steps.first, steps.last + 1)]
    return [(x, j) for x, j in values if j > qmin], [(x, j + 1) for x, j in values if j < qmax]


def same_interval(got, expected):
    assert is_empty(got) == is_empty(expected)
    assert is_empty(got) or got == expected


def test_slopes_by_pairs_of_all_accumulators():
    for steps, qmin, qmax in staircases(np.random.default_rng(1), 400, 18):
        same_interval(fit_steps(steps, qmin, qmax).slopes, pairwise(*points_everywhere(steps, qmin, qmax)))


@pytest.mark.parametrize("rounding", [Rounding.TIES_UP, Rounding.TIES_EVEN, Rounding.TOWARD_ZERO])
def test_slopes_by_pairs_of_thresholds(rounding):
    random = np.random.default_rng([2, rounding])
    for i in range(24):
        channel = (seeded(random, 12, 40), hard(random, 12))[i % 2]
        fit = fitted(channel, rounding)
        ends = [(x, int(fit.steps(x))) for x in (fit.steps.first, fit.steps.last)]
        starts, levels = fit.steps.starts.tolist(), fit.steps.levels.tolist()
        both = ends + [p for x, j, k in zip(starts[1:], levels[1:], levels, strict=False) for p in ((x, j), (x - 1, k))]
        lower = [(x, j) for x, j in both if j > channel.qmin]
        upper = [(x, j + 1) for x, j in both if j < channel.qmax]
        same_interval(fit.slopes, pairwise(lower, upper))


def kernels_agree(steps, qmin, qmax, monkeypatch):
    points = constraints(steps, qmin, qmax)
    compiled = slope_interval(points), [bias_range(points, a, d) for a in (0, 3, -7) for d in (1, 6, 64)]
    with monkeypatch.context() as patched:
        patched.setattr(kernels, "COMPILED_LIMIT", 0)
        plain = constraints(steps, qmin, qmax)
        assert plain.columns[0].dtype == object
        assert (slope_interval(plain), [bias_range(plain, a, d) for a in (0, 3, -7) for d in (1, 6, 64)]) == compiled


def test_compiled_and_big_integers_agree(monkeypatch):
    for steps, qmin, qmax in staircases(np.random.default_rng(3), 120, 18):
        kernels_agree(steps if steps.levels[0] <= steps.levels[-1] else steps.reflected(), qmin, qmax, monkeypatch)


@given(st.one_of(built(), wild()), roundings, st.sampled_from([1 << 20, 1 << 40, 1 << 58]))
@SOME
def test_huge_accumulators_stretch_the_same_slopes(channel, rounding, factor):
    """Every start times the factor: the interval is that of the pairs, at any size."""
    steps = fitted(channel, rounding).steps
    few = Staircase(0, steps.size - 1, steps.starts - steps.first, steps.levels)
    starts = [int(x) * factor for x in few.starts]
    huge = Staircase(0, min(few.last * factor, (1 << 63) - 1), np.array(starts, np.int64), steps.levels)
    fit = fit_steps(huge, channel.qmin, channel.qmax)
    ends = [(x, int(huge(x))) for x in {huge.first, huge.last, *starts, *(x - 1 for x in starts[1:])}]
    lower = [(x, j) for x, j in ends if j > channel.qmin]
    upper = [(x, j + 1) for x, j in ends if j < channel.qmax]
    same_interval(fit.slopes, pairwise(lower, upper))
    assert fit.form is None or form_steps(fit.form, (huge.first, huge.last)) == huge
    assert not fit.min_shift or not some(integers_inside(fit.slopes, 1 << (fit.min_shift - 1)))
