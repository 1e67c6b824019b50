"""PACT: codes at every cut, both gradients under every end rule, the PACT+ term, and sums that no order changes."""

from fractions import Fraction
from math import inf, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.formats import Rounding
from refq.quantizers.apply import dequantize, quantize, thresholds
from refq.quantizers.pact import fit_pact, pact_gradients, pact_penalty
from refq.spec.quantizers import pact as spec

ALPHAS = [1.5, 10.0, 0.1, 2.0**-126, 3e38, Fraction(1, 3)]
ENDS = ["paper", "inclusive", "open"]
HALVES = Fraction(1, 2)


def near(cuts, dtype):
    """The floats of the dtype around each cut, three a cut; some far away."""
    with np.errstate(over="ignore"):
        middle = np.asarray(cuts, dtype).ravel()
    ends = [np.nextafter(middle, dtype(side)) for side in (-inf, inf)]
    values = np.concatenate([middle, *ends, np.array([0.0, -0.0, -1.0, 6e4], dtype)])
    return values[np.isfinite(values)]


def test_worked_codes():
    """alpha = 1.5, k = 2: step 1/2, ties 0.25 -> 0, 0.75 -> 2, 1.25 -> 2 (half to even)."""
    quantizer = fit_pact(1.5, 2)
    codes = quantize(np.array([-7.0, 0.25, 0.26, 0.75, 1.25, 1.26, 1.5, 9.0]), quantizer)
    assert_same(got=codes, expected=np.array([0, 0, 1, 2, 2, 3, 3, 3], np.uint8))
    assert_same(got=dequantize(codes, quantizer), expected=np.array([0, 0, 0.5, 1, 1, 1.5, 1.5, 1.5]))
    assert (quantizer.encoding.name, quantizer.method, quantizer.parameters["alpha"]) == ("uint2", "pact", 1.5)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_cut_and_the_floats_beside_it(alpha, dtype):
    for bits in (1, 2, 4):
        quantizer = fit_pact(alpha, bits)
        values = near(thresholds(quantizer), dtype)
        expected = np.array([spec.code(float(x), Fraction(alpha), bits) for x in values], np.uint8)
        assert_same(got=quantize(values, quantizer), expected=expected)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding(rounding):
    quantizer = fit_pact(3.0, 3, rounding=rounding)
    values = np.concatenate([near(thresholds(quantizer), np.float64), np.arange(-2, 30) * 3 / 14])
    expected = np.array([spec.code(float(x), Fraction(3), 3, rounding) for x in values], np.uint8)
    assert_same(got=quantize(values, quantizer), expected=expected)


@pytest.mark.parametrize("bits", [1, 2, 3, 7, 8, 9, 16])
def test_widths(bits):
    quantizer, n = fit_pact(0.7, bits), 2**bits - 1
    codes = quantize(np.array([-inf, 0.0, 0.7, inf]), quantizer)
    assert_same(got=codes, expected=np.array([0, 0, n, n], np.uint8 if bits <= 8 else np.uint16))
    assert quantizer.step.tolist() == [float(Fraction(0.7) / n)]


def lists(values, alpha, upstream, ends, plus_bits):
    """The definition, one number at a time."""
    dx = [spec.input_gradient(x, alpha, u, ends) for x, u in zip(values, upstream, strict=True)]
    return dx, spec.alpha_gradient(values, alpha, upstream, plus_bits)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("plus_bits", [None, 1, 2, 7])
def test_gradients_at_the_ends_and_between(ends, plus_bits):
    for alpha in (1.0, 0.1, 10.0):
        points = [0.0, -0.0, alpha, alpha / 2, alpha / 6, alpha * 5, -1.0]
        values = [y for x in points for y in (x, nextafter(x, -inf), nextafter(x, inf))] + [inf, -inf]
        upstream = [(-1.25) ** i for i in range(len(values))]
        dx, dalpha = pact_gradients(np.array(values), alpha, np.array(upstream), ends=ends, plus_bits=plus_bits)
        expected, total = lists(values, alpha, upstream, ends, plus_bits)
        assert_same(got=dx, expected=np.array(expected))
        assert (dalpha, type(dalpha)) == (total, float)


def test_the_three_rules_differ_at_the_two_ends_only():
    x, up = np.array([0.0, 1.0, 0.5, -0.5, 1.5]), np.ones(5)
    passed = {ends: pact_gradients(x, 1.0, up, ends=ends)[0].tolist() for ends in ENDS}
    assert passed == {"paper": [1, 0, 1, 0, 0], "inclusive": [1, 1, 1, 0, 0], "open": [0, 0, 1, 0, 0]}
    assert {pact_gradients(x, 1.0, up, ends=ends)[1] for ends in ENDS} == {2.0}


def test_alpha_as_float64_decides_for_float32_values():
    """The float32 nearest 0.1 is above the float64 0.1: it is clipped, and its gradient goes to alpha."""
    x = np.array([0.1], np.float32)
    dx, dalpha = pact_gradients(x, 0.1, np.ones(1, np.float32))
    assert_same(got=dx, expected=np.zeros(1, np.float32))
    assert dalpha == 1.0
    assert pact_gradients(x, float(x[0]), np.ones(1, np.float32), ends="inclusive")[0].tolist() == [1.0]


def test_the_sum_is_exact():
    upstream = np.array([1e16, 1.0, -1e16, 2.0**-60, 1.0, 1.0])
    values = np.full(6, 2.0)
    for order in (range(6), range(5, -1, -1), (1, 0, 3, 2, 5, 4)):
        assert pact_gradients(values, 1.0, upstream[list(order)])[1] == float(3 + Fraction(1, 2**60))
    assert pact_gradients(np.full(3, 2.0), 1.0, np.array([1.5e308, 1.5e308, -1e308]))[1] == inf
    assert pact_gradients(np.full(2, 2.0), 1.0, np.array([-1.5e308, -1.5e308]))[1] == -inf


def test_plus_by_hand():
    """z = x n / alpha = 0.75 -> 1: (1 - 0.75) / 3 = 1/12; on a level nothing; in the clipped part 1."""
    for x, expected in ((0.5, 1 / 12), (2 / 3 * 2, 0.0), (2.0, 1.0), (-1.0, 0.0)):
        assert abs(pact_gradients(np.array([x]), 2.0, np.ones(1), plus_bits=2)[1] - expected) < 1e-16


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-9, 9)), max_size=8), st.floats(0.01, 3), st.sampled_from(ENDS))
@QUICK
def test_random_gradients(pairs, alpha, ends):
    values, upstream = [p[0] for p in pairs], [p[1] for p in pairs]
    for plus_bits in (None, 3):
        dx, dalpha = pact_gradients(np.array(values), alpha, np.array(upstream), ends=ends, plus_bits=plus_bits)
        assert (dx.tolist(), dalpha) == lists(values, alpha, upstream, ends, plus_bits)


def test_gradient_is_that_of_the_clip():
    """Differences of the exact clip: away from the ends they are dx and dalpha of a single number."""
    alpha, h = Fraction(3, 2), Fraction(1, 1000)
    for x in (Fraction(-1), Fraction(1, 4), Fraction(7, 5), Fraction(2)):
        dx, dalpha = pact_gradients(np.array([float(x)]), 1.5, np.ones(1))
        slope = (spec.clipped(x + h, alpha) - spec.clipped(x - h, alpha)) / (2 * h)
        assert (slope, (spec.clipped(x, alpha + h) - spec.clipped(x, alpha - h)) / (2 * h)) == (dx[0], dalpha)


@pytest.mark.parametrize("shape", [(0,), (1,), (), (2, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_shapes_and_dtypes(shape, dtype):
    dx, dalpha = pact_gradients(np.full(shape, 2.0, dtype), 1.0, np.full(shape, 0.5, dtype))
    wide = np.float64 if dtype is np.float64 else np.float32
    assert (dx.shape, dx.dtype, dalpha) == (shape, np.dtype(wide), 0.5 * int(np.prod(shape)))


def test_layouts():
    base = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    expected = pact_gradients(base, 0.8, base)
    read_only = base.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(base), np.repeat(base, 2, axis=0)[::2], read_only, base.astype(">f4")):
        dx, dalpha = pact_gradients(other, 0.8, other)
        assert_same(got=dx, expected=expected[0])
        assert dalpha == expected[1]


@pytest.mark.parametrize(("alpha", "coefficient"), [(10.0, 0.0002), (0.3, 0.1), (1.0, 0)])
def test_penalty(alpha, coefficient):
    assert pact_penalty(alpha, coefficient) == (coefficient * alpha * alpha / 2, coefficient * alpha)
    assert pact_penalty(alpha, coefficient, half=False) == (
        2 * coefficient * alpha * alpha / 2,
        2 * coefficient * alpha,
    )


ONE = np.ones(2)
BAD = [
    (lambda: fit_pact(0.0, 2), ValueError, r"fit_pact: alpha=0\.0 is not positive"),
    (lambda: fit_pact(-1, 2), ValueError, "fit_pact: alpha=-1 is not positive"),
    (lambda: fit_pact(inf, 2), ValueError, "fit_pact: alpha=inf is not finite"),
    (lambda: fit_pact(float("nan"), 2), ValueError, "fit_pact: alpha=nan is not finite"),
    (lambda: fit_pact(1e-300, 2), ValueError, r"fit_pact: alpha=1e-300 is below 2\*\*-126"),
    (lambda: fit_pact("1", 2), TypeError, "fit_pact: alpha='1' is not a number"),
    (lambda: fit_pact(1.0, 17), ValueError, r"fit_pact: bits=17 is outside 1\.\.16"),
    (lambda: fit_pact(1.0, 2, rounding=99), ValueError, "fit_pact: rounding=99 is no Rounding"),
    (lambda: pact_gradients(ONE, 0.0, ONE), ValueError, r"pact_gradients: alpha=0\.0 is not positive"),
    (lambda: pact_gradients(ONE, 1.0, ONE[:1]), ValueError, r"upstream has shape \(1,\); pass that of values, \(2,\)"),
    (lambda: pact_gradients(ONE, 1.0, ONE * inf), ValueError, r"upstream\[0\]=inf is infinite"),
    (lambda: pact_gradients(ONE * np.nan, 1.0, ONE), ValueError, r"pact_gradients: values\[0\]=nan"),
    (lambda: pact_gradients([1, 2], 1.0, ONE), TypeError, "pact_gradients: values has dtype int64"),
    (lambda: pact_gradients(ONE, 1.0, ONE, ends="half"), ValueError, "ends='half' is unknown; legal: paper, inclusive"),
    (lambda: pact_gradients(ONE, 1.0, ONE, plus_bits=0), ValueError, r"pact_gradients: plus_bits=0 is outside 1\.\.16"),
    (lambda: pact_penalty(1.0, -0.5), ValueError, r"pact_penalty: coefficient=-0\.5 is not finite and >= 0"),
    (lambda: pact_penalty(1.0, float("nan")), ValueError, "pact_penalty: coefficient=nan is not finite"),
    (lambda: pact_penalty(1.0, None), TypeError, "pact_penalty: coefficient=None is not a number"),
    (lambda: pact_penalty(-1.0, 0.1), ValueError, r"pact_penalty: alpha=-1\.0 is not positive"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
