"""The loss of a tensor against the definition, and the table of all methods against what each must be at best."""

from dataclasses import replace
from fractions import Fraction
from math import inf, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK

from refq.encodings import Encoding, Kind
from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.error import best_factor, level_values, quantization_error
from refq.quantizers.error_table import METHODS, error_table, grid_of
from refq.quantizers.lane_sums import BLOCK, magnitude_and_square_sums
from refq.quantizers.mse import minimum_mse
from refq.quantizers.quantizer import Quantizer
from refq.quantizers.sawb import fit_sawb
from refq.spec.quantizers import error as spec

TWO_CHANNELS = Quantizer(
    "made", Encoding(2, Kind.SIGNED), -2, np.array([[-1.5, -0.5, 0.5], [-3.0, -1.0, 1.0]]), np.array([1.0, 2.0]),
    np.array([0, 1]), axis=1,
)  # fmt: skip
ONE_CHANNEL = Quantizer(
    "made", Encoding(2), 0, np.array([[0.25, 0.75, 1.25]]), np.array([0.5]), np.array([0]), None
)  # fmt: skip


def defined(x, quantizer):
    """The loss by the definition, one number at a time."""
    codes = quantize(x, quantizer)
    values, quantized = x.astype(np.float64).ravel().tolist(), dequantize(codes, quantizer).ravel().tolist()
    largest, place = spec.maximum_error(values, quantized)
    return (
        x.size, spec.mean_squared_error(values, quantized), largest,
        tuple(int(i) for i in np.unravel_index(place, x.shape)), quantizer.levels, len(set(codes.ravel().tolist())),
        spec.entropy(codes.ravel().tolist()),
    )  # fmt: skip


def given_by(loss):
    return (
        loss.count,
        loss.mean_squared_error,
        loss.maximum_error,
        loss.place,
        loss.levels,
        loss.used_levels,
        loss.entropy,
    )


def test_by_hand():
    x = np.array([[0.0, 0.25, 1.0], [2.0, -0.5, 0.5]])
    # codes 0 1 2 3 0 1, values 0 .5 1 1.5 0 .5, errors 0 -.25 0 .5 -.5 0
    loss = quantization_error(x, ONE_CHANNEL)
    assert given_by(loss) == (6, 0.5625 / 6, 0.5, (1, 0), 4, 4, loss.entropy)
    assert abs(loss.entropy - (2 / 3 * log2(3) + 1 / 3 * log2(6))) < 1e-15
    assert quantization_error(np.array(0.125), ONE_CHANNEL).place == ()


def test_channels_by_hand():
    x = np.array([[0.4, -5.0], [-2.0, 3.5]])
    # codes 0 -2 / -2 1, values 0 -6 / -2 0: (code - zero_point) * step
    assert dequantize(quantize(x, TWO_CHANNELS), TWO_CHANNELS).tolist() == [[0, -6], [-2, 0]]
    assert given_by(quantization_error(x, TWO_CHANNELS)) == defined(x, TWO_CHANNELS)
    assert quantization_error(x, TWO_CHANNELS).place == (1, 1)


def test_the_first_place_of_the_largest_error():
    for values, place in (([2.0, -0.5], (0,)), ([-0.5, 2.0], (0,)), ([0.0, 2.0, 2.0, -0.5], (1,)), ([0.5, 0.0], (0,))):
        x = np.array(values)
        assert quantization_error(x, ONE_CHANNEL).place == place == defined(x, ONE_CHANNEL)[3]
    x = np.zeros((2, 2, 3))
    x[0, 1, 2] = x[1, 0, 0] = 9.0
    assert quantization_error(x, replace(TWO_CHANNELS, step=np.ones(2), zero_point=np.zeros(2, np.int64))).place == (
        0,
        1,
        2,
    )


def test_layouts_dtypes_and_blocks_equal_the_definition():
    rng = np.random.default_rng(7)
    base = rng.normal(size=(5, 2, 7)) * 2
    locked = base.copy()
    locked.flags.writeable = False
    for x in (base, base.astype(np.float16), base.astype(np.float32), base.astype(">f8"), base[:, :, ::2], locked):
        for fit in (TWO_CHANNELS, ONE_CHANNEL, fit_sawb(base, 3)):
            assert given_by(quantization_error(x, fit)) == defined(
                np.ascontiguousarray(x.astype(x.dtype.newbyteorder("="))), fit
            )
    long = rng.normal(size=BLOCK + 5).astype(np.float32)
    loss = quantization_error(long, ONE_CHANNEL)
    parts = [quantization_error(part, ONE_CHANNEL) for part in (long[:BLOCK], long[BLOCK:])]
    assert loss.maximum_error == max(part.maximum_error for part in parts)
    total = sum(Fraction(part.mean_squared_error) * part.count for part in parts) / loss.count
    assert abs(Fraction(loss.mean_squared_error) / total - 1) < Fraction(1, 1 << 51)
    assert quantization_error(long[::-1], ONE_CHANNEL).mean_squared_error == loss.mean_squared_error


@QUICK
@given(st.lists(st.floats(-4, 4), min_size=1, max_size=20), st.sampled_from([1, 2, 3]))
def test_any_tensor_equals_the_definition(values, bits):
    x = np.array(values)
    if x.any() and np.abs(x).max() < 1e-100:
        return
    fit = fit_sawb(x, bits)
    assert given_by(quantization_error(x, fit)) == defined(x, fit)
    assert quantization_error(x, fit).entropy <= bits


@pytest.mark.parametrize("size", [1e-170, 5e-324, 0.0])
def test_sums_that_pairs_of_floats_cannot_decide(size):
    """Squares below 2**-800, and below every float64: in integers, which takes a moment, not a minute."""
    x = np.full(10**6, size)
    magnitudes, squares = magnitude_and_square_sums(x)
    assert (magnitudes, squares) == (float(10**6 * Fraction(size)), float(10**6 * Fraction(size) ** 2))


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (np.zeros((0, 2)), ValueError, r"quantization_error: values has shape \(0, 2\), no values"),
        (np.array([0.0, np.nan]), ValueError, r"quantization_error: values\[1\]=nan is no number"),
        (np.array([-inf]), ValueError, r"quantization_error: values\[0\]=-inf is infinite; clip it first"),
        (np.arange(3), TypeError, "quantization_error: values has dtype int64"),
        (np.array([1e300]), ValueError, r"quantization_error: maximum error 1e\+300 is beyond 2\*\*400; scale values"),
    ],
)
def test_refused(values, error, words):
    with pytest.raises(error, match=words):
        quantization_error(values, ONE_CHANNEL)


def test_channels_must_match():
    with pytest.raises(ValueError, match=r"quantization_error: shape \(3,\) has not 2 channels on axis 1"):
        quantization_error(np.zeros(3), TWO_CHANNELS)
    with pytest.raises(ValueError, match="best_factor: quantizer has an axis; pass one of a single channel"):
        best_factor(np.zeros((2, 2)), TWO_CHANNELS)


def test_the_best_factor_is_least_squares():
    x = np.array([0.0, 0.25, 1.0, 2.0, -0.5, 0.5])
    q = dequantize(quantize(x, ONE_CHANNEL), ONE_CHANNEL)
    factor = best_factor(x, ONE_CHANNEL)
    assert factor == float((x * q).sum() / (q * q).sum())
    least = quantization_error(x, replace(ONE_CHANNEL, step=ONE_CHANNEL.step * factor)).mean_squared_error
    for other in (0.9 * factor, 1.1 * factor, 1.0):
        step = ONE_CHANNEL.step * other
        assert quantization_error(x, replace(ONE_CHANNEL, step=step)).mean_squared_error > least
    assert best_factor(np.zeros(3), ONE_CHANNEL) == 1.0
    assert level_values(ONE_CHANNEL).tolist() == [0, 0.5, 1, 1.5]


@pytest.fixture(scope="module")
def gaussian():
    return np.random.default_rng(11).normal(size=4096).astype(np.float32)


def test_every_method_beside_its_optimum(gaussian):
    rows = error_table(gaussian, [2, 3])
    names = [method.name for method in METHODS if method.highest_bits > 1]
    assert [row.method for row in rows if row.bits == 2] == names
    for row in rows:
        assert given_by(row.loss) == defined(gaussian, row.quantizer), row.method
        assert row.grid == grid_of(row.quantizer)
        # float64 values of the codes may round below the exact optimum by a last place
        assert row.ratio >= 1 - 1e-12, row.method
        assert row.rescaled <= row.loss.mean_squared_error * (1 + 1e-12), row.method
        assert 0 < row.loss.entropy <= row.bits
    by_name = {(row.method, row.bits): row for row in rows}
    for name in ("uniform mse", "affine mse", "ternary mse"):
        assert by_name[name, 2].ratio < 1 + 1e-9
    assert by_name["sawb even", 2].ratio < 1.002
    # papers.md 3.5: N(0, 1), 4096 samples, in bits: balanced nearly all of them, max-scaled ones half
    assert by_name["balanced median", 3].loss.entropy > 2.999 > by_name["balanced mean", 3].loss.entropy > 2.95
    assert by_name["uniform min-max", 2].loss.entropy < 1.2
    # DoReFa has no scale of its own, and max |w| is far too wide a one for balanced bins
    for name in ("dorefa", "balanced mean"):
        assert by_name[name, 2].rescaled < 0.8 * by_name[name, 2].loss.mean_squared_error


def test_the_optimum_is_that_of_minimum_mse(gaussian):
    rows = {row.grid: row for row in error_table(gaussian, [2]) if row.method != "affine min-max"}
    for grid in ("even", "zero"):
        assert rows[grid].optimum == minimum_mse(gaussian, 2, grid=grid).error
    assert grid_of(fit_sawb(gaussian, 2, grid="shifted")) == "int"


def test_tensors_of_zeros_constants_and_one_value():
    for values in (np.zeros(5, np.float32), np.full(3, 2, np.float32), np.array([[-0.5]], np.float32)):
        rows = error_table(values, [1, 2])
        assert len(rows) == 7 + 12
        for row in rows:
            assert row.refused is None
            assert row.optimum == 0
            assert row.ratio is None
            assert row.loss.used_levels == 1
            assert row.loss.entropy == 0
        exact = [row.method for row in rows if row.bits == 2 and row.loss.mean_squared_error == 0]
        assert {"uniform min-max", "uniform mse", "affine mse", "ternary"} <= set(exact)


def test_a_method_that_refuses_says_so():
    (row,) = error_table(
        np.array([1, -2], np.float32), [6], [method for method in METHODS if method.name == "sawb even"]
    )
    assert row.quantizer is row.loss is row.optimum is row.ratio is None
    assert row.refused.startswith("fit_sawb: bits=6, grid='even' is not in coefficients='ibm'")
    with pytest.raises(ValueError, match=r"error_table: bits\[1\]=9 is outside 1\.\.8"):
        error_table(np.ones(2), [2, 9])
    with pytest.raises(ValueError, match=r"error_table: values has shape \(0,\), no values"):
        error_table(np.zeros(0), [2])
    assert error_table(np.ones(2), []) == ()
