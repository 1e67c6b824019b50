"""DoReFa's stochastic gradient: exact levels at built ties, and an expectation without bias, shown in fractions."""

from fractions import Fraction
from math import nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.quantizers.dorefa import dorefa_gradient
from refq.spec.quantizers import dorefa as spec

GRID = 64
NOISE = [(2 * i + 1) / (2 * GRID) - 0.5 for i in range(GRID)]
"""Midpoints of 64 equal cells of -1/2..1/2, exact floats."""


def expected_codes(g, u, bits, dtype):
    """The definition, one number at a time, the maximum of each sample over all other axes."""
    out = np.empty(g.shape, dtype)
    for place in np.ndindex(g.shape):
        maximum = max(abs(float(x)) for x in g[place[0]].ravel())
        out[place] = 2 * spec.gradient_level(float(g[place]), maximum, float(u[place]), bits) - (2**bits - 1)
    return out


def check(g, u, bits):
    got = dorefa_gradient(g, u, bits)
    dtype = np.int8 if bits < 8 else np.int16 if bits < 16 else np.int32
    assert_same(got=got.codes, expected=expected_codes(g, u, bits, dtype))
    assert got.encoding.name == ("bipolar" if bits == 1 else f"odd{bits}")
    steps = [max(abs(float(x)) for x in sample.ravel()) / (2**bits - 1) for sample in g]
    assert_same(got=got.step, expected=np.array(steps))
    wide = got.step.reshape(-1, *[1] * (g.ndim - 1))
    assert_same(got=got.values, expected=got.codes * wide)


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 16])
def test_built_ties_and_their_neighbours(bits):
    """n g / (2 M) + n / 2 + u = level + 1/2 exactly, one float to either side in g and in u, for M = 1 and odd M."""
    n = 2**bits - 1
    rows = []
    for u in (-0.5, -0.25, 0.0, 0.25, 0.5):
        for g in (0.0, 0.5, -0.5, 1.0, -1.0, 0.25):
            rows += [(a, b) for a in (g, nextafter(g, 0)) for b in (u, nextafter(u, 0), u * (1 - 2.0**-40))]
    g, u = (np.array(column).reshape(1, -1) for column in zip(*rows, strict=True))
    for maximum in (1.0, float(n), 3.0, 2.0**-1074 * 8, 1e300):
        check(np.append(g * maximum, [[maximum]], axis=1), np.append(u, [[0.125]], axis=1), bits)


def test_noise_below_the_last_bit_decides():
    """z = 1/2 + u with u = +-1e-30: float64 cannot tell z from the tie, the rationals can; levels 1 and 2 of 3."""
    g, u = np.array([[0.0, 0.0, 0.0, 1.0]]), np.array([[1e-30, 0.0, -1e-30, 0.0]])
    assert dorefa_gradient(g, u, 2).codes.tolist() == [[1, 1, -1, 3]]
    check(g, u, 2)


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(-0.5, 0.5)), min_size=1, max_size=12), st.integers(1, 9))
@QUICK
def test_random(pairs, bits):
    g, u = (np.array(column).reshape(1, -1) for column in zip(*pairs, strict=True))
    check(g, u, bits)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (3, 1), (1, 7)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_maximum_is_of_a_sample(shape, dtype):
    random = np.random.default_rng(4)
    g, u = random.normal(size=shape).astype(dtype), (random.random(shape) - 0.5).astype(dtype)
    check(g, u, 3)


def test_the_expectation_is_the_gradient_extremes_included():
    """M = 3, g = i / 32: z = i / 64 + 3/2 meets a whole number of the 64 cells, so the mean over them is exact."""
    g = (np.arange(-96, 97) / 32).reshape(1, -1)
    total = sum(dorefa_gradient(g, np.full(g.shape, u), 2).codes.astype(np.int64) for u in NOISE)
    assert_same(got=total, expected=(np.arange(-96, 97) * 2).reshape(1, -1))
    assert [Fraction(int(total[0, i]), GRID) for i in (0, 96, 192)] == [-3, 0, 3]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_clip_never_changes_a_level(bits):
    """|u| <= 1/2 takes z at most 1/2 beyond 0 or n, which rounds to the end: only the tie n + 1/2 is clipped."""
    n = 2**bits - 1
    for i in range(-16, 17):
        for u in [*NOISE, -0.5, 0.5]:
            z = n * (Fraction(i, 32) + Fraction(1, 2)) + Fraction(u)
            free = round(z)
            assert spec.gradient_level(i / 16, 1.0, u, bits) == (n if z == n + Fraction(1, 2) else free)


@pytest.mark.parametrize("g", [1.0, 0.9375, -1.0])
def test_noise_wider_than_the_papers_would_be_biased_at_the_ends(g):
    """With u in -1..1 the clip does bite: the mean of g = M falls short of M, that of a middle g does not."""
    wide = [2 * Fraction(u) for u in NOISE]

    def mean(x):
        z = [3 * (Fraction(x) / 2 + Fraction(1, 2)) + u for u in wide]
        return sum((Fraction(2 * max(0, min(round(v), 3)) - 3, 3) for v in z), Fraction(0)) / GRID

    assert abs(mean(g)) < abs(Fraction(g))
    assert mean(0.0) == 0


def test_values_of_the_definition():
    """The float64 product is within an ulp of 2 M (l / n - 1/2)."""
    found = dorefa_gradient(np.array([[0.7, -0.3, 0.1]]), np.array([[0.0, 0.2, -0.4]]), 3)
    for code, value in zip(found.codes[0].tolist(), found.values[0].tolist(), strict=True):
        exact = spec.gradient_value((code + 7) // 2, Fraction(0.7), 3)
        assert abs(Fraction(value) - exact) <= abs(exact) * Fraction(1, 2**52)


def test_samples_of_zeros_and_no_samples():
    found = dorefa_gradient(np.zeros((2, 3)), np.zeros((2, 3)), 2)
    assert found.codes.tolist() == [[1, 1, 1]] * 2
    assert found.values.tolist() == [[0.0, 0.0, 0.0]] * 2
    for shape in ((0,), (0, 3), (3, 0)):
        empty = dorefa_gradient(np.zeros(shape), np.zeros(shape), 2)
        assert (empty.codes.shape, empty.codes.dtype, empty.step.shape) == (shape, np.dtype(np.int8), shape[:1])
        assert empty.values.shape == shape


ONE, NAN = np.ones((1, 2)), np.array([[0.0, np.nan]])
BAD = [
    (ONE, ONE, r"uniform\[0, 0\]=1\.0 is outside -0\.5\.\.0\.5; subtract 0\.5"),
    (ONE, ONE[0], r"uniform has shape \(2,\); pass that of gradient, \(1, 2\)"),
    (ONE[0, 0], ONE[0, 0], r"gradient has shape \(\), no samples"),
    (NAN, ONE, r"gradient\[0, 1\]=nan"),
    (ONE, NAN, r"uniform\[0, 1\]=nan"),
    (ONE * np.inf, ONE, r"gradient\[0, 0\]=inf is infinite"),
]


@pytest.mark.parametrize(("gradient", "uniform", "message"), BAD)
def test_refused(gradient, uniform, message):
    with pytest.raises(ValueError, match=message):
        dorefa_gradient(gradient, uniform, 2)


def test_refused_kinds():
    with pytest.raises(TypeError, match="dorefa_gradient: gradient has dtype int64"):
        dorefa_gradient(np.ones((1, 2), np.int64), ONE / 4, 2)
    with pytest.raises(ValueError, match=r"dorefa_gradient: bits=17 is outside 1\.\.16"):
        dorefa_gradient(ONE, ONE / 4, 17)
