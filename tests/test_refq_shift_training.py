"""Shift-based batch norm in training: batch statistics against `statistics`, forms of a batch, running averages."""

import statistics
from fractions import Fraction
from math import isqrt, nextafter, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.batchnorm.shift_forms import SPREAD, freeze_shift, shift_form
from refq.batchnorm.shift_training import (
    RunningStatistics,
    _root,
    batch_statistics,
    training_forms,
    update_running,
)
from refq.channels import Channel
from refq.spec.batchnorm import round_log2

EXTREMES = {
    "int8": [-128, 127],
    "uint16": [0, 65535],
    "int32": [-(1 << 31), (1 << 31) - 1],
    "uint32": [0, (1 << 32) - 1],
    "int64": [-(1 << 63), (1 << 63) - 1],
    "uint64": [0, (1 << 64) - 1],
}


def naive(column):
    exact = [Fraction(int(x)) for x in column]
    return statistics.mean(exact), statistics.variance(exact)


def check(acc, axis):
    channels = np.moveaxis(acc, axis, 0).reshape(acc.shape[axis], -1)
    assert list(zip(*batch_statistics(acc, axis), strict=True)) == [naive(column) for column in channels]


@QUICK
@given(st.sampled_from(list(EXTREMES)), st.integers(0, 2), st.integers(0, 1 << 32), st.booleans())
def test_statistics_are_exact(kind, axis, seed, extreme):
    rng = np.random.default_rng(seed)
    low, high = EXTREMES[kind]
    acc = rng.integers(low, high, (3, 4, 2), dtype=kind, endpoint=True)
    if extreme:
        acc = np.where(acc > acc.mean(), *np.array([high, low], kind))
    check(acc, axis)
    check(acc, axis - 3)


def test_statistics_of_views_and_of_no_channel():
    acc = np.arange(60, dtype=np.int16).reshape(3, 4, 5)[:, ::-1].transpose(2, 0, 1)
    check(acc, 1)
    assert batch_statistics(np.empty((5, 0), np.int32)) == ([], [])
    assert training_forms(np.empty((0, 0), np.int32), 4, True) == ()
    assert batch_statistics([[1], [2]]) == ([Fraction(3, 2)], [Fraction(1, 2)])


@QUICK
@given(st.lists(st.integers(-999, 999), min_size=2, max_size=9), st.integers(2, 8), st.booleans())
def test_training_forms_are_the_formula(column, bits, signed):
    mean, variance = naive(column)
    (form,) = training_forms(np.array(column)[:, None], bits, signed)
    assert form.bias == round(mean)
    assert form.shift == (round_log2(variance) + SPREAD[signed] - bits if variance else -bits)


def test_ties_of_the_batch_and_of_the_channel():
    """Variance 2 ties: S1 makes round(log2 std) even, S6 the whole shift (docs/shift_batchnorm.md)."""
    acc = np.array([[-1], [1]])
    (form,) = training_forms(acc, 4, True)
    channel = Channel(1, 0, 0, 2, 0, out_scale=Fraction(1, 2), qmin=-7, qmax=7)
    assert (form.shift, shift_form(channel).shift) == (-1, 0)
    (form,) = training_forms(acc, 4, False)
    assert form.shift == -2 == shift_form(Channel(1, 0, 0, 2, 0, out_scale=Fraction(1, 4))).shift


@QUICK
@given(st.integers(1, 1 << 130), st.integers(1, 1 << 40))
def test_roots_are_correctly_rounded(p, q):
    square = Fraction(p, q)
    got = _root(square)
    below, above = (Fraction(nextafter(got, end)) for end in (0.0, float("inf")))
    assert ((Fraction(got) + below) / 2) ** 2 <= square <= ((Fraction(got) + above) / 2) ** 2
    assert _root(square * square) == float(square)


def test_roots_at_ties_and_squares():
    odd = (1 << 53) + 1  # halfway between two floats, ties to even
    assert _root(Fraction(odd) ** 2) == float(1 << 53)
    assert _root(Fraction(odd) ** 2 + Fraction(1, 1 << 90)) == float((1 << 53) + 2)
    assert [_root(Fraction(v)) for v in (0, 1, 2, 9)] == [0.0, 1.0, sqrt(2.0), 3.0]


def test_running_averages_the_deviation():
    batches = [np.random.default_rng(seed).integers(-500, 500, (7, 3, 4), dtype=np.int32) for seed in range(5)]
    running, mean, std = None, None, None
    for acc in batches:
        columns = [naive(c) for c in acc.transpose(1, 0, 2).reshape(3, -1)]
        m = np.array([float(a) for a, _ in columns])
        # 2**200 keeps the floor of the root far below half a unit in the last place
        s = np.array([float(Fraction(isqrt(int(v * 4**200)), 2**200)) for _, v in columns])
        mean, std = (m, s) if mean is None else (0.9 * mean + 0.1 * m, 0.9 * std + 0.1 * s)
        before = running
        running = update_running(running, acc, axis=1)
        assert running is not before
    assert_same(got=running.mean, expected=mean)
    assert_same(got=running.std, expected=std)
    assert [form.bias for form in freeze_shift(running.mean, running.std, 4, True)] == [round(x) for x in mean.tolist()]


BAD = [
    (lambda: batch_statistics([[1, 2]]), ValueError, "acc has 1 values a channel; pass at least 2"),
    (lambda: batch_statistics(np.empty((0, 2), int)), ValueError, "acc has 0 values a channel"),
    (lambda: batch_statistics(3), ValueError, "acc is a scalar"),
    (lambda: batch_statistics([[1.0], [2.0]]), TypeError, "acc has dtype float64"),
    (lambda: batch_statistics([[1], [2]], axis=2), ValueError, r"axis=2 is outside -2\.\.1"),
    (lambda: training_forms([[1], [2]], 1, True), ValueError, r"training_forms: bits=1 is outside 2\.\.8"),
    (lambda: training_forms([[1], [2]], 4, "yes"), TypeError, "signed='yes' is not a bool"),
    (lambda: RunningStatistics([0.0], [-1.0]), ValueError, r"RunningStatistics: std=\[-1.\] is not one value >= 0"),
    (lambda: RunningStatistics([np.nan], [1.0]), ValueError, r"RunningStatistics: mean=\[nan\] is not one finite"),
    (lambda: RunningStatistics([0.0], [1.0, 2.0]), ValueError, "RunningStatistics: std="),
    (lambda: update_running(3, [[1], [2]]), TypeError, "running=3 is neither RunningStatistics nor None"),
    (
        lambda: update_running(RunningStatistics(np.zeros(2), np.zeros(2)), [[1], [2]]),
        ValueError,
        r"running.mean has shape \(2,\), acc has 1 channels",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_bad_input_names_the_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
