"""SAWB: the worked codes of reference/papers.md 4.4, the sums, the grids, every policy, and the bands of 4.6."""

from fractions import Fraction
from math import fsum, inf, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.formats import Rounding
from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.lane_sums import BLOCK, LANES, magnitude_and_square_sums
from refq.quantizers.sawb import GRIDS, fit_sawb, sawb_gradient
from refq.quantizers.sawb_coefficients import COEFFICIENTS
from refq.spec.quantizers import sawb as spec

WORKED = [-3.0, -1.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0]
CODE = {"zero": spec.zero_code, "shifted": spec.shifted_code, "full": spec.full_code}


def even_code(w, alpha, bits, rounding):
    return 2 * spec.even_level(w, alpha, bits, rounding) - (2**bits - 1)


def levels(values, fit):
    return ((quantize(values, fit).astype(np.int64) - fit.lowest) // fit.spacing).tolist()


def expected_codes(values, fit, bits, rounding=Rounding.TIES_EVEN):
    """The definition with the alpha of the fit."""
    alpha, code = Fraction(fit.parameters["alpha"]), CODE.get(fit.parameters["grid"], even_code)
    found = [code(Fraction(float(w)), alpha, bits, rounding) for w in np.asarray(values).ravel()]
    return np.array(found, fit.dtype).reshape(np.shape(values))


@pytest.mark.parametrize(
    ("name", "alpha", "first"), [("ibm", 4.45228, 0), ("ibm_old", 4.46401, 0), ("paper", 4.60452, 1)]
)
def test_the_worked_example(name, alpha, first):
    fit = fit_sawb(np.array(WORKED), 2, coefficients=name)
    assert abs(fit.parameters["alpha"] - alpha) < 5e-6
    assert levels(np.array(WORKED), fit) == [first, 1, 1, 2, 2, 2, 3, 3]
    assert (fit.parameters["set"], fit.parameters["replaced"], fit.encoding.name) == (name, False, "odd2")
    assert fit.parameters["alpha"] == spec.sawb_alpha(WORKED, *fit.parameters["coefficients"])


def test_the_levels_of_two_bits_on_each_grid():
    alpha = 3.0
    pair = (0.0, 1.0)  # alpha = E|w|
    worth = {"even": [-3, -1, 1, 3], "shifted": [-4, -2, 0, 2], "zero": [-3, 0, 3], "full": [-3, -1.5, 0, 1.5]}
    for grid, values in worth.items():
        fit = fit_sawb(np.array([-alpha, alpha]), 2, coefficients=pair, grid=grid)
        codes = np.arange(fit.lowest, fit.highest + 1, fit.spacing)
        assert_same(dequantize(codes, fit), np.array(values, np.float64))


def test_zero_is_a_tie_of_every_even_grid_and_a_level_of_the_others():
    for bits in range(1, 9):
        for rounding, level in ((Rounding.TIES_EVEN, None), (Rounding.TIES_UP, 1), (Rounding.TIES_TOWARD_ZERO, 0)):
            fit = fit_sawb(np.array([-1.0, 2.0]), bits, coefficients=(1.0, 0.5), rounding=rounding)
            middle = 2 ** (bits - 1) - 1
            due = middle + (middle % 2 if level is None else level)
            assert levels(np.zeros(1), fit) == [due]
            assert due == 2 ** (bits - 1) or level == 0 or bits == 1
    for grid in ("zero", "shifted", "full"):
        fit = fit_sawb(np.array([-1.0, 2.0]), 3, coefficients=(1.0, 0.5), grid=grid)
        assert dequantize(quantize(np.zeros(2, np.float32), fit), fit).tolist() == [0, 0]


@pytest.mark.parametrize("grid", GRIDS)
def test_codes_equal_the_definition_at_each_cut_and_beside_it(grid):
    for bits in (1, 2, 3, 5):
        if bits == 1 and grid != "even":
            continue
        for rounding in Rounding:
            fit = fit_sawb(np.array(WORKED), bits, coefficients=(1.0, 0.3), grid=grid, rounding=rounding)
            cuts = fit.cuts.ravel()
            xs = np.concatenate(
                [cuts, np.nextafter(cuts, -inf), np.nextafter(cuts, inf), WORKED, [-1e300, 1e300, -0.0]]
            )
            xs = np.concatenate([xs, fit.step * np.arange(-2 * len(cuts), 2 * len(cuts) + 1) / 2])
            assert_same(quantize(xs, fit), expected_codes(xs, fit, bits, rounding))


@QUICK
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9),
    st.sampled_from([2, 3, 4]),
    st.sampled_from(GRIDS[:3]),
)
def test_any_tensor_equals_the_definition(values, bits, grid):
    x = np.array(values, np.float32)
    if not x.any() or np.abs(x).max() < 1e-30:
        return
    fit = fit_sawb(x, bits, coefficients=(3.12, -2.064), grid=grid)
    alpha = spec.sawb_alpha([float(v) for v in x], 3.12, -2.064)
    assert fit.parameters["alpha"] == spec.positive_alpha(alpha, [float(v) for v in x], "max")
    assert_same(quantize(x, fit), expected_codes(x, fit, bits))


def lattice_tensors():
    """Sums that float64 addition gets wrong, ties of the rounded sum, and lengths around lanes and blocks."""
    big, tiny = 2.0**53, 2.0**-53
    yield from ([1.0, tiny], [1.0, tiny, tiny], [1.0, -tiny, tiny * tiny], [big, 1.0, 1.0], [big, -1.0], [0.0, -0.0])
    yield from ([1e100, 1.0, 1e-100], [0.1] * 10, [3e-200, 1e-200], [2.0**400] * 3, [5e-324, 2.0**-400], [0.1, 1e-180])


def test_sums_are_those_of_exact_arithmetic():
    for values in lattice_tensors():
        exact = [Fraction(v) for v in values]
        got = magnitude_and_square_sums(np.array(values))
        assert got == (float(sum(map(abs, exact))), float(sum(v * v for v in exact)))
    rng = np.random.default_rng(5)
    for size in (1, LANES - 1, LANES, LANES + 1, 3 * LANES + 7, BLOCK + 3):
        for dtype in (np.float32, np.float64):
            x = (rng.normal(size=size) * np.exp2(rng.integers(-30, 30, size))).astype(dtype)
            exact = [Fraction(v) for v in x.tolist()[:4000]]
            expected = (float(sum(map(abs, exact))), float(sum(v * v for v in exact)))
            assert magnitude_and_square_sums(x[:4000]) == expected
            assert magnitude_and_square_sums(x)[0] == fsum(np.abs(x).tolist())
            assert magnitude_and_square_sums(x) == magnitude_and_square_sums(x[::-1]) == magnitude_and_square_sums(-x)


def test_order_layout_and_dtype_do_not_matter_and_scaling_by_two_is_exact():
    x = np.random.default_rng(2).normal(size=(7, 30)).astype(np.float16)
    whole = fit_sawb(x.astype(np.float64), 3)
    locked = x.astype(np.float32)
    locked.flags.writeable = False
    for other in (x, x.T, x[::-1], locked, x.astype(">f8"), np.repeat(x, 2, axis=1)[:, ::2]):
        fit = fit_sawb(other, 3)
        assert fit.parameters["alpha"] == whole.parameters["alpha"]
        assert_same(fit.cuts, whole.cuts)
        assert_same(fit.step, whole.step)
    for power in (-300, -1, 10, 300):
        scaled = fit_sawb(np.ldexp(x.astype(np.float64), power), 3)
        assert_same(scaled.cuts, np.ldexp(whole.cuts, power))
    assert fit_sawb(-x, 3).parameters["alpha"] == whole.parameters["alpha"]


def test_negating_negates_codes_except_on_ties():
    x = np.random.default_rng(3).normal(size=500)
    for bits, grid in ((2, "even"), (3, "even"), (4, "zero")):
        fit = fit_sawb(x, bits, grid=grid)
        assert_same(quantize(-x, fit), -quantize(x, fit))
    fit = fit_sawb(np.array([-1.0, 2.0]), 2)
    assert quantize(np.array([0.0, -0.0]), fit).tolist() == [1, 1]


def test_one_bit_is_signs_times_the_mean_magnitude():
    x = np.array([-4.0, 1.0, 0.0, 3.0])
    for name in COEFFICIENTS:
        fit = fit_sawb(x, 1, coefficients=name)
        assert (fit.parameters["alpha"], fit.encoding.name) == (2.0, "bipolar")
        assert quantize(x, fit).tolist() == [-1, 1, -1, 1]
    assert quantize(x, fit_sawb(x, 1, rounding=Rounding.TIES_UP)).tolist() == [-1, 1, 1, 1]
    with pytest.raises(ValueError, match="grid='zero' has no levels for bits=1; pass grid='even'"):
        fit_sawb(x, 1, grid="zero")


def test_negative_alpha_follows_the_policy():
    flat = np.array([1.0, -1.0, 1.0, -1.001])  # rms / mean = 1 < 1.0095
    fit = fit_sawb(flat, 4)
    assert (fit.parameters["alpha"], fit.parameters["replaced"]) == (1.001, True)
    absolute = fit_sawb(flat, 4, negative="absolute").parameters["alpha"]
    assert absolute == -spec.sawb_alpha(flat.tolist(), 12.68, -12.80)
    assert 0.119 < absolute < 0.121
    with pytest.raises(ValueError, match=r"alpha=-0.12\d* is not positive .*; pass negative='max', or other"):
        fit_sawb(flat, 4, negative="refuse")
    for bits in (2, 3):
        assert not fit_sawb(flat, bits, negative="refuse").parameters["replaced"]
    with pytest.raises(ValueError, match=r"alpha=0\.0 is not positive"):
        fit_sawb(np.ones(3), 2, coefficients=(1.0, -1.0), negative="absolute")
    assert fit_sawb(np.ones(3), 2, coefficients=(1.0, -1.0)).parameters["alpha"] == 1


def test_where_alpha_turns_negative():
    for bits, ratio in ((4, 1.0095), (5, 1.0507), (8, 1.1033)):
        rms, mean = COEFFICIENTS["ibm"].pairs["even", bits]
        assert abs(-mean / rms - ratio) < 5e-5
    for by_name in COEFFICIENTS.values():
        assert all(rms > 0 > mean for rms, mean in by_name.pairs.values())
        assert all(rms + mean > 0 for (_, bits), (rms, mean) in by_name.pairs.items() if bits <= 3)


@pytest.mark.parametrize("grid", GRIDS)
def test_an_all_zero_tensor_is_worth_zero(grid):
    fit = fit_sawb(np.zeros((2, 3), np.float32), 2, coefficients=(1.0, 0.0), grid=grid)
    xs = np.array([-1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0])
    small = fit_sawb(np.array([2.0**-300]), 2, coefficients=(1.0, 0.0), grid=grid)
    assert_same(quantize(xs[[0, 2, 3, 5]], fit), quantize(xs[[0, 2, 3, 5]], small))
    assert quantize(xs, fit).tolist()[1:5:3] == [fit.lowest, fit.highest]
    assert dequantize(quantize(xs, fit), fit).tolist() == [0] * 6
    assert (fit.parameters["alpha"], fit.step.tolist()) == (0.0, [0.0])


def test_one_value_and_a_constant():
    for x in (np.array(0.7), np.full(5, 0.7), np.full((1, 1), -0.7)):
        fit = fit_sawb(x, 2)
        # rms = mean: alpha = (c1 + c2) |w|
        assert abs(fit.parameters["alpha"] - 1.056 * 0.7) < 1e-12
        assert quantize(x, fit).tolist() == np.full(x.shape, 3 if x.flat[0] > 0 else -3).tolist()


def test_the_gradient_passes_or_stops_outside():
    fit = fit_sawb(np.array([-2.0, 2.0]), 2, coefficients=(1.0, 0.0))
    x = np.array([-nextafter(2.0, inf), -2.0, 0.0, 2.0, 3.0])
    for outside in ("pass", "zero"):
        expected = [spec.sawb_gradient(w, 0.25, 2.0, outside) for w in x.tolist()]
        assert_same(sawb_gradient(x, np.full(5, 0.25), fit, outside=outside), np.array(expected))
    narrow = sawb_gradient(np.float32([1, 5]), np.float32([2, 2]), fit, outside="zero")
    assert_same(narrow, np.array([2, 0], np.float32))
    with pytest.raises(ValueError, match=r"upstream has shape \(1,\), values \(5,\)"):
        sawb_gradient(x, np.ones(1), fit)
    with pytest.raises(ValueError, match="outside='clip' is unknown; legal: pass, zero"):
        sawb_gradient(x, x, fit, outside="clip")
