"""Straight-through gradients: what passes where, DoReFa's tanh against differences, XNOR-Net's formula."""

from math import inf, nextafter, tanh

import numpy as np
import pytest
from refq_cases import assert_same

from refq.quantizers.dorefa import fit_dorefa_activations, fit_dorefa_weights
from refq.quantizers.gradients import clipped_gradient, dorefa_weight_gradient, straight_through, xnor_gradient
from refq.quantizers.pact import fit_pact
from refq.quantizers.ternary import fit_ternary
from refq.quantizers.xnor import fit_xnor

AT_ENDS = [nextafter(0, -1), 0.0, -0.0, nextafter(0, 1), 0.5, nextafter(1, 0), 1.0, nextafter(1, 2), inf, -inf]
PASSED = {
    "inclusive": [0, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "paper": [0, 1, 1, 1, 1, 1, 0, 0, 0, 0],
    "open": [0, 0, 0, 1, 1, 1, 0, 0, 0, 0],
}


@pytest.mark.parametrize("ends", PASSED)
def test_the_ends_of_a_clip(ends):
    up = np.arange(1.0, 11.0)
    assert_same(got=clipped_gradient(np.array(AT_ENDS), up, 0, 1, ends=ends), expected=up * PASSED[ends])


def test_ends_a_channel_and_as_float64():
    x, up = np.array([[-1.0, 0.5], [2.0, 3.0]]), np.ones((2, 2))
    assert clipped_gradient(x, up, np.array([[0.0], [2.5]]), 9.0).tolist() == [[0, 1], [0, 1]]
    tenth = np.array([0.1], np.float32)
    assert_same(got=clipped_gradient(tenth, tenth, 0.0, 0.1), expected=np.zeros(1, np.float32))


@pytest.mark.parametrize("first", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("second", [np.float32, np.float64])
def test_the_wider_dtype(first, second):
    dtype = np.float64 if np.float64 in (first, second) else np.float32
    x, up = np.full((2, 3), 0.5, first), np.full((2, 3), 0.25, second)
    for got in (clipped_gradient(x, up, 0, 1), straight_through(x, up, fit_dorefa_activations(2))):
        assert_same(got=got, expected=np.full((2, 3), 0.25, dtype))
    assert {dorefa_weight_gradient(x, up).dtype, xnor_gradient(x, up).dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("bits", [1, 2, 3, 6, 11])
def test_dorefa_activations_pass_on_0_to_1(bits):
    """The step is 1 / n rounded, and yet n steps are 1 for every width: the range is the paper's."""
    assert all((2**k - 1) * (1 / (2**k - 1)) == 1 for k in range(1, 17))
    up = np.ones(len(AT_ENDS))
    got = straight_through(np.array(AT_ENDS), up, fit_dorefa_activations(bits), outside="zero")
    assert got.tolist() == PASSED["inclusive"]


def test_every_method_passes_all_or_its_range():
    x, up = np.array([-9.0, -2.0, 0.0, 1.0, 9.0]), np.arange(1.0, 6.0)
    cases = [
        (fit_ternary(np.array([2.0, -2.0, 0.0])), [0, 2, 3, 4, 0]),
        (fit_xnor(np.array([2.0, -1.0])), [0, 0, 3, 4, 0]),
        (fit_pact(1.0, 3), [0, 0, 3, 4, 0]),
        (fit_dorefa_weights(np.array([2.0]), 2), [0, 0, 3, 4, 0]),
    ]
    for quantizer, expected in cases:
        assert straight_through(x, up, quantizer).tolist() == up.tolist()
        assert straight_through(x, up, quantizer, outside="zero").tolist() == expected


def test_one_number_without_axes():
    one = np.array(0.5, np.float32)
    for got in (dorefa_weight_gradient(one, one), xnor_gradient(one, one), clipped_gradient(one, one, 0, 1)):
        assert (type(got), got.shape, got.dtype) == (np.ndarray, (), np.dtype(np.float32))


def test_channels():
    w = np.array([[1.0, -1.0], [3.0, -3.0]])
    x = np.full((2, 2), 2.0)
    assert straight_through(x, x, fit_xnor(w, 0), outside="zero").tolist() == [[0, 0], [2, 2]]
    assert straight_through(x, x, fit_xnor(w.T, -1), outside="zero").tolist() == [[0, 2], [0, 2]]


W = np.array([0.3, -1.2, 0.0, 0.7, 1.2, -0.01])
UP = np.array([1.0, -2.0, 0.5, 3.0, 0.25, 4.0])


def smooth(w, maximum=None):
    """The weights before rounding, and their products with the upstream gradient."""
    t = [tanh(x) for x in w]
    top = max(map(abs, t)) if maximum is None else maximum
    return sum(u * x / top for u, x in zip(UP.tolist(), t, strict=True))


@pytest.mark.parametrize("maximum", ["constant", "differentiated"])
def test_dorefa_weights_against_differences(maximum):
    """Central differences of the map before rounding. The largest, -1.2 and 1.2, move both at once, or M has a kink."""
    got = dorefa_weight_gradient(W, UP, maximum=maximum)
    h, fixed = 1e-6, tanh(1.2) if maximum == "constant" else None
    moves = [[0], [2], [3], [5], [1, 4]] if fixed is None else [[i] for i in range(6)]
    for move in moves:
        step = np.zeros(6)
        step[move] = np.sign(W[move]) * h if len(move) > 1 else h
        difference = (smooth((W + step).tolist(), fixed) - smooth((W - step).tolist(), fixed)) / (2 * h)
        # of a difference quotient: h**2 times the third derivative
        assert abs(difference - float((got * step).sum()) / h) < 1e-8


def test_dorefa_weights_of_zeros_and_none():
    assert dorefa_weight_gradient(np.zeros(3), np.ones(3), maximum="differentiated").tolist() == [0, 0, 0]
    for function in (dorefa_weight_gradient, lambda x, up: clipped_gradient(x, up, 0, 1)):
        empty = function(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))
        assert (empty.shape, empty.dtype) == ((0, 2), np.dtype(np.float32))


def test_xnor_by_hand():
    """N = 4, alpha = 1: inside -1..1 (ends too) 1/4 + 1, outside 1/4."""
    w, up = np.array([[1.0, -1.0, 0.5, -1.5]]), np.array([[1.0, 2.0, -4.0, 8.0]])
    assert_same(got=xnor_gradient(w, up), expected=np.array([[1.25, 2.5, -5.0, 2.0]]))
    assert_same(got=xnor_gradient(w, up, 0), expected=np.array([[1.25, 2.5, -5.0, 2.0]]))
    assert_same(got=xnor_gradient(w, up, 1), expected=np.array([[2.0, 4.0, -6.0, 8.0]]))


def test_layouts():
    base = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    read_only = base.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(base), read_only, base.astype(">f4"), np.repeat(base, 2, axis=1)[:, ::2]):
        assert_same(got=dorefa_weight_gradient(other, other), expected=dorefa_weight_gradient(base, base))
        assert_same(got=xnor_gradient(other, other, 1), expected=xnor_gradient(base, base, 1))
        assert_same(got=clipped_gradient(other, other, 0, 1), expected=clipped_gradient(base, base, 0, 1))


ONE, ACTIVATIONS = np.ones(2), fit_dorefa_activations(2)
BAD = [
    (lambda: clipped_gradient(ONE, ONE, np.nan, 1), ValueError, "clipped_gradient: low has nan; pass numbers"),
    (
        lambda: clipped_gradient(ONE, ONE, 0, 1, ends="x"),
        ValueError,
        "ends='x' is unknown; legal: paper, inclusive, open",
    ),
    (
        lambda: clipped_gradient(ONE, ONE, np.zeros(3), 1),
        ValueError,
        r"low has shape \(3,\); pass one for values, \(2,\)",
    ),
    (lambda: clipped_gradient(ONE, ONE, 0, np.zeros((2, 1))), ValueError, r"high has shape \(2, 1\); pass one for"),
    (
        lambda: clipped_gradient(ONE, ONE[:1], 0, 1),
        ValueError,
        r"upstream has shape \(1,\); pass that of values, \(2,\)",
    ),
    (lambda: clipped_gradient(ONE, ONE * np.nan, 0, 1), ValueError, r"clipped_gradient: upstream\[0\]=nan"),
    (
        lambda: straight_through(ONE, ONE, ACTIVATIONS, outside="x"),
        ValueError,
        "outside='x' is unknown; legal: pass, zero",
    ),
    (lambda: straight_through(ONE, ONE * inf, ACTIVATIONS), ValueError, r"straight_through: upstream\[0\]=inf"),
    (
        lambda: straight_through(ONE, ONE, fit_xnor(np.ones((3, 2)), 0), outside="zero"),
        ValueError,
        r"straight_through: shape \(2,\) has not 3 channels on axis 0",
    ),
    (
        lambda: dorefa_weight_gradient(ONE, ONE, maximum="x"),
        ValueError,
        "maximum='x' is unknown; legal: constant, diff",
    ),
    (
        lambda: dorefa_weight_gradient(ONE * inf, ONE),
        ValueError,
        r"dorefa_weight_gradient: values\[0\]=inf is infinite",
    ),
    (lambda: xnor_gradient(np.zeros(0), np.zeros(0)), ValueError, r"xnor_gradient: values has shape \(0,\), no values"),
    (lambda: xnor_gradient(ONE, ONE, 1), ValueError, r"xnor_gradient: axis=1 is outside -1\.\.0"),
    (lambda: xnor_gradient([1], [1]), TypeError, "xnor_gradient: values has dtype int64"),
]


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
