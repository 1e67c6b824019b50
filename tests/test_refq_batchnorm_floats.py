"""Float batch norm in several algebraic orders: monotone, of different opinions, fitted like any staircase."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from batchnorm_cases import seeded

from refq.batchnorm import Channel, fit_steps, form_steps, target_steps
from refq.batchnorm.choice import is_empty
from refq.formats import Rounding
from refq.staircase import difference, from_function

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def fold(x, gamma, beta, mean, variance, epsilon, acc_scale, out_scale):
    root = np.sqrt(variance + epsilon)
    return x * (gamma * acc_scale / root / out_scale) + (beta - gamma * mean / root) / out_scale


def subtract(x, gamma, beta, mean, variance, epsilon, acc_scale, out_scale):
    return (gamma * (x * acc_scale - mean) / np.sqrt(variance + epsilon) + beta) / out_scale


def reciprocal(x, gamma, beta, mean, variance, epsilon, acc_scale, out_scale):
    one = type(gamma)(1)
    return ((x * acc_scale - mean) * (one / np.sqrt(variance + epsilon)) * gamma + beta) * (one / out_scale)


ORDERS = {"fold": fold, "subtract": subtract, "reciprocal": reciprocal}


def float_codes(channel, order, dtype):
    """The codes of one order, ties to even, every operation and constant in the dtype."""
    names = ("gamma", "beta", "mean", "variance", "epsilon", "acc_scale", "out_scale")
    constants = [dtype(float(getattr(channel, name))) for name in names]

    def codes(xs):
        real = ORDERS[order](xs.astype(dtype), *constants)
        assert real.dtype == dtype
        return np.clip(np.rint(real).astype(np.int64) + channel.zero_point, channel.qmin, channel.qmax)

    return codes


def drawn(bits, count):
    random = np.random.default_rng(bits)
    return [seeded(random, bits) for _ in range(count)]


def steps_of(channel, order, dtype):
    return from_function(float_codes(channel, order, dtype), (channel.acc_min, channel.acc_max))


@DTYPES
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("bits", "count"), [(12, 40), (16, 8), (20, 1)])
def test_each_order_is_monotone_on_the_whole_range(bits, count, order, dtype):
    for channel in drawn(bits, count):
        xs = np.arange(channel.acc_min, channel.acc_max + 1)
        got = float_codes(channel, order, dtype)(xs)
        assert (np.diff(got) * (1 if channel.gamma > 0 else -1) >= 0).all()
        assert np.array_equal(got, steps_of(channel, order, dtype)(xs))
        assert len(np.unique(got)) > 1


@pytest.mark.parametrize("pair", list(combinations(ORDERS, 2)), ids="-".join)
@pytest.mark.parametrize("bits", [16, 20])
def test_float32_orders_differ_from_each_other(bits, pair):
    left, right = ([steps_of(channel, order, np.float32) for channel in drawn(bits, 60)] for order in pair)
    differing = sum(a != b for a, b in zip(left, right, strict=True))
    wrong = sum(difference(a, b).count for a, b in zip(left, right, strict=True))
    print(f"{pair}: {differing} of 60 channels, {wrong} accumulators")
    assert differing > 0
    assert wrong >= differing


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [16, 20])
def test_float32_orders_differ_from_the_target(bits, order):
    differing = sum(steps_of(c, order, np.float32) != target_steps(c, Rounding.TIES_EVEN) for c in drawn(bits, 60))
    print(f"{order}: {differing} of 60 channels")
    assert differing > 0


# The double nearest to 0.1 is above it: 0.1 * 5 is just above the tie 1/2, and the double product is the tie.
TENTH = Channel(1, 0, 0, 1, 0, 0.1, 1, 0, -(1 << 16), (1 << 16) - 1, -(1 << 13), (1 << 13) - 1)


@pytest.mark.parametrize("order", ORDERS)
def test_float64_orders_differ_from_the_target_too(order):
    assert (float_codes(TENTH, order, np.float64)(np.array([5])), target_steps(TENTH, Rounding.TIES_EVEN)([5])) == (
        0,
        1,
    )
    found = difference(steps_of(TENTH, order, np.float64), target_steps(TENTH, Rounding.TIES_EVEN))
    print(f"{order}: {found.count} accumulators")
    assert found.count > 1000
    assert all(abs(i.left - i.right) == 1 for i in found.intervals)


@pytest.mark.parametrize("pair", list(combinations(ORDERS, 2)), ids="-".join)
def test_float64_orders_differ_from_each_other(pair):
    # a third of a step and a root that is no double: ties that each order meets in its own way
    channel = replace(TENTH, variance=3.0, gamma=3.0**0.5 * 0.7, mean=0.3, out_scale=0.3)
    left, right = (steps_of(channel, order, np.float64) for order in pair)
    print(f"{pair}: {difference(left, right).count} accumulators")
    assert left != right


@DTYPES
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [9, 12])
def test_a_float_order_is_fitted_or_reported_empty(bits, order, dtype):
    fitted = 0
    for channel in drawn(bits, 40):
        steps = steps_of(channel, order, dtype)
        fit = fit_steps(steps, channel.qmin, channel.qmax)
        assert (fit.form is None) == is_empty(fit.slopes)
        fitted += fit.form is not None
        assert fit.form is None or form_steps(fit.form, (steps.first, steps.last)) == steps
    assert fitted >= 35


def test_a_float32_order_with_real_ties_is_reported_empty():
    # ties to even at every second accumulator, computed without an error
    halves = replace(TENTH, acc_scale=0.5, acc_min=0, acc_max=5)
    fit = fit_steps(steps_of(halves, "fold", np.float32), halves.qmin, halves.qmax)
    assert fit.slopes == (0.5, 0.5)
    assert fit.form is None
