"""The exact target: the definition against values worked by hand, its staircase against the definition everywhere."""

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import (
    C1,
    C2,
    C3,
    C4,
    ROUNDINGS,
    SOME,
    THRESHOLDS,
    channel,
    channels,
    hard,
    line,
    roundings,
    seeded,
    targets,
)
from hypothesis import given
from hypothesis import strategies as st

from refq.batchnorm import Channel, target_steps
from refq.channels import ACC_LIMIT
from refq.formats import Rounding
from refq.spec import batchnorm as spec
from refq.staircase import probes

EVERY_ROUNDING = pytest.mark.parametrize("rounding", ROUNDINGS, ids=lambda r: r.name.lower())
BY_NAME = pytest.mark.parametrize("worked", [C1, C2, C3, C4], ids=["c1", "c2", "c3", "c4"])

# round(x / 2) for x = -5..5, by hand
HALVES = {
    Rounding.FLOOR: [-3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2],
    Rounding.CEIL: [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3],
    Rounding.TOWARD_ZERO: [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2],
    Rounding.AWAY_FROM_ZERO: [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3],
    Rounding.TIES_EVEN: [-2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2],
    Rounding.TIES_AWAY: [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3],
    Rounding.TIES_UP: [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3],
    Rounding.TIES_DOWN: [-3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2],
    Rounding.TIES_TOWARD_ZERO: [-2, -2, -1, -1, 0, 0, 0, 1, 1, 2, 2],
    Rounding.TIES_ODD: [-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3],
    Rounding.JAM: [-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3],
}
# round(x * sqrt(2)) for x = -3..3: -4.24 -2.83 -1.41 0 1.41 2.83 4.24
DIAGONALS = {
    Rounding.FLOOR: [-5, -3, -2, 0, 1, 2, 4],
    Rounding.CEIL: [-4, -2, -1, 0, 2, 3, 5],
    Rounding.TOWARD_ZERO: [-4, -2, -1, 0, 1, 2, 4],
    Rounding.AWAY_FROM_ZERO: [-5, -3, -2, 0, 2, 3, 5],
    Rounding.JAM: [-5, -3, -1, 0, 1, 3, 5],
}
NEAREST_DIAGONALS = [-4, -3, -1, 0, 1, 3, 4]


def check(channel, rounding, xs=None):
    """The staircase is the definition at each x, by default at every accumulator, and its form is canonical."""
    steps = target_steps(channel, rounding)
    xs = range(channel.acc_min, channel.acc_max + 1) if xs is None else xs
    assert steps(np.array(xs, np.int64)).tolist() == targets(channel, rounding, xs)
    assert (steps.first, steps.last, int(steps.starts[0])) == (channel.acc_min, channel.acc_max, channel.acc_min)
    assert steps.starts.dtype == steps.levels.dtype == np.int64
    assert (steps.starts[1:] > steps.starts[:-1]).all()
    assert (steps.levels[1:] != steps.levels[:-1]).all()
    return steps


@EVERY_ROUNDING
def test_halves_by_hand(rounding):
    assert targets(line(Fraction(1, 2), 0, -5, 5), rounding) == HALVES[rounding]
    assert check(line(Fraction(1, 2), 0, -5, 5), rounding).levels[0] == HALVES[rounding][0]


@EVERY_ROUNDING
def test_multiples_of_the_root_of_two_by_hand(rounding):
    # gamma = 2 and variance 2: 2 / sqrt(2) = sqrt(2)
    expected = DIAGONALS.get(rounding, NEAREST_DIAGONALS)
    for variance, epsilon in ((2, 0), (0, 2), (Fraction(1, 2), 1.5)):
        irrational = Channel(2, 0, 0, variance, epsilon, acc_min=-3, acc_max=3)
        assert targets(irrational, rounding) == expected
        check(irrational, rounding)


@EVERY_ROUNDING
def test_the_zero_point_is_added_after_the_rounding(rounding):
    for zero_point in (-3, 1, 7):
        moved = replace(line(Fraction(1, 2), 0, -5, 5, -4, 9), zero_point=zero_point)
        expected = [max(-4, min(q + zero_point, 9)) for q in HALVES[rounding]]
        assert targets(moved, rounding) == expected
        check(moved, rounding)


@EVERY_ROUNDING
def test_a_negative_gamma_mirrors_the_real_line_before_the_rounding(rounding):
    assert targets(line(Fraction(-1, 2), 0, -5, 5), rounding) == HALVES[rounding][::-1]
    check(line(Fraction(-1, 2), 0, -5, 5), rounding)


@BY_NAME
def test_worked_examples(worked):
    sign = -1 if worked is C2 else 1
    base = 1 if worked is C4 else 0
    expected = [base + sum(sign * x >= t for t in THRESHOLDS[worked]) for x in range(-256, 256)]
    assert targets(worked, Rounding.TIES_UP) == expected
    assert check(worked, Rounding.TIES_UP).levels.tolist() == sorted(set(expected), reverse=sign < 0)


@given(channels, roundings)
@SOME
def test_the_staircase_is_the_definition_at_every_accumulator(any_channel, rounding):
    check(any_channel, rounding)


@given(channels, roundings, st.data())
@SOME
def test_the_ends_of_64_bits_and_around_thresholds(any_channel, rounding, data):
    wide = replace(any_channel, acc_min=-ACC_LIMIT, acc_max=ACC_LIMIT)
    drawn = data.draw(st.lists(st.integers(-ACC_LIMIT, ACC_LIMIT), max_size=5))
    xs = {*probes(target_steps(wide, rounding)).tolist(), -ACC_LIMIT, ACC_LIMIT, 0, *drawn}
    check(wide, rounding, sorted(xs))


@pytest.mark.parametrize("rounding", [Rounding.TIES_UP, Rounding.JAM])
def test_all_16_bit_codes(rounding):
    step = Fraction(1, 3 << 14)
    wide = Channel(-0.7, 3, 5, 0.3, 1e-5, step, 2.0**-10, 5, -(1 << 40), 1 << 40, -(1 << 15), (1 << 15) - 1)
    steps = target_steps(wide, rounding)
    assert len(steps.levels) > 32000
    check(wide, rounding, probes(steps)[::200].tolist())


@EVERY_ROUNDING
@pytest.mark.parametrize(
    "special",
    [
        replace(C1, gamma=Fraction(0)),
        replace(C1, gamma=Fraction(2.0**-1074)),
        replace(C1, gamma=Fraction(-1e-38), mean=Fraction(1e38)),
        replace(C1, gamma=Fraction(1e300)),
        replace(C1, variance=Fraction(0), epsilon=Fraction(2.0**-1074)),
        replace(C1, variance=Fraction(0), epsilon=Fraction(1e-5), mean=Fraction(3)),
        replace(C1, qmin=4, qmax=4),
        replace(C1, acc_min=30, acc_max=30),
        replace(C1, acc_min=100),
        replace(C1, acc_max=0),
        replace(C2, zero_point=-ACC_LIMIT),
        channel(0, Fraction(1, 8), 0, 1),
        channel(0, Fraction(-1, 8), 0, 1, qmin=-15, zero_point=3),
        channel(40, 0, 3, 1, qmin=-8, qmax=7),
    ],
)
def test_gamma_variance_clamp_and_range_at_their_ends(special, rounding):
    check(special, rounding)


@EVERY_ROUNDING
def test_seeded_channels_at_every_accumulator(rounding):
    random = np.random.default_rng(int(rounding))
    # 8 to 12 bits over the rules
    for make, bits in ((seeded, 8), (hard, 8), (hard, 10), (seeded, 8 + rounding % 5)):
        check(make(random, bits), rounding)


def test_parameters_are_the_exact_rationals_they_are():
    kinds = Channel(
        np.float32(0.1), 0.1, np.int8(-3), np.longdouble(2), Fraction(1, 3), acc_min=np.int16(-5), acc_max=5
    )
    assert (kinds.gamma, kinds.beta) == (Fraction(13421773, 1 << 27), Fraction(0.1))
    assert (kinds.mean, kinds.variance, kinds.epsilon) == (-3, 2, Fraction(1, 3))
    assert type(kinds.acc_min) is int
    assert spec.batchnorm(5, kinds, Rounding.FLOOR) == targets(kinds, Rounding.FLOOR)[-1]


@pytest.mark.parametrize("wrong", ["ties_up", 11, True, None, 1.0])
def test_a_rounding_that_is_none(wrong):
    with pytest.raises(
        ValueError, match=f"^target_steps: rounding={re.escape(repr(wrong))} is no Rounding; legal: FLOOR"
    ):
        target_steps(C1, wrong)
