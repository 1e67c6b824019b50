"""Exact minimum-MSE clipping against the enumeration of all breakpoints, closed forms, and a dense grid of steps."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.quantizers.mse import GRIDS, _checked, minimum_affine_mse, minimum_mse
from refq.spec.quantizers import mse as spec

DATA = Path(__file__).parents[2] / "shared" / "data" / "mlperf_tiny" / "resnet8_float.npz"
RANDOM = np.random.default_rng(20261121)
BUILT = {
    "one value": [0.7],
    "two signs": [1.0, -1.0],
    "lattice": [-4.0, -3.0, -1.0, 0.0, 2.0, 2.0, 3.0],
    "duplicates": [1.5] * 5 + [0.5] * 2,
    "outlier": [0.01, -0.02, 0.03, 100.0],
    "zeros among": [0.0, 0.0, -0.0, 3.0],
    "negative": [-1.0, -2.5, -2.5],
    "thirds": [1 / 3, -2 / 3, 1.0, 0.1],
    "far apart": [2.0**-300, 1.0, 2.0**200],
    "neighbours": [1.0, float(np.nextafter(1.0, 2.0)), 3.0],
}


def exact(values):
    return [Fraction(float(x)) for x in np.asarray(values).ravel()]


def check(values, bits, grid):
    """Step, error and their roundings are those of the definition."""
    values = np.asarray(values, np.float64)
    got, codes = minimum_mse(values, bits, grid=grid), spec.GRIDS[grid](bits)
    step, error = spec.minimum_mse(exact(values), codes)
    assert (got.exact_step, got.exact_error) == (step, error)
    assert (got.step, got.error) == (float(step), float(error / values.size))
    assert got.alpha == float(step * max(codes[-1], -codes[0]))
    return got


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", BUILT)
def test_built_tensors_on_every_grid(name, grid):
    for bits in (1, 2, 3):
        if (grid, bits) != ("zero", 1):
            check(BUILT[name], bits, grid)


@QUICK
@given(st.sampled_from(list(GRIDS)), st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(0, 3))
def test_small_integers_where_ties_and_equal_errors_abound(grid, numbers, power):
    check(np.array(numbers) / 2.0**power, 2, grid)


@pytest.mark.parametrize("grid", GRIDS)
def test_drawn_tensors(grid):
    for seed in range(6):
        random = np.random.default_rng(seed)
        check(random.standard_t(2, 7), 3, grid)


def test_worked_by_hand():
    # {-a, 0, a}: 1, 2 -> 0 and 4, -8 -> a: a = 6, errors 1 + 4 + 4 + 4
    found = minimum_mse(np.array([1.0, 2.0, 4.0, -8.0]), 2)
    assert (found.step, found.alpha, found.exact_error, found.error) == (6.0, 6.0, 13, 3.25)
    # one bit: XNOR's scale, the mean of |w|
    values = np.array([-3.0, -1.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0])
    assert minimum_mse(values, 1, grid="even").step == 2.25
    assert minimum_mse(np.array([2.0, 4.0, -9.0]), 1, grid="unsigned").step == 3.0


def test_of_equal_errors_the_smallest_step():
    found = minimum_mse(np.array([6.0, -6.0]), 3)
    assert (found.step, found.error) == (2.0, 0.0)
    assert minimum_affine_mse(np.array([0.0, 6.0]), 2, signed=False).step == 2.0


def test_constant_tensors_are_exact_at_once_with_any_bits():
    for value, bits in ((0.1, 12), (-0.1, 12), (3.0, 8)):
        found = minimum_mse(np.full(9, value), bits)
        assert (found.exact_step, found.error) == (abs(Fraction(value)) / ((1 << (bits - 1)) - 1), 0.0)


def test_uniform_density_has_its_known_optimum():
    """papers.md 4.3: 0.75 max for four levels; midpoints of 2**16 cells, so that the sum stands for the integral."""
    values = (np.arange(-65535, 65536, 2) / 65536.0).astype(np.float32)
    assert abs(minimum_mse(values, 2, grid="even").alpha - 0.75) < 1e-4


@pytest.mark.parametrize(("bits", "alpha"), [(2, 1.4935)])
def test_gaussian_optimum_of_four_levels(bits, alpha):
    values = np.random.default_rng(7).normal(size=1 << 18)
    assert abs(minimum_mse(values, bits, grid="even").alpha / alpha - 1) < 0.01


@pytest.mark.parametrize("grid", GRIDS)
def test_no_step_of_a_dense_grid_is_better(grid):
    values = np.random.default_rng(5).laplace(size=5000)
    found, codes = minimum_mse(values, 4, grid=grid), GRIDS[grid](4)
    cuts = (np.array(codes[1:]) - codes.step / 2)[:, None]
    least = np.inf
    for step in np.linspace(0.5, 1.5, 801) * found.step:
        chosen = codes[0] + codes.step * np.searchsorted((cuts * step).ravel(), values, side="right")
        least = min(least, float(np.mean((values - chosen * step) ** 2)))
    assert found.error <= least * (1 + 1e-12)
    assert least <= found.error * (1 + 1e-4)


@pytest.mark.parametrize("bits", [1, 2])
def test_affine_searches_every_zero_point(bits):
    for values in ([0.3, 2.0, -0.4, 5.0], [-3.0, -1.0], [1.0, 1.0, 4.0, -2.0, -2.0], [0.0, 1.0, 2.0, 3.0], [7.0]):
        got = minimum_affine_mse(np.array(values), bits, signed=False)
        count = 1 << bits
        candidates = [(z, *spec.minimum_mse(exact(values), range(-z, count - z))) for z in range(count)]
        error, step, zero = min((error, step, z) for z, step, error in candidates)
        assert (got.exact_error, got.exact_step, got.zero_point) == (error, step, zero)
        signed = minimum_affine_mse(np.array(values), bits)
        assert (signed.zero_point, signed.step) == (zero - count // 2, got.step)


def test_dtypes_and_layouts_agree():
    base = (RANDOM.integers(-40, 41, (6, 8)) / 8).astype(np.float16)
    expected = minimum_mse(base, 3)
    frozen = base.astype(np.float64)
    frozen.flags.writeable = False
    doubled = np.repeat(base.astype(np.float32), 2, axis=1)[:, ::2]
    for values in (frozen, doubled, base.astype(">f4"), base.T.astype(np.float64), base.ravel()):
        before = values.copy()
        assert minimum_mse(values, 3) == expected
        assert np.array_equal(values, before)


def test_scaling_by_a_power_of_two_scales_the_answer():
    values = RANDOM.normal(size=300)
    small = minimum_mse(values, 4)
    for power in (-390, 395):
        scaled = minimum_mse(np.ldexp(values, power), 4)
        assert scaled.exact_step == small.exact_step * Fraction(2) ** power
        assert scaled.exact_error == small.exact_error * Fraction(4) ** power


@pytest.mark.parametrize("grid", GRIDS)
def test_zeros_have_step_one_with_its_own_error(grid):
    found = minimum_mse(np.zeros(3), 2, grid=grid)
    assert (found.step, found.error) == (1.0, 1.0 if grid == "even" else 0.0)
    assert (found.exact_step, found.exact_error) == spec.minimum_mse(exact(np.zeros(3)), GRIDS[grid](2))


def test_values_on_the_side_without_codes():
    found = minimum_mse(np.array([-1.0, -3.0]), 2, grid="unsigned")
    assert (found.step, found.error) == (1.0, 5.0)
    affine = minimum_affine_mse(np.zeros(2), 4)
    assert (affine.step, affine.zero_point, affine.error) == (1.0, -8, 0.0)


@pytest.mark.skipif(not DATA.is_file(), reason="shared/data/mlperf_tiny is not here")
def test_real_weights_against_a_fine_scan():
    with np.load(DATA, allow_pickle=False) as stored:
        weights = max((stored[name] for name in stored.files if stored[name].ndim == 4), key=lambda w: w.size)
    values = weights.astype(np.float64).ravel()
    found = minimum_mse(weights, 4)
    steps = np.linspace(0.8, 1.2, 401) * found.step
    errors = [np.mean((values - np.clip(np.rint(values / s), -7, 7) * s) ** 2) for s in steps]
    assert_same(got=np.array(found.error <= min(errors) * (1 + 1e-12)), expected=np.array(True))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros(0), 2), ValueError, "minimum_mse: values has shape (0,), no values; pass at least one"),
        (([[1.0, np.nan]], 2), ValueError, "minimum_mse: values[0, 1]=nan is no number"),
        (([1.0, -np.inf], 2), ValueError, "minimum_mse: values[1]=-inf is infinite"),
        (([1, 2], 2), TypeError, "minimum_mse: values has dtype int64; pass float16, float32 or float64"),
        (([1.0], 1), ValueError, "minimum_mse: bits=1 is outside 2..12"),
        (([1.0], 13), ValueError, "minimum_mse: bits=13 is outside 2..12"),
        (([1.0], 2.0), TypeError, "minimum_mse: bits=2.0 is not an integer"),
        (([1e200], 2), ValueError, "outside 2**-400..2**400; scale them"),
        (([1.0, 1e-200], 2), ValueError, "minimum_mse: values has magnitudes 1e-200..1.0 outside"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error) as caught:
        minimum_mse(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_grid_and_too_many_values():
    with pytest.raises(ValueError, match=r"minimum_mse: grid='odd' is unknown; legal: int, zero, even, unsigned"):
        minimum_mse([1.0], 2, grid="odd")
    with pytest.raises(ValueError, match=r"minimum_mse: grid=\['zero'\] is unknown"):
        minimum_mse([1.0], 2, grid=["zero"])
    many = np.broadcast_to(np.float32(1), (1 << 29) + 1)
    with pytest.raises(ValueError, match="values has 536870913 values, too many for codes up to 4097"):
        _checked("minimum_mse", many, "values", 4097)
    with pytest.raises(ValueError, match=r"minimum_affine_mse: bits=0 is outside 1..8"):
        minimum_affine_mse([1.0], 0)
