"""XNOR-Net weights: exact mean magnitudes, signs at zero, filters, and that the mean is the best scale."""

from fractions import Fraction
from math import inf

import numpy as np
import pytest
from refq_cases import assert_same

from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.significand_sums import absolute_sum, exact_sum
from refq.quantizers.xnor import fit_xnor
from refq.spec.quantizers import xnor as spec

FILTERS = np.random.default_rng(8).normal(size=(3, 4, 5)).astype(np.float32)


def test_worked():
    """|w| = 3, 0, 1, 2: mean 3/2."""
    w = np.array([-3.0, 0.0, 1.0, 2.0])
    quantizer = fit_xnor(w)
    codes = quantize(w, quantizer)
    assert_same(got=codes, expected=np.array([-1, 1, 1, 1], np.int8))
    assert_same(got=dequantize(codes, quantizer), expected=np.array([-1.5, 1.5, 1.5, 1.5]))
    assert (quantizer.method, quantizer.encoding.name) == ("xnor", "bipolar")


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -3])
def test_filters(axis):
    quantizer = fit_xnor(FILTERS, axis)
    rows = [FILTERS.ravel()] if axis is None else [FILTERS.take(c, axis).ravel() for c in range(FILTERS.shape[axis])]
    assert_same(got=quantizer.step, expected=np.array([float(spec.scale(row.tolist())) for row in rows]))
    assert_same(got=quantizer.parameters["scale"], expected=quantizer.step)
    signs = np.array([spec.sign(float(w)) for w in FILTERS.ravel()], np.int8).reshape(FILTERS.shape)
    assert_same(got=quantize(FILTERS, quantizer), expected=signs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_zero_and_the_floats_beside_it(dtype):
    tiny = np.nextafter(dtype(0), dtype(1))
    quantizer = fit_xnor(np.array([1.0], dtype))
    assert quantize(np.array([0.0, -0.0, tiny, -tiny, inf, -inf], dtype), quantizer).tolist() == [1, 1, 1, -1, 1, -1]


def test_the_mean_magnitude_is_the_best_scale_of_all():
    """sum (w - s sign w)**2 is a parabola in s: it rises from the mean to both sides, exactly."""
    w = FILTERS[0].ravel().tolist()
    best = spec.scale(w)

    def error(s):
        return sum((Fraction(x) - s * spec.sign(x)) ** 2 for x in w)

    for shift in (Fraction(1, 10**12), Fraction(-1, 10**12), -best):
        assert error(best + shift) - error(best) == len(w) * shift**2


SUMS = {
    "order": [1e16, 1.0, -1e16, 1.0],
    "ends": [1.7976931348623157e308] * 3 + [5e-324] * 5,
    "subnormals": [5e-324, 2.2250738585072014e-308, -2.225073858507201e-308],
    "signs": [-1.0, -(2.0**-52), 2.0**-53, -(2.0**31), -0.0],
    "one": [0.1],
    "zeros": [0.0, -0.0],
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_are_exact(name):
    values = SUMS[name]
    assert exact_sum(np.array(values)) == sum(map(Fraction, values))
    assert absolute_sum(np.array(values)) == sum(abs(Fraction(v)) for v in values)


def test_sums_of_many():
    """More than a block; equal numbers, so that the sum is known; and of nothing."""
    many = np.full((1 << 20) + 3, -0.1, np.float32)
    assert exact_sum(many) == Fraction(float(many[0])) * many.size
    assert absolute_sum(many) == -Fraction(float(many[0])) * many.size
    assert exact_sum(np.zeros(0)) == 0


def test_means_near_the_largest_float():
    """The sum is beyond float64, the mean is not."""
    assert fit_xnor(np.full(7, -1.7976931348623157e308)).step.tolist() == [1.7976931348623157e308]


@pytest.mark.parametrize("shape", [(1,), (), (3, 1)])
def test_zeros_and_sizes(shape):
    zeros = np.zeros(shape, np.float32)
    quantizer = fit_xnor(zeros)
    codes = quantize(zeros, quantizer)
    assert (set(codes.ravel().tolist()), codes.shape, quantizer.step.tolist()) == ({1}, shape, [0.0])


def test_layouts():
    expected = fit_xnor(FILTERS, 1).step
    read_only = FILTERS.copy()
    read_only.flags.writeable = False
    for other in (
        np.asfortranarray(FILTERS),
        np.repeat(FILTERS, 2, axis=2)[..., ::2],
        read_only,
        FILTERS.astype(">f4"),
    ):
        assert_same(got=fit_xnor(other, 1).step, expected=expected)


BAD = [
    (lambda: fit_xnor(np.zeros(0)), ValueError, r"fit_xnor: values has shape \(0,\), no values"),
    (lambda: fit_xnor(np.array([1.0, np.nan])), ValueError, r"fit_xnor: values\[1\]=nan is no number"),
    (lambda: fit_xnor(np.array([inf])), ValueError, r"fit_xnor: values\[0\]=inf is infinite"),
    (lambda: fit_xnor([1, 2]), TypeError, "fit_xnor: values has dtype int64"),
    (lambda: fit_xnor(FILTERS, 3), ValueError, r"fit_xnor: axis=3 is outside -3\.\.2"),
    (lambda: fit_xnor(FILTERS, 1.0), TypeError, r"fit_xnor: axis=1\.0 is not an integer"),
    (lambda: fit_xnor(np.float32(1), 0), ValueError, "fit_xnor: axis=0 of values without axes"),
    (
        lambda: quantize(FILTERS, fit_xnor(FILTERS[:2], 0)),
        ValueError,
        r"quantize: shape \(3, 4, 5\) has not 2 channels",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
