"""difference, max_error and error_histogram against counting every input of a small domain."""

from collections import Counter
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from refq import (
    INT8,
    RULES,
    UINT8,
    FixedScale,
    Interval,
    IntFormat,
    difference,
    error_histogram,
    max_error,
    requantize,
    staircase,
)

DOMAIN = (-700, 611)
XS = np.arange(DOMAIN[0], DOMAIN[1] + 1)
PAIRS = [
    ("gemmlowp_double", "single_up", Fraction(1, 4)),
    ("double_up", "gemmlowp_double", Fraction(3, 16)),
    ("single_even", "single_away", Fraction(1, 2)),
    ("float32_ties_even", "exact_ties_up", Fraction(5, 8)),
    ("xnnpack_rndnu16", "exact_ties_even", Fraction(0.3)),
    ("multiply_add_shift_floor", "exact_ties_even", Fraction(0.07)),
    ("single_up", "single_up", Fraction(1, 4)),
]
CASES = [
    (RULES[name], scale, zero, fmt)
    for name in ("gemmlowp_double", "double_up", "float32_ties_even", "multiply_add_shift_floor", "xnnpack_rndnu16")
    for scale, zero, fmt in (
        (Fraction(1, 4), 0, INT8),
        (Fraction(3, 16), 7, IntFormat(4)),
        (Fraction(0.3), 200, UINT8),
        (Fraction(7, 2), -5, INT8),
    )
]
EVERY_CASE = pytest.mark.parametrize(("rule", "scale", "zero_point", "fmt"), CASES)


@pytest.mark.parametrize(("left", "right", "scale"), PAIRS)
def test_difference_is_what_counting_finds(left, right, scale):
    found = difference(*(staircase(rule, scale, domain=DOMAIN) for rule in (left, right)))
    a, b = (requantize(XS, rule, scale).astype(int) for rule in (left, right))
    got = [(x, i.left, i.right) for i in found.intervals for x in range(i.first, i.last + 1)]
    expected = [(int(x), int(p), int(q)) for x, p, q in zip(XS, a, b, strict=True) if p != q]
    assert got == expected
    assert found.count == len(expected)


def test_intervals_are_maximal():
    found = difference(staircase("single_up", 0.25, domain=(-64, 64)), staircase("single_up", 0.125, domain=(-64, 64)))
    for before, after in zip(found.intervals, found.intervals[1:], strict=False):
        same = (before.left, before.right) == (after.left, after.right)
        assert not (same and before.last + 1 == after.first)
    assert found.intervals[0] == Interval(-64, -63, -16, -8)


def test_difference_of_empty_and_of_unequal_domains():
    empty = [staircase(rule, 0.25, domain=(1, 0)) for rule in ("single_up", "double_up")]
    assert difference(*empty).count == 0
    message = r"difference: domain 0\.\.9 is not 0\.\.8; rebuild one of them"
    with pytest.raises(ValueError, match=message):
        difference(staircase("single_up", 0.25, domain=(0, 9)), staircase("single_up", 0.25, domain=(0, 8)))


def errors(rule, scale, zero_point, fmt):
    """code - exact value, the exact value clamped to the format, for every input of the domain."""
    codes = requantize(XS, rule, scale, zero_point=zero_point, fmt=fmt)
    exact = [min(max(int(x) * scale + zero_point, Fraction(fmt.qmin)), Fraction(fmt.qmax)) for x in XS]
    return [int(code) - value for code, value in zip(codes, exact, strict=True)]


@EVERY_CASE
def test_max_error_is_the_largest_of_all(rule, scale, zero_point, fmt):
    expected = [abs(e) for e in errors(rule, scale, zero_point, fmt)]
    steps = staircase(rule, scale, zero_point=zero_point, fmt=fmt, domain=DOMAIN)
    got, at = max_error(steps, scale, zero_point, fmt)
    assert got == max(expected)
    assert expected[at - DOMAIN[0]] == got


@EVERY_CASE
@pytest.mark.parametrize("bins", [3, 8])
def test_error_histogram_counts_every_input_once(rule, scale, zero_point, fmt, bins):
    expected = Counter(Fraction(floor(e * bins), bins) for e in errors(rule, scale, zero_point, fmt))
    steps = staircase(rule, scale, zero_point=zero_point, fmt=fmt, domain=DOMAIN)
    got = error_histogram(steps, scale, zero_point, fmt, bins)
    assert got == dict(expected)
    assert list(got) == sorted(got)


@pytest.mark.parametrize("rule", RULES)
def test_error_histogram_over_int32_holds_every_accumulator(rule):
    steps = staircase(rule, 0.25)
    assert sum(error_histogram(steps, Fraction(1, 4)).values()) == steps.size


def test_real_arithmetic_errs_by_half_a_step():
    assert max_error(staircase("exact_ties_even", 0.25), Fraction(1, 4))[0] == Fraction(1, 2)
    assert max_error(staircase("multiply_add_shift_floor", 0.25), Fraction(1, 4))[0] == Fraction(3, 4)


def test_max_error_of_a_falling_staircase():
    falling = staircase("single_up", FixedScale(-(1 << 30), 32), domain=DOMAIN)
    assert max_error(falling, Fraction(-1, 4))[0] == Fraction(1, 2)


def test_error_histogram_of_a_falling_staircase():
    falling = staircase("single_up", FixedScale(-(1 << 30), 32), domain=DOMAIN)
    codes = requantize(XS, "single_up", FixedScale(-(1 << 30), 32))
    exact = [min(max(Fraction(-int(x), 4), Fraction(-128)), Fraction(127)) for x in XS]
    keys = [Fraction(floor((int(c) - e) * 8), 8) for c, e in zip(codes, exact, strict=True)]
    assert error_histogram(falling, Fraction(-1, 4)) == dict(Counter(keys))


def test_an_empty_domain_cannot_be_measured():
    with pytest.raises(ValueError, match=r"max_error: domain 5\.\.4 is empty; nothing to measure"):
        max_error(staircase("single_up", 0.25, domain=(5, 4)), Fraction(1, 4))
    assert error_histogram(staircase("single_up", 0.25, domain=(5, 4)), Fraction(1, 4)) == {}


@pytest.mark.parametrize("bins", [0, -1, (1 << 16) + 1])
def test_bins_are_checked(bins):
    with pytest.raises(ValueError, match=rf"error_histogram: bins_per_step={bins} is outside 1\.\.65536"):
        error_histogram(staircase("single_up", 0.25, domain=(0, 4)), Fraction(1, 4), bins_per_step=bins)
