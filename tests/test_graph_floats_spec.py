"""Float32 sums on arrays against their definition in Fractions, rule by rule."""

from fractions import Fraction

import numpy as np
import pytest
from graph_floats_cases import W_SCALE, biases, dequantized, fractions, generator
from refq_cases import assert_same

from refq.layers.floats_conv import Window, float_conv, patches
from refq.layers.floats_curves import float_sigmoid, float_softmax, float_tanh
from refq.layers.floats_matmul import MATMUL_RULES, float_gemm, float_matmul, nearest_float
from refq.layers.floats_mlas import mlas_product, strides
from refq.layers.floats_pools import mean_rows
from refq.layers.floats_reduce import reduced_sums
from refq.layers.floats_sums import PLAIN, plain_product
from refq.spec.floats import FLOAT32, round_to_float
from refq.spec.layers import floats as spec
from refq.spec.layers import floats_curves, floats_mlas

ZERO = Fraction(0)
DEFINED = [rule for rule in PLAIN if rule != "numpy_matmul"]


def floats(values, shape):
    return np.array([float(v) for v in values], np.float32).reshape(shape)


def elements(a, b, one):
    """`one` of every row of a and column of b."""
    places = [(i, j) for i in range(a.shape[0]) for j in range(b.shape[1])]
    return floats([one(fractions(a[i]), fractions(b[:, j]), (i, j)) for i, j in places], (a.shape[0], b.shape[1]))


def operands(rng, rows, depth, columns):
    return dequantized(rng, (rows, depth)), dequantized(rng, (depth, columns), W_SCALE, 0)


@pytest.mark.parametrize("rule", DEFINED)
@pytest.mark.parametrize("depth", [0, 1, 2, 128, 129, 260])
def test_plain_orders(rule, depth):
    rng = generator(depth)
    a, b = operands(rng, 2, depth, 3)
    start = biases(rng, (2, 3))
    expected = elements(a, b, lambda xs, ys, at: spec.plain_element(xs, ys, Fraction(float(start[at])), rule))
    assert_same(got=plain_product(a, b, start, rule), expected=expected)


SHAPES = [
    (1, 1, 1), (1, 7, 13), (7, 1, 5), (6, 1, 9), (3, 2, 127), (2, 3, 129), (1, 5, 8), (5, 3, 1), (1, 2, 260),
    (1, 17, 150),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transposed", [(False, False), (False, True), (True, False), (True, True)])
def test_mlas_products(shape, transposed):
    rows, columns, depth = shape
    a, b = operands(generator(depth + rows), rows, depth, columns)
    whole = floats_mlas.Shape(rows, columns, depth, transposed)
    expected = elements(a, b, lambda xs, ys, at: floats_mlas.mlas_element(xs, ys, whole, at))
    assert_same(got=mlas_product(a, b, np.zeros((rows, columns)), transposed=transposed), expected=expected)


@pytest.mark.parametrize("factors", [(1, 0), (1, 1), (0.7, 1), (1, 0.3), (2, 0.5)])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 20), (3, 1, 140), (2, 3, 257)])
def test_mlas_products_with_factors(shape, packed, factors):
    rows, columns, depth = shape
    rng = generator(depth)
    a, b = operands(rng, rows, depth, columns)
    c = biases(rng, (rows, columns))
    alpha, beta = (Fraction(float(np.float32(f))) for f in factors)
    whole = floats_mlas.Shape(rows, columns, depth, packed=packed)
    expected = elements(
        a, b, lambda xs, ys, at: floats_mlas.mlas_element(xs, ys, whole, at, Fraction(float(c[at])), alpha, beta)
    )
    rule = "mlas_avx512_packed" if packed else "mlas_avx512"
    assert_same(got=float_gemm(a, b, c, rule, alpha=factors[0], beta=factors[1]), expected=expected)


def test_panels_agree():
    sizes = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 500, 4000]
    for columns in sizes:
        for depth in sizes:
            for stretch in (False, True):
                assert strides(columns, depth, stretch) == floats_mlas.panel(columns, depth, stretch)


CONVS = [
    ((1, 6, 6), (3, 1, 3, 3)), ((5, 4, 4), (3, 5, 3, 3)), ((30, 5, 5), (1, 30, 3, 3)), ((2, 3, 3), (9, 2, 3, 3)),
    ((20, 9, 9), (2, 20, 3, 3)), ((1, 12, 20), (1, 1, 3, 3)), ((40, 3, 3), (1, 40, 3, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("image", "weights"), CONVS)
def test_mlas_convolutions(image, weights):
    rng = generator(weights[1])
    x, w, b = dequantized(rng, image), dequantized(rng, weights, W_SCALE, 0), biases(rng, weights[0])
    window = Window(padding=((1, 1), (1, 0)))
    found = patches(x, weights[2:], window)
    flat = w.reshape(weights[0], -1)
    got = float_conv(x[None], w, b, "mlas_avx512", window)[0].reshape(weights[0], -1)
    filters, places = weights[0], found.shape[1]
    expected = elements(
        flat, found,
        lambda xs, ys, at: spec.rounded(
            floats_mlas.conv_element(xs, ys, filters, places, *at) + Fraction(float(b[at[0]]))
        ),
    )  # fmt: skip
    assert_same(got=got, expected=expected)


def test_mlas_seven_by_seven():
    rng = generator(7)
    x, w = dequantized(rng, (2, 11, 12)), dequantized(rng, (4, 1, 7, 7), W_SCALE, 0)
    window = Window((2, 2), (1, 1), ((3, 3), (3, 3)))
    got = float_conv(x[None], w, None, "mlas_avx512", window, 2)[0]
    for filter_, row, column in np.ndindex(got.shape):
        found = patches(x[filter_ // 2 : filter_ // 2 + 1], (7, 7), window)[:, row * got.shape[2] + column]
        inside = 3 <= 2 * row <= 7 and 3 <= 2 * column <= 8
        expected = floats_mlas.seven_element(fractions(w[filter_]), fractions(found), inside)
        assert Fraction(float(got[filter_, row, column])) == expected


@pytest.mark.parametrize("rule", ["float32_sequential", "mlas_lanes4", "float32_reciprocal", "float64", "exact"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 49, 64])
def test_means(rule, depth):
    values = dequantized(generator(depth), (5, depth))
    counts = np.array([depth, depth + 1, 3, 7, 49])
    expected = [spec.mean_element(fractions(v), int(n), rule) for v, n in zip(values, counts, strict=True)]
    assert_same(got=mean_rows(values, counts, rule), expected=floats(expected, 5))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 23, 24, 33])
def test_sums_of_aligned_rows(depth):
    values = dequantized(generator(depth), (5, depth))
    expected = [spec.aligned_sum(fractions(row), i * depth) for i, row in enumerate(values)]
    assert_same(got=reduced_sums(values, (1,)), expected=floats(expected, 5))


def hard_floats(rng, size):
    """Exponents over all of float32's range, subnormals, both zeros, extremes."""
    spread = (rng.integers(1 << 23, 1 << 24, size) * 2.0 ** rng.integers(-172, 80, size)).astype(np.float32)
    fixed = np.array([0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 3e38, -3e38, 1, 16777216, 16777217], np.float32)
    return np.concatenate([spread * rng.choice([-1, 1], size).astype(np.float32), fixed])


def test_exact_sums_over_the_whole_range():
    values = hard_floats(generator(1), 400)
    rng = generator(2)
    for _ in range(200):
        picked = rng.choice(values, 6)
        total = sum(fractions(picked), ZERO)
        if abs(total) < 2**127:
            for count in (1, 3, 49):
                got = mean_rows(picked[None], np.array([count]), "exact")
                assert Fraction(float(got[0])) == round_to_float(total / count, FLOAT32)


def test_exact_products_cancel_and_tie():
    rng = generator(3)
    a, b = dequantized(rng, (3, 9)), dequantized(rng, (9, 4), W_SCALE, 0)
    both = np.concatenate([a, -a, np.full((3, 2), 2.0**-60)], 1).astype(np.float32)
    twice = np.concatenate([b, b, np.full((2, 4), 2.0**-60)]).astype(np.float32)
    expected = np.full((3, 4), 2.0**-119, np.float32)
    assert_same(got=float_matmul(both, twice, "exact"), expected=expected)
    halves = np.array([[1 << 24, 1], [1 << 24, 3], [1 << 24, -1]], np.float32)
    expected = np.array([[1 << 24], [(1 << 24) + 4], [(1 << 24) - 1]], np.float32)
    assert_same(got=float_matmul(halves, np.ones((2, 1), np.float32), "exact"), expected=expected)


def test_nearest_float_is_the_definition():
    rng = generator(4)
    for value in fractions(hard_floats(rng, 200)):
        for other in (value / 3, value * (1 + Fraction(1, 1 << 24)), value + Fraction(1, 1 << 151)):
            if abs(other) < 2**127:
                assert Fraction(float(nearest_float(other))) == round_to_float(other, FLOAT32)


CURVE_INPUTS = np.array(
    [0, 1e-45, -1e-38, 0.3, -0.3, 1, -2.5, 8.9, 9.1, -9.1, 17.9, 18.5, -18.5, 40, -40, 88, -104, 2.0**-13], np.float32
)


@pytest.mark.parametrize(
    ("function", "rule", "definition"),
    [
        (float_sigmoid, "mlas_fma3", floats_curves.mlas_sigmoid),
        (float_tanh, "mlas_fma3", floats_curves.mlas_tanh),
        (float_sigmoid, "exact", floats_curves.real_sigmoid),
        (float_tanh, "exact", floats_curves.real_tanh),
    ],
)
def test_curves(function, rule, definition):
    values = np.concatenate([CURVE_INPUTS, dequantized(generator(5), 40, 0.113)])
    expected = floats([definition(v) for v in fractions(values)], values.shape)
    assert_same(got=function(values, rule), expected=expected)


@pytest.mark.parametrize("depth", [1, 2, 15, 16, 17, 35])
def test_softmax_of_mlas(depth):
    values = dequantized(generator(depth), (2, depth), 0.73)
    expected = [value for row in values for value in floats_curves.mlas_softmax(fractions(row))]
    assert_same(got=float_softmax(values, -1, "mlas_avx512"), expected=floats(expected, values.shape))


def test_softmax_of_real_numbers():
    values = dequantized(generator(5), (2, 4), 0.73)
    expected = [floats_curves.real_softmax(fractions(row), i) for row in values for i in range(4)]
    assert_same(got=float_softmax(values, 1, "exact"), expected=floats(expected, values.shape))


@pytest.mark.parametrize("rule", MATMUL_RULES)
def test_empty_products(rule):
    a, b = np.zeros((2, 0), np.float32), np.zeros((0, 3), np.float32)
    assert_same(got=float_matmul(a, b, rule), expected=np.zeros((2, 3), np.float32))
    assert float_matmul(np.zeros((0, 4), np.float32), np.zeros((4, 3), np.float32), rule).shape == (0, 3)
