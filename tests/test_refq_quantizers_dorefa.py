"""DoReFa: every level boundary of weights and activations to the last bit, and gradients that are unbiased exactly."""

from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.encodings import parse_encoding
from refq.quantizers.apply import dequantize, quantize, thresholds
from refq.quantizers.dorefa import dorefa_gradient, fit_dorefa_activations, fit_dorefa_weights
from refq.quantizers.tanh_cuts import tanh_cuts
from refq.spec.quantizers import dorefa as spec
from refq.spec.quantizers import xnor

MAXIMA = [5e-324, 3e-320, 1e-300, 2.0**-35, nextafter(2.0**-35, 1), 1e-6, 0.3, 1.0, 3.75, 30.0, 100.0, 1e308]
ALL_BITS = [1, 2, 3, 7, 8, 9, 15, 16]
SMALLEST = 5e-324


def signed_level(w, maximum, bits):
    """The definition's odd code; beyond the maximum that of the end."""
    n = 2**bits - 1
    if abs(w) >= maximum:
        return n if w > 0 else -n
    return 2 * spec.weight_level(w, maximum, bits) - n


def near(cuts, dtype):
    """The floats of the dtype around each cut, three a cut; and zeros."""
    middle = np.asarray(cuts, dtype).ravel()
    ends = [np.nextafter(middle, dtype(side)) for side in (-inf, inf)]
    return np.concatenate([middle, *ends, np.array([0.0, -0.0], dtype)])


def test_formula_and_worked_codes():
    """By hand, k = 2, max 1: (3/2)(tanh w / tanh 1 + 1) is 1/2, 3/2, 5/2 at tanh w = -+0.50773 and 0; w = -+0.55967."""
    w = np.array([-1.0, -0.5597, -0.5596, 0.0, -0.0, 0.5596, 0.5597, 1.0])
    quantizer = fit_dorefa_weights(w, 2)
    codes = quantize(w, quantizer)
    assert_same(got=codes, expected=np.array([-3, -3, -1, 1, 1, 1, 3, 3], np.int8))
    assert_same(got=dequantize(codes, quantizer), expected=codes * (1 / 3))
    assert (quantizer.method, quantizer.encoding.name, quantizer.parameters["maximum"]) == ("dorefa_weights", "odd2", 1)
    assert abs(tanh(thresholds(quantizer)[0, 2]) / tanh(1.0) - 2 / 3) < 1e-15


@pytest.mark.parametrize("maximum", MAXIMA)
@pytest.mark.parametrize("bits", [2, 3])
def test_every_cut_and_the_float_below_it(maximum, bits):
    """The cut gets its level, the float before it the level below: the real tanh decides."""
    n = 2**bits - 1
    cuts = tanh_cuts(maximum, bits)
    assert len(cuts) == n
    for level, cut in enumerate(cuts, 1):
        assert signed_level(cut, maximum, bits) >= 2 * level - n
        assert signed_level(nextafter(cut, -inf), maximum, bits) < 2 * level - n


@pytest.mark.parametrize(("bits", "maximum"), [(5, 0.7), (8, 2.5), (12, 0.04), (16, 1e-11), (13, 0.9)])
def test_chosen_cuts_of_many(bits, maximum):
    n = 2**bits - 1
    cuts = tanh_cuts(maximum, bits)
    assert (len(cuts), cuts[n // 2]) == (n, 0.0)
    assert all(a <= b for a, b in pairwise(cuts))
    for level in (1, 2, 3, n // 4, n // 2, n // 2 + 1, n // 2 + 2, n - 5, n - 1, n):
        assert spec.weight_level(cuts[level - 1], maximum, bits) >= level
        assert spec.weight_level(nextafter(cuts[level - 1], -inf), maximum, bits) < level


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bits", [2, 4])
def test_codes_of_every_float_width_around_the_cuts(dtype, bits):
    base = np.array([0.5, -2.75, 1.0], dtype)
    quantizer = fit_dorefa_weights(base, bits)
    values = near(thresholds(quantizer), dtype)
    expected = np.array([signed_level(float(w), 2.75, bits) for w in values], np.int8)
    assert_same(got=quantize(values, quantizer), expected=expected)


@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=12), st.integers(2, 6))
@QUICK
def test_random_tensors(values, bits):
    w = np.array(values, np.float32)
    got = quantize(w, fit_dorefa_weights(w, bits))
    maximum = max(float(np.abs(w).max()), SMALLEST)
    assert_same(got=got, expected=np.array([signed_level(float(x), maximum, bits) for x in w], got.dtype))


def test_float_evaluations_differ_at_the_cuts_only():
    """The training code's formula with NumPy's tanh: whatever its last bits are, no other code than beside a cut."""
    w = np.random.default_rng(5).normal(size=30_000)
    for bits in (2, 4, 8):
        n, quantizer = 2**bits - 1, fit_dorefa_weights(w, bits)
        t = np.tanh(w)
        level = np.rint((t / np.abs(t).max() * 0.5 + 0.5) * n)
        wrong = np.flatnonzero(2 * level - n != quantize(w, quantizer))
        distance = np.abs(w[wrong, None] - thresholds(quantizer)).min(axis=1, initial=inf)
        assert (distance < 1e-13).all()
        probes = thresholds(quantizer)[0]
        wrong = np.rint((np.tanh(probes) / np.abs(t).max() * 0.5 + 0.5) * n) * 2 - n != quantize(probes, quantizer)
        assert wrong.sum() <= n


@pytest.mark.parametrize("bits", ALL_BITS)
def test_widths_ends_and_zero(bits):
    w = np.array([0.0, 2.0**-40, -(2.0**-40)])
    quantizer = fit_dorefa_weights(w, bits)
    n = 2**bits - 1
    codes = quantize(np.array([inf, -inf, 0.0, -0.0, w[1], w[2]]), quantizer)
    assert codes.tolist() == [n, -n, 1, 1, n, -n]
    assert codes.dtype == (np.int8 if bits < 8 else np.int16 if bits < 16 else np.int32)
    assert quantizer.step.tolist() == ([1 / n] if bits > 1 else [float(Fraction(2.0**-39) / 3)])


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("shape", [(1,), (), (4, 5)])
def test_zeros_and_constants(bits, shape):
    """A tensor of zeros gets what a zero gets anywhere; a constant is at the end."""
    n = 2**bits - 1
    zeros = fit_dorefa_weights(np.zeros(shape), bits)
    assert set(quantize(np.zeros(shape), zeros).ravel().tolist()) == {1}
    assert quantize(np.array([-SMALLEST, SMALLEST]), zeros).tolist() == [-n, n]
    constant = np.full(shape, -0.1, np.float32)
    assert set(quantize(constant, fit_dorefa_weights(constant, bits)).ravel().tolist()) == {-n}


def test_one_bit_is_sign_times_mean():
    w = np.array([-3.0, -0.0, 0.0, 1.0, 2.5], np.float32)
    quantizer = fit_dorefa_weights(w, 1)
    assert quantizer.encoding.name == "bipolar"
    assert_same(got=quantize(w, quantizer), expected=np.array([xnor.sign(float(x)) for x in w], np.int8))
    assert quantizer.step.tolist() == [float(xnor.scale(w.tolist()))] == [1.3]
    assert fit_dorefa_weights(np.zeros(3), 1).step.tolist() == [0.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_activations_around_every_cut(bits, dtype):
    quantizer = fit_dorefa_activations(bits)
    values = np.append(near(thresholds(quantizer), dtype), np.array([-1, 1, 1.5, inf, -inf], dtype))
    clipped = np.clip(values.astype(np.float64), -9, 9)
    expected = np.array([spec.activation_level(float(x), bits) for x in clipped], np.uint8)
    assert_same(got=quantize(values, quantizer), expected=expected)


def test_activation_ties_are_even():
    """Odd sixths are ties of two bits; only 1/2 is a float, and goes to the even level 2; one bit sends it to 0."""
    assert quantize(np.array([0.5]), fit_dorefa_activations(2)).tolist() == [2]
    assert quantize(np.array([0.5, nextafter(0.5, 1)]), fit_dorefa_activations(1)).tolist() == [0, 1]
    wide = fit_dorefa_activations(11)
    codes = quantize(np.array([0.0, 0.25, 1.0]), wide)
    assert_same(got=codes, expected=np.array([0, 512, 2047], np.uint16))


def test_codes_are_operands():
    w = np.linspace(-1, 1, 12)
    weights, activations = fit_dorefa_weights(w, 3), fit_dorefa_activations(2)
    for values, quantizer, name in ((w, weights, "odd3"), (np.abs(w), activations, "uint2")):
        encoding, codes = parse_encoding(name), quantize(values, quantizer)
        assert (quantizer.encoding, codes.min() >= encoding.minimum, codes.max()) == (encoding, True, encoding.maximum)
        assert set((codes.astype(int) - encoding.minimum) % quantizer.spacing) == {0}


def layouts(base):
    """The same numbers, stored in other ways."""
    read_only = base.copy()
    read_only.flags.writeable = False
    return [
        np.asfortranarray(base),
        np.repeat(base, 2, axis=1)[:, ::2],
        read_only,
        base.astype(">f4"),
        base[::-1][::-1],
    ]


def test_layouts():
    base = np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)
    noise = (np.arange(30).reshape(6, 5) / 32 - 0.45).astype(np.float32)
    quantizer = fit_dorefa_weights(base, 3)
    for other in layouts(base):
        again = fit_dorefa_weights(other, 3)
        assert_same(got=again.cuts, expected=quantizer.cuts)
        assert_same(got=quantize(other, again), expected=quantize(base, quantizer))
        assert_same(got=dorefa_gradient(other, noise, 3).codes, expected=dorefa_gradient(base, noise, 3).codes)


BAD_FITS = [
    (lambda: fit_dorefa_weights(np.zeros((0, 3)), 2), ValueError, r"values has shape \(0, 3\), no values"),
    (lambda: fit_dorefa_weights(np.array([[1.0, np.nan]]), 2), ValueError, r"values\[0, 1\]=nan is no number"),
    (lambda: fit_dorefa_weights(np.array([1.0, -inf]), 2), ValueError, r"values\[1\]=-inf is infinite"),
    (lambda: fit_dorefa_weights(np.array([1, 2]), 2), TypeError, "values has dtype int64; pass float16"),
    (lambda: fit_dorefa_weights(np.ones(2), 0), ValueError, r"fit_dorefa_weights: bits=0 is outside 1\.\.16"),
    (lambda: fit_dorefa_weights(np.ones(2), 17), ValueError, r"bits=17 is outside 1\.\.16"),
    (lambda: fit_dorefa_weights(np.ones(2), 2.0), TypeError, r"bits=2\.0 is not an integer"),
    (lambda: fit_dorefa_activations(0), ValueError, r"fit_dorefa_activations: bits=0 is outside 1\.\.16"),
    (lambda: fit_dorefa_activations(True), TypeError, "bits=True is not an integer"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD_FITS)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
