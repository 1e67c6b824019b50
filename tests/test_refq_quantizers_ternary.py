"""Ternary weights: the 0.7 rule with exact means, and a least-squares answer that no other threshold beats."""

from fractions import Fraction
from itertools import product
from math import inf, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.quantizers.apply import dequantize, quantize, thresholds
from refq.quantizers.ternary import fit_ternary
from refq.spec.quantizers import ternary as spec

TENSORS = {
    "worked": [-2.0, -0.5, 0.0, 0.25, 1.0, 1.25],
    "one": [-0.1],
    "equal": [0.3, -0.3, 0.3],
    "zeros": [0.0, -0.0],
    "outlier": [100.0, *[0.01] * 9],
    "groups": [4.0, -4.0, 2.0, 2.0, -2.0, 1.0, 1.0, 0.0],
    "apart": [1e300, 1e-300, -5e-324],
    "tiny": [5e-324, -1.5e-323, 1e-323],
    "largest": [1.7976931348623157e308] * 3 + [-1e308],
}


def definition(values, choose, factor=Fraction(7, 10)):
    """(delta, alpha) of the spec."""
    if choose == "mse":
        return spec.least_squares(values)
    delta = spec.threshold(values, factor)
    return delta, spec.scale(values, delta)


def check(values, choose, dtype=np.float64):
    w = np.array(values, dtype)
    exact = [float(x) for x in w]
    delta, alpha = definition(exact, choose)
    quantizer = fit_ternary(w, choose=choose)
    codes = quantize(w, quantizer)
    assert_same(got=codes, expected=np.array([spec.code(x, delta) for x in exact], np.int8))
    assert (quantizer.step.tolist(), quantizer.parameters["delta"].tolist()) == ([float(alpha)], [float(delta)])
    for cut in thresholds(quantizer)[0]:
        for x in (nextafter(cut, -inf), float(cut), nextafter(cut, inf)):
            if abs(x) < inf:
                assert quantize(np.array([x]), quantizer)[0] == spec.code(x, delta)


@pytest.mark.parametrize("choose", ["twn", "mse"])
@pytest.mark.parametrize("name", TENSORS)
def test_built_tensors(name, choose):
    check(TENSORS[name], choose)


def test_by_hand():
    """mean |w| = 5/6, delta = 7/12: beyond it 2, 1, 5/4, mean 17/12. Least squares keeps them too: most of S**2 / k."""
    w = np.array(TENSORS["worked"])
    for choose, delta in (("twn", 7 / 12), ("mse", 17 / 24)):
        quantizer = fit_ternary(w, choose=choose)
        codes = quantize(w, quantizer)
        assert_same(got=codes, expected=np.array([-1, 0, 0, 0, 1, 1], np.int8))
        assert_same(got=dequantize(codes, quantizer), expected=codes * (17 / 12))
        assert quantizer.parameters["delta"].tolist() == [delta]
        assert (quantizer.encoding.name, quantizer.method) == ("int2", f"ternary_{choose}")


def test_the_threshold_itself_is_zero():
    """mean 10, delta exactly 7."""
    w = np.array([7.0, -7.0, 13.0, 13.0])
    assert quantize(w, fit_ternary(w)).tolist() == [0, 0, 1, 1]
    assert quantize(np.array([nextafter(7, 8), -nextafter(7, 8)]), fit_ternary(w)).tolist() == [1, -1]


def test_seven_tenths_is_not_the_float():
    """The float 0.7 is below 7/10: the delta of one is just under 7, and 7 beyond it."""
    w = np.array([7.0, -7.0, 13.0, 13.0])
    assert quantize(w, fit_ternary(w, factor=0.7)).tolist() == [1, -1, 1, 1]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("choose", ["twn", "mse"])
def test_float_widths(choose, dtype):
    """Thirds and tenths of each width; the comparison with delta is never rounded to the width."""
    check((np.arange(-20, 31) / 30).tolist(), choose, dtype)
    check([0.1, 0.1, 0.07, 0.2, 0.05, 0.0], choose, dtype)


@pytest.mark.parametrize("choose", ["twn", "mse"])
def test_every_tensor_of_five_small_numbers(choose):
    """All multisets of magnitudes 0..3: many equal scores and groups."""
    for values in product(range(4), repeat=5):
        if list(values) == sorted(values):
            w = np.array(values, float) * [1, -1, 1, 1, -1]
            delta, alpha = definition(w.tolist(), choose)
            quantizer = fit_ternary(w, choose=choose)
            assert quantize(w, quantizer).tolist() == [spec.code(x, delta) for x in w.tolist()]
            assert quantizer.step[0] == float(alpha)


def test_equally_good_answers_keep_the_fewest():
    """S**2 / k is 3**2 / 1 = 9 and (3 + 1 + 1 + 1)**2 / 4 = 9: the error is 3 both ways."""
    w = [3.0, 1.0, -1.0, 1.0]
    assert spec.squared_error(w, Fraction(3, 2), Fraction(3)) == spec.squared_error(w, Fraction(0), Fraction(3, 2)) == 3
    quantizer = fit_ternary(np.array(w), choose="mse")
    assert (quantize(np.array(w), quantizer).tolist(), quantizer.step.tolist()) == ([1, 0, 0, 0], [3.0])


def test_scores_that_float64_cannot_order():
    """Near-equal scores a hair apart: 3 against 1 + 2**-52 three times, and 3 + 2**-51 against 1."""
    hair = 2.0**-52
    check([3.0, 1 + hair, 1.0, 1.0], "mse")
    check([3 + 2 * hair, 1.0, 1.0, 1.0], "mse")
    assert quantize(np.array([1.0]), fit_ternary(np.array([3.0, 1 + hair, 1.0, 1.0]), choose="mse")).tolist() == [1]


@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=14))
@QUICK
def test_random_tensors(values):
    for choose in ("twn", "mse"):
        w = np.array(values, np.float32)
        delta, alpha = definition([float(x) for x in w], choose)
        quantizer = fit_ternary(w, choose=choose)
        expected = np.array([spec.code(float(x), delta) for x in w], np.int8)
        assert_same(got=quantize(w, quantizer), expected=expected)
        assert quantizer.step.tolist() == [float(alpha)]


def test_least_squares_is_least_on_a_larger_tensor():
    """Against the rule of thumb and 34 other thresholds with their own best scales, in exact arithmetic."""
    w = np.random.default_rng(3).normal(size=70).tolist()
    quantizer = fit_ternary(np.array(w), choose="mse")
    delta, alpha = spec.least_squares(w)
    best = spec.squared_error(w, delta, alpha)
    assert quantizer.step.tolist() == [float(alpha)]
    for other in [spec.threshold(w), *(Fraction(i, 50) for i in range(0, 100, 3))]:
        assert spec.squared_error(w, other, spec.scale(w, other)) >= best


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels(axis):
    w = np.random.default_rng(6).normal(size=(4, 9)).astype(np.float32)
    for choose in ("twn", "mse"):
        quantizer = fit_ternary(w, choose=choose, axis=axis)
        codes = quantize(w, quantizer)
        for channel in range(w.shape[axis]):
            single = fit_ternary(w.take(channel, axis), choose=choose)
            assert_same(got=codes.take(channel, axis), expected=quantize(w.take(channel, axis), single))
            assert_same(got=quantizer.step[channel : channel + 1], expected=single.step)


def test_a_float32_just_below_delta_is_not_among_the_kept():
    """x = float32(14 / 23) < delta = 7/30 (x + 2), which float32 rounds to x."""
    w = np.array([14 / 23, 1.0, 1.0], np.float32)
    assert np.float32(Fraction(7, 30) * (Fraction(float(w[0])) + 2)) == w[0]
    quantizer = fit_ternary(w)
    assert (quantize(w, quantizer).tolist(), quantizer.step.tolist()) == ([0, 1, 1], [1.0])


def test_zeros_and_a_threshold_beyond_all():
    for choose in ("twn", "mse"):
        zeros = fit_ternary(np.zeros((2, 2)), choose=choose)
        assert quantize(np.array([0.0, -0.0, 5e-324, -5e-324]), zeros).tolist() == [0, 0, 1, -1]
        assert (zeros.step.tolist(), zeros.parameters["delta"].tolist()) == ([0.0], [0.0])
    beyond = fit_ternary(np.array([1.0, -1.0]), factor=1)
    assert (quantize(np.array([1.0, -1.0]), beyond).tolist(), beyond.step.tolist()) == ([0, 0], [0.0])


def test_layouts():
    base = np.random.default_rng(9).normal(size=(6, 4)).astype(np.float32)
    read_only = base.copy()
    read_only.flags.writeable = False
    for choose in ("twn", "mse"):
        expected = fit_ternary(base, choose=choose)
        for other in (np.asfortranarray(base), np.repeat(base, 2, axis=0)[::2], read_only, base.astype(">f4")):
            got = fit_ternary(other, choose=choose)
            assert_same(got=got.cuts, expected=expected.cuts)
            assert_same(got=got.step, expected=expected.step)


BAD = [
    (lambda: fit_ternary(np.zeros((0, 2))), ValueError, r"fit_ternary: values has shape \(0, 2\), no values"),
    (lambda: fit_ternary(np.array([np.nan])), ValueError, r"fit_ternary: values\[0\]=nan is no number"),
    (lambda: fit_ternary(np.array([1.0, inf])), ValueError, r"fit_ternary: values\[1\]=inf is infinite"),
    (lambda: fit_ternary([1, 2]), TypeError, "fit_ternary: values has dtype int64"),
    (
        lambda: fit_ternary(np.ones(2), choose="best"),
        ValueError,
        "fit_ternary: choose='best' is unknown; legal: twn, mse",
    ),
    (lambda: fit_ternary(np.ones(2), factor=0), ValueError, "fit_ternary: factor=0 is not positive"),
    (lambda: fit_ternary(np.ones(2), axis=1), ValueError, r"fit_ternary: axis=1 is outside -1\.\.0"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
