"""from_function recovers a black box from few questions, and refuses what is no monotone integer map."""

import numpy as np
import pytest
from refq_cases import assert_same

from refq import FixedScale, IntFormat, from_function, requantize, staircase

KERNELS = ["gemmlowp_double", "single_up", "xnnpack_rndnu16", "float32_ties_even", "float64_ties_even", "exact_ties_up"]


class Counting:
    """A black box that counts the values and the calls it was asked."""

    def __init__(self, function):
        self.function, self.values, self.calls = function, 0, 0

    def __call__(self, x):
        assert x.dtype == np.int64
        self.values += x.size
        self.calls += 1
        return self.function(x)


@pytest.mark.parametrize("name", KERNELS)
def test_a_rule_of_every_kernel_is_recovered_with_few_questions(name):
    box = Counting(lambda x: requantize(x, name, 0.4, zero_point=3))
    assert from_function(box) == staircase(name, 0.4, zero_point=3, domain=(-(1 << 31), (1 << 31) - 1))
    assert box.values <= 8200
    assert box.calls <= 34


def test_a_falling_function():
    fixed = FixedScale(-1518500250, 44)
    box = Counting(lambda x: requantize(x, "gemmlowp_double", fixed))
    assert from_function(box) == staircase("gemmlowp_double", fixed)
    assert box.values <= 8200


def test_a_constant_needs_two_values():
    box = Counting(lambda x: np.full(x.shape, 9, np.int8))
    assert from_function(box).ends() == [(-(1 << 31), (1 << 31) - 1, 9)]
    assert box.values <= 2


def test_every_rising_function_on_a_small_domain():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        levels = np.cumsum(rng.integers(0, 3, 50)) * rng.choice([-1, 1])
        steps = from_function(lambda x: levels[x + 20], (-20, 29))  # noqa: B023
        assert_same(got=steps(np.arange(-20, 30)), expected=levels.astype(np.int64))


def test_domains_of_no_one_and_all_int64_inputs():
    assert from_function(lambda x: x, (3, 2)).size == 0
    assert from_function(lambda x: x, (3, 3)).ends() == [(3, 3, 3)]
    ends = (-(1 << 63), (1 << 63) - 1)
    assert from_function(np.sign, ends).starts.tolist() == [-(1 << 63), 0, 1]


def test_a_jump_over_levels():
    steps = from_function(lambda x: np.where(x < 1000, -100, 100))
    assert (steps.starts.tolist(), steps.levels.tolist()) == ([-(1 << 31), 1000], [-100, 100])


def test_a_fall_among_the_values_seen_is_refused_with_both_inputs():
    message = r"from_function: function is not monotone: f\(0\)=0, f\(1\)=-1; pass a smaller domain"
    with pytest.raises(ValueError, match=message):
        from_function(lambda x: np.where(x == 20, 5, -x), (0, 20))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x / 2, "function returned float64 of shape"),
        (lambda x: x[:-1], r"function returned int64 of shape \(1,\); expected integers of \(2,\)"),
        (lambda x: x > 0, "function returned bool of shape"),
        (lambda x: 7, r"function returned int64 of shape \(\)"),
    ],
)
def test_answers_that_are_no_integers_of_the_asked_shape(answer, message):
    with pytest.raises(ValueError, match="from_function: " + message):
        from_function(answer, (0, 9))


def test_too_many_levels_are_refused():
    with pytest.raises(ValueError, match="function spans 200 levels, more than max_steps=100"):
        from_function(lambda x: x, (0, 200), max_steps=100)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10])
def test_the_number_of_questions_grows_with_the_levels_only(bits):
    box = Counting(lambda x: requantize(x, "single_up", 2.0**-12, fmt=IntFormat(bits)))
    assert from_function(box) == staircase("single_up", 2.0**-12, fmt=IntFormat(bits))
    assert box.values <= 32 << bits
