"""Balanced quantization: exact means, ties of medians, degenerate tensors, properties."""

import numpy as np
import pytest
from balanced_cases import BY_FORM, FORMS, GAUSS, LARGEST, check, levels
from hypothesis import example, given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.quantizers import balanced_layout, balanced_splits
from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.balanced import balanced_codes, fit_balanced


@BY_FORM
def test_halves_against_numpy(split, codes):
    """100,000 multiples of 1/1024, in two pieces: means in float64 are exact, medians by a stable sort."""
    values = np.random.default_rng(7).integers(-3000, 9000, 100_000)
    leaf = np.zeros(values.size, np.int64)
    sets = [np.arange(values.size)]
    for _ in range(3):
        halves = []
        for places in sets:
            inside = values[places]
            upper = places.size * inside >= inside.sum()
            if split == "median":
                upper = np.argsort(np.argsort(inside, kind="stable"), kind="stable") >= places.size // 2
            halves += [places[~upper], places[upper]]
        sets = halves
    for g, places in enumerate(sets):
        lowest = values[places] == values[places].min()
        leaf[places] = g - (lowest & (g > 0) if codes == "literal" else 0)
    for dtype in (np.float32, np.float64):
        assert_same(levels((values / 1024).astype(dtype), 3, split=split, codes=codes), leaf)


def test_five_bits_are_looked_up_by_bin():
    values = np.random.default_rng(8).standard_normal(70_000).astype(np.float32)
    codes, quantizer = balanced_codes(values, 5)
    assert_same(codes, quantize(values, quantizer))
    assert codes.size >= balanced_layout.LAYOUTS[values.dtype].bins


def test_means_are_exact():
    """The float sum of these loses 0.75, and would put 0.24 into the upper half."""
    values = np.array([2.0**60, 0.75, -(2.0**60), 0.24])
    assert values.mean() < 0.24 < 0.2475
    assert levels(values, 1).tolist() == [1, 1, 0, 0]
    check(values, 2)


def test_a_number_at_the_mean_goes_up():
    third = np.float32(1 / 3)
    values = np.array([third, third, third, 1, -1], np.float32)[[0, 3, 1, 4, 2]]
    check(values, 2)
    assert levels(np.array([0.0, 1, 2]), 1).tolist() == [0, 1, 1]
    assert levels(np.array([0.0, np.nextafter(1, 0), 2]), 1).tolist() == [0, 0, 1]
    assert levels(np.array([0.0, np.nextafter(1, 2), 2]), 1).tolist() == [0, 1, 1]


def test_wrong_guesses_change_nothing(monkeypatch):
    expected = fit_balanced(GAUSS[1], 4).cuts
    monkeypatch.setattr(balanced_splits, "_guess", lambda *_: np.zeros(0, np.int64))
    assert_same(fit_balanced(GAUSS[1], 4).cuts, expected)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize(
    "values",
    [
        [1, 1, 1, 1, 1, 1],
        [0, 0, 0],
        [-2.5],
        [5, 5, 5, 5, 5, 5, 5, 9],
        [3, 1, 3, 1, 3, 3, 1, 3, 0],
        [0.0, -0.0, 0.0, -0.0, 1e-45, -1e-45],
        [LARGEST, -LARGEST, LARGEST, LARGEST],
        [LARGEST] * 3,
        [1e-45, 3e-45, 1e-40, LARGEST, 1, -1],
        [1, 1 + 2.0**-23, 1 + 2.0**-22, 1 + 3 * 2.0**-23],
    ],
)
def test_built_tensors(values, bits):
    check(np.array(values, np.float32), bits)


def test_built_tensors_in_float64():
    largest = np.finfo(np.float64).max
    check(np.array([largest, largest, -largest, largest, 5e-324, -5e-324]), 3)
    check(np.array([largest] * 4), 2)


@pytest.mark.parametrize(("value", "bits", "worth"), [(1.0, 2, 1 / 3), (1.0, 1, -1.0), (-2.0, 2, 2 / 3), (0.0, 2, 0.0)])
def test_constant_tensors(value, bits, worth):
    """Leaf codes are n, literal codes n - 2; papers.md: all ones, k = 2, gives 1/3."""
    n = (1 << bits) - 1
    for split in ("mean", "median"):
        leaf, _ = balanced_codes(np.full(1, value), bits, split=split)
        literal, quantizer = balanced_codes(np.full(1, value), bits, split=split, codes="literal")
        assert (leaf.tolist(), literal.tolist()) == ([n], [n - 2])
        assert dequantize(literal, quantizer).tolist() == [worth]
    assert set(balanced_codes(np.full((3, 2), value), bits)[0].ravel().tolist()) == {n}


def test_equal_numbers_across_a_median():
    """[2, 2, 2, 2, 2, 7]: halves of 3, then 1 + 2: leaves 0, 1, 1, 2, 3, 3. The fourth 2 has the highest code, 2."""
    values = np.array([2, 2, 7, 2, 2, 2], np.float32)
    codes, quantizer = balanced_codes(values, 2, split="median")
    assert ((codes + 3) // 2).tolist() == [0, 1, 3, 1, 2, 3]
    assert ((quantize(values, quantizer) + 3) // 2).tolist() == [3, 3, 3, 3, 3, 3]
    assert quantizer.parameters["tied"] == 4
    literal, quantizer = balanced_codes(values, 2, split="median", codes="literal")
    assert ((literal + 3) // 2).tolist() == [0, 0, 3, 0, 1, 2]
    assert ((quantize(values, quantizer) + 3) // 2).tolist() == [2, 2, 3, 2, 2, 2]
    assert quantizer.parameters["tied"] == 4


NUMBERS = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(0, 99).map(lambda i: 1 + i * 2.0**-20),
)
TENSORS = st.lists(NUMBERS, min_size=1, max_size=30)


@given(TENSORS, st.integers(1, 4), st.sampled_from([np.float32, np.float64]))
@example([1.0] * 9, 3, np.float32)
@QUICK
def test_equals_the_definition(values, bits, dtype):
    check(np.array(values, dtype), bits)


@given(st.lists(st.integers(-9999, 9999), min_size=1, max_size=60), st.integers(1, 5), st.sampled_from(FORMS))
@QUICK
def test_properties(values, bits, form):
    form = dict(zip(("split", "codes"), form, strict=True))
    x = np.array(values, np.float32)
    got = levels(x, bits, **form)
    order = np.argsort(x, kind="stable")
    assert (np.diff(got[order]) >= 0).all()
    assert 0 <= got.min() <= got.max() < 1 << bits
    for scale in (2.0**-100, 0.5, 2.0**90):
        assert_same(levels((x * scale).astype(np.float32), bits, **form), got)
    assert_same(levels(3 * x + 7, bits, **form), got)
    counts = np.bincount(levels(x, bits, split="median"), minlength=1 << bits)
    for size in [1 << p for p in range(bits)]:
        pairs = counts.reshape(-1, 2, size).sum(axis=2)
        assert np.isin(pairs[:, 1] - pairs[:, 0], (0, 1)).all()
