"""Integers in open intervals, the roundest bias, lattice counts and shared divisors: each against trying all."""

from fractions import Fraction

import pytest
from batchnorm_cases import SOME, fitted, line
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import fit_steps, smallest_shared_divisor
from refq.batchnorm.choice import (
    fewest_bits,
    integers_inside,
    is_empty,
    min_shift,
    mirror,
    roundest,
    some,
    trailing_zeros,
)
from refq.batchnorm.divisors import simplest
from refq.batchnorm.fit import FEW, _line
from refq.batchnorm.lattice import envelope, floor_sum, roundest_multiplier
from refq.batchnorm.slopes import bias_range
from refq.formats import Rounding
from refq.staircase.steps import rising

F = Fraction
small = st.integers(-60, 60)
fractions = st.fractions(-5, 5, max_denominator=30)
intervals = st.tuples(fractions, fractions).filter(lambda ends: ends[0] < ends[1])
ends = st.one_of(st.none(), st.integers(-70, 70))
ranges = st.tuples(ends, ends).filter(lambda e: None in e or e[0] <= e[1])
NOWHERE = 1 << 12


def listed(found):
    """The integers of a range, unbounded sides cut far outside what the tests draw."""
    first, last = found
    return range(-NOWHERE if first is None else first, (NOWHERE if last is None else last) + 1)


@given(intervals, st.integers(1, 20))
@SOME
def test_integers_strictly_inside(slopes, divisor):
    low, high = slopes
    expected = [a for a in range(-101, 101) if low * divisor < a < high * divisor]
    assert list(listed(integers_inside(slopes, divisor))) == expected
    assert some(integers_inside(slopes, divisor)) == bool(expected)
    assert integers_inside((None, high), divisor) == (None, integers_inside(slopes, divisor)[1])
    assert integers_inside((low, None), divisor) == (integers_inside(slopes, divisor)[0], None)
    assert list(listed(integers_inside(mirror(slopes), divisor))) == [-a for a in expected[::-1]]


@given(intervals)
@SOME
def test_the_smallest_shift_and_the_simplest_fraction(slopes):
    low, high = slopes
    shift = min_shift(slopes)
    works = [some(integers_inside(slopes, 1 << k)) for k in range(shift + 3)]
    assert works == [False] * shift + [True] * 3
    expected = next(d for d in range(1, 1000) if any(low * d < a < high * d for a in range(-6 * d, 6 * d + 1)))
    got = simplest(slopes)
    assert got.denominator == expected
    assert low < got < high


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ((None, None), F(0)),
        ((F(3, 2), None), F(2)),
        ((F(2), None), F(3)),
        ((None, F(-2)), F(-3)),
        ((None, F(1, 9)), F(0)),
        ((F(0), F(1, 9)), F(1, 10)),
        ((F(-1, 9), F(0)), F(-1, 10)),
        ((F(1), F(2)), F(3, 2)),
        ((F(2), F(5)), F(3)),
        ((F(1, 1 << 60), F(1, (1 << 60) - 2)), F(1, (1 << 60) - 1)),
    ],
)
def test_the_simplest_fraction_at_the_ends(slopes, expected):
    assert simplest(slopes) == expected


def test_empty_intervals():
    assert is_empty((F(1), F(1)))
    assert is_empty((F(2), F(1)))
    assert not any(map(is_empty, [(F(1), F(2)), (None, F(1)), (F(1), None), (None, None)]))


@given(ranges)
@SOME
def test_the_roundest_and_the_fewest_bits(found):
    values = listed(found)
    got = roundest(*found)
    if None not in found:
        assert trailing_zeros(got) == max(map(trailing_zeros, values))
        assert [v for v in values if trailing_zeros(v) == trailing_zeros(got)] == [got]
    else:
        assert got == min(values, key=abs)
    fewest = min(abs(v).bit_length() for v in values)
    expected = [v for v in values if abs(v).bit_length() == fewest]
    first, last = fewest_bits(*found)
    # where both signs are of the fewest bits 0 is one of them
    assert list(range(first, last + 1)) == expected


@given(st.integers(0, 40), st.integers(1, 40), small, small)
@SOME
def test_floor_sums(count, divisor, slope, offset):
    assert floor_sum(count, divisor, slope, offset) == sum((slope * i + offset) // divisor for i in range(count))


def test_a_huge_floor_sum():
    count, divisor = (1 << 60) + 1, 3
    # i // 3 over 3 n + 2 values: 0 0 0 1 1 1 .. n n
    n, rest = divmod(count, 3)
    assert floor_sum(count, divisor, 1, 0) == 3 * n * (n - 1) // 2 + rest * n


lines = st.lists(st.tuples(st.integers(-9, 9), st.integers(-90, 90)), min_size=1, max_size=6)


@given(lines, small, st.integers(0, 40))
@SOME
def test_envelopes(given_lines, first, length):
    pieces = envelope(given_lines, first, first + length)
    got = [(a, slope * a + offset) for start, end, slope, offset in pieces for a in range(start, end + 1)]
    assert got == [(a, max(s * a + o for s, o in given_lines)) for a in range(first, first + length + 1)]
    assert all((slope, offset) in given_lines for _, _, slope, offset in pieces)


def by_looking(least, most, first, last):
    """The smallest a for which some b has the most trailing zeros, over all a and b."""
    found = []
    for a in range(first, last + 1):
        low, high = max(s * a + o for s, o in least), min(s * a + o for s, o in most)
        found += [(-trailing_zeros(b), a) for b in range(low, high + 1)]
    return min(found)[1] if found else None


@given(lines, lines, small, st.integers(0, 30), st.integers(0, 300))
@SOME
def test_the_roundest_multiplier(least, most, first, length, lift):
    """Lifted so that least <= most everywhere by at least -1: the counts are exact where a range is just empty."""
    last = first + length
    gaps = [min(s * a + o for s, o in most) - max(s * a + o for s, o in least) for a in range(first, last + 1)]
    most = [(s, o - min(gaps) - 1 + lift % 40) for s, o in most]
    expected = by_looking(least, most, first, last)
    if expected is not None:
        assert roundest_multiplier(least, most, first, last) == expected


def test_no_bias_is_rounder_than_0():
    # a = 1 leaves 64 alone, a = 2 leaves 0
    assert roundest_multiplier([(-64, 128)], [(-64, 128)], 1, 2) == 2


@given(st.integers(2, 9), st.integers(1, 5), st.integers(-40, 40), st.integers(3, 12))
@SOME
def test_many_multipliers_are_counted_as_few_are_enumerated(width, jump, first, bits):
    """The same choice from a count over the lattice as from one multiplier after the other."""
    steps = rising(first, first + 3 * width, 0, [first + width, first + width + jump])
    fit = fit_steps(steps, 0, 2, 1 << bits)
    low, high = integers_inside(fit.slopes, 1 << bits)
    if not some((low, high)):
        return
    high = min(high or low + 300, low + 300)
    for group in ((low, min(high, low + FEW)), (low, min(high, low + FEW - 1)), (low, high), fewest_bits(low, high)):
        ranked = ((-trailing_zeros(roundest(*bias_range(fit.points, a, 1 << bits))), a) for a in listed(group))
        assert _line(fit.points, group, 1 << bits) == min(ranked)[1]


@pytest.mark.parametrize("divisor", [1 << 12, 3000, 1 << 60])
@pytest.mark.parametrize("slope", [F(5, 7), F(-5, 7), F(1, 2)])
def test_large_groups_of_multipliers(divisor, slope):
    fit = fitted(line(slope, F(1, 9), -6, 6), Rounding.FLOOR, divisor)
    group = fewest_bits(*fit.multiplier_range)
    assert group[1] - group[0] > FEW
    least, most = bias_range(fit.points, fit.sign * fit.form.multiplier, divisor)
    assert fit.bias_range == (least, most)
    assert fit.form.bias == roundest(least, most)
    if divisor < 1 << 20:
        all_zeros = {a: trailing_zeros(roundest(*bias_range(fit.points, fit.sign * a, divisor))) for a in listed(group)}
        most_zeros = max(all_zeros.values())
        assert abs(fit.form.multiplier) == min(abs(a) for a, zeros in all_zeros.items() if zeros == most_zeros)


@given(st.lists(intervals, min_size=1, max_size=4))
@SOME
def test_the_smallest_shared_divisor(several):
    expected = next(s for s in range(1, 1 << 20) if all(some(integers_inside(ends, s)) for ends in several))
    assert smallest_shared_divisor(several) == expected
    unbounded = [*several, (None, F(1, 3)), (F(7, 2), None), (None, None)]
    assert smallest_shared_divisor(unbounded) == expected


def test_shared_divisors_at_the_ends():
    assert smallest_shared_divisor([]) == 1
    assert smallest_shared_divisor([(F(-1, 511), F(1, 511))]) == 1
    assert smallest_shared_divisor([(F(0), F(1, 9)), (F(-1, 5), F(0))]) == 10
    near = F(1, 3)
    tiny = F(1, 1 << 90)
    # ends beyond 64 bits: the same walk on Python's integers
    assert smallest_shared_divisor([(near - tiny, near + tiny), (F(8, 27), F(3, 10))]) == 57


def test_a_shared_divisor_that_does_not_exist_within_32_bits():
    several = [(F(1, 3) - F(1, 1 << 80), F(1, 3)), (F(1, 2), F(2, 3))]
    with pytest.raises(
        ValueError, match=r"^smallest_shared_divisor: intervals=2 of them share no divisor .*share a shift"
    ):
        smallest_shared_divisor(several)
