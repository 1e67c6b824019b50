"""What the exact search stands on: the bound between two steps, the steps' keys, pairs and exact integer sums."""

from fractions import Fraction

import numpy as np

from refq.quantizers.mse_search import bound, key_of, node, step_of
from refq.quantizers.mse_sums import Stairs, block_sums, exact_moments, exact_squares, moments
from refq.spec.quantizers import mse as spec


def exact(values):
    return [Fraction(float(x)) for x in values]


def test_bounds_hold_between_any_two_nodes():
    """Equation (3), with G of the definition at steps between; and the sums are those of exact integers."""
    values = np.sort(np.abs(np.random.default_rng(2).normal(size=40)))
    stairs, square = Stairs(0, 1, 7), sum(x * x for x in exact(values))
    sides = ((values, block_sums(values), *stairs), (values[:0], block_sums(values[:0]), 0, 1, 0))
    checked = 0
    for low, width in ((0.1, 1.01), (0.13, 1.1), (0.3, 1.5), (0.31, 1.9), (1.0, 1.9)):
        left, right = (node(sides, key_of(s)) for s in (low, low * width))
        top = bound(left, right, (0.0, 0.0), 2.0**-90)
        for part in range(9):
            s = Fraction(left[4]) + (Fraction(right[4]) - Fraction(left[4])) * part / 8
            gain = square - spec.squared_error(exact(values), s, range(-7, 8))
            assert gain <= Fraction(top)
            checked += 1
        a, b = exact_moments(values, stairs, left[4])
        hi, lo, same = moments(*sides[0], left[4])
        assert same == b
        assert abs(Fraction(hi) + Fraction(lo) - a) <= a * Fraction(1, 2**100)
    assert checked == 45
    assert exact_squares(values) == square


def test_keys_number_the_steps_in_order():
    for step in (1.0, 1.5, 0.7, 2.0**-300, 3e90):
        key = key_of(step)
        assert step_of(key) <= step < step_of(key + 1)
        assert Fraction(step_of(key)).numerator.bit_length() <= 36 or step > 2.0**60
    assert [step_of(key_of(2.0**p)) for p in (-7, 0, 9)] == [2.0**-7, 1.0, 512.0]


def test_exact_sums_survive_cancellation_and_many_exponents():
    values = np.sort(np.array([5e-324, 2.0**-500, 1.0, 1.0 + 2.0**-52, 2.0**400]))
    assert exact_squares(values) == sum(x * x for x in exact(values))
    a, b = exact_moments(values, Stairs(1, 2, 3), 0.3)
    codes = [1, 1, 3, 3, 7]
    assert (a, b) == (sum(c * x for c, x in zip(codes, exact(values), strict=True)), sum(c * c for c in codes))
