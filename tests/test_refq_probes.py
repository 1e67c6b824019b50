"""probes are a complete test of monotone implementations, and built cases find what drawn ones cannot."""

import numpy as np
import pytest
from refq_cases import assert_same

from refq import FixedScale, IntFormat, Staircase, difference, probes, requantize, staircase

LIMIT = FixedScale(1518500250, 44)
TIE_RULES = ["single_up", "single_away", "single_even", "float64_ties_even", "exact_ties_even", "exact_ties_away"]


def test_both_sides_of_every_start_and_both_ends():
    steps = staircase("gemmlowp_double", 0.25)
    found = probes(steps)
    assert found.size == 512
    assert set(found) == {steps.first, steps.last, *steps.starts[1:].tolist(), *(steps.starts[1:] - 1).tolist()}
    assert_same(got=found, expected=np.unique(found))


def moved(steps, index, by):
    """The staircase with one threshold off."""
    starts = steps.starts.copy()
    starts[index] += by
    return Staircase(steps.first, steps.last, starts, steps.levels)


@pytest.mark.parametrize("name", ["gemmlowp_double", "float32_ties_even", "exact_ties_up", "single_up"])
@pytest.mark.parametrize("by", [-1, 1])
def test_one_threshold_off_is_always_caught(name, by):
    steps = staircase(name, 0.009586980574)
    asked = probes(steps)
    expected = steps(asked)
    for index in range(1, steps.starts.size):
        assert (moved(steps, index, by)(asked) != expected).any()


def test_every_monotone_map_that_agrees_on_the_probes_is_the_same():
    steps = staircase("single_up", 0.5, fmt=IntFormat(2), domain=(-4, 4))
    asked, expected = probes(steps), steps(np.arange(-4, 5))
    same = 0
    for number in range(1 << 16):
        rises = np.array([number >> (2 * i) & 3 for i in range(8)])
        candidate = np.concatenate([[-2], -2 + np.cumsum(rises)])
        if candidate[-1] <= 1 and (candidate[asked + 4] == expected[asked + 4]).all():
            assert_same(got=candidate.astype(np.int64), expected=expected)
            same += 1
    assert same == 1


def test_the_union_of_probes_holds_a_witness_of_every_difference():
    names = ["gemmlowp_double", "double_up", "single_up", "float32_ties_even", "exact_ties_even"]
    steps = {name: staircase(name, 0.25) for name in names}
    asked = probes(*steps.values())
    for left in names:
        for right in names:
            differ = bool((steps[left](asked) != steps[right](asked)).any())
            assert differ == (steps[left] != steps[right])


def test_falling_and_wrapping_staircases_have_probes_too():
    for steps in (staircase("single_up", FixedScale(-(1 << 30), 40)), staircase("gemmlowp_double", 3.7)):
        assert probes(steps).size <= 2 * steps.starts.size
        assert {steps.first, steps.last} <= set(probes(steps).tolist())


def stored(names, accs, scale):
    return {name: requantize(accs, name, scale) for name in names}


def test_random_parameters_and_accumulators_do_not_separate_tie_rules():
    rng = np.random.default_rng(20)
    for _ in range(20):
        scale = np.float32(rng.uniform(2.0**-10, 2.0**-6))
        answers = stored(TIE_RULES, rng.integers(-20000, 20000, 50000), scale)
        for name in TIE_RULES[1:]:
            assert_same(got=answers[name], expected=answers["single_up"])


def test_built_ties_separate_them():
    ties = np.array([2, -2, 6, -6, 10, -10])
    answers = stored(["single_up", "single_away", "single_even"], ties, 0.25)
    assert len({a.tobytes() for a in answers.values()}) == 3


def test_random_inputs_miss_sparse_differences_and_probes_find_all():
    left, right = staircase("gemmlowp_double", LIMIT), staircase("single_up", LIMIT)
    drawn = np.random.default_rng(21).integers(-(1 << 31), 1 << 31, 1_000_000)
    assert int((left(drawn) != right(drawn)).sum()) == 0
    found = difference(left, right)
    asked = probes(left, right)
    inside = [i for i in found.intervals if ((asked >= i.first) & (asked <= i.last)).any()]
    assert (found.count, len(inside)) == (182, len(found.intervals))
    first = np.array([i.first for i in found.intervals])
    for rule, steps in (("gemmlowp_double", left), ("single_up", right)):
        assert_same(got=requantize(first, rule, LIMIT).astype(np.int64), expected=steps(first))
