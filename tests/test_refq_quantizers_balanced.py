"""Balanced quantization: worked codes, entropy, layouts of arrays, bad input."""

import re
from fractions import Fraction

import numpy as np
import pytest
from balanced_cases import GAUSS, WORKED, entropy, levels, plain_uniform
from outside import arrays
from refq_cases import assert_same

from refq.quantizers.apply import dequantize, thresholds
from refq.quantizers.balanced import balanced_codes, fit_balanced
from refq.quantizers.quantizer import first_float
from refq.spec.quantizers import balanced as spec


@pytest.mark.parametrize(
    ("bits", "split", "codes", "expected"),
    [
        # papers.md 3.2, typed in
        (2, "mean", "leaf", [0, 0, 1, 1, 1, 1, 2, 2, 2, 3]),
        (2, "mean", "literal", [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]),
        (2, "median", "leaf", [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]),
        (2, "median", "literal", [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]),
        (1, "mean", "literal", [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),
        (1, "median", "literal", [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]),
        # by hand: the mean is 1.7, the median's upper half starts at 1
        (1, "mean", "leaf", [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]),
        (1, "median", "leaf", [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
    ],
)
def test_worked_lists(bits, split, codes, expected):
    for dtype in (np.float16, np.float32, np.float64):
        assert_same(levels(WORKED.astype(dtype), bits, split=split, codes=codes), np.array(expected))
    assert spec.levels(WORKED.tolist(), bits, split=split, codes=codes) == expected


def test_record_and_values():
    codes, quantizer = balanced_codes(WORKED, 2)
    assert (quantizer.method, quantizer.encoding.name, quantizer.lowest, quantizer.axis) == (
        "balanced",
        "odd2",
        -3,
        None,
    )
    assert dict(quantizer.parameters) == {"split": "mean", "codes": "leaf", "scale": 20.0, "tied": 0}
    assert_same(quantizer.step, np.array([20 / 3]))
    assert_same(dequantize(codes, quantizer), codes * (20 / 3))
    assert_same(thresholds(quantizer), np.array([[first_float(Fraction(-13, 6), True), 1.7000000000000002, 7.5]]))
    assert fit_balanced(WORKED, 1).encoding.name == "bipolar"


@pytest.mark.parametrize(("bits", "dtype"), [(1, np.int8), (7, np.int8), (8, np.int16), (15, np.int16), (16, np.int32)])
def test_many_bits_on_few_values(bits, dtype):
    codes, quantizer = balanced_codes(np.arange(5, dtype=np.float32), bits)
    assert_same(codes, np.array(spec.codes_of(spec.levels([0, 1, 2, 3, 4], bits), bits), dtype))
    assert quantizer.cuts.shape == (1, (1 << bits) - 1)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("split", ["mean", "median"])
def test_literal_moves_one_number_a_leaf(bits, split):
    moved = levels(GAUSS[0], bits, split=split) - levels(GAUSS[0], bits, split=split, codes="literal")
    assert int(moved.sum()) == np.count_nonzero(moved) == {2: 3, 3: 7, 4: 15}[bits]


@pytest.mark.parametrize(("bits", "mean", "uniform"), [(2, 1.983, 1.095), (3, 2.969, 2.016), (4, 3.963, 3.055)])
def test_entropy_of_gaussian_samples(bits, mean, uniform):
    for values in GAUSS.values():
        assert abs(entropy(balanced_codes(values, bits)[0]) - mean) < 0.005
        assert entropy(balanced_codes(values, bits, split="median")[0]) == bits
        assert abs(entropy(plain_uniform(values, bits)) - uniform) < 0.07


def test_entropy_of_real_weights():
    kernels = [v for name, v in arrays("mlperf_tiny", "resnet8_float.npz").items() if name.endswith("kernel")]
    assert len(kernels) == 10
    for weights in kernels:
        for bits in (2, 3, 4):
            median = entropy(balanced_codes(weights, bits, split="median")[0])
            mean = entropy(balanced_codes(weights, bits)[0])
            assert bits - 0.001 < median <= bits
            assert bits - 0.1 < mean < median
            assert entropy(plain_uniform(weights, bits)) < mean - 0.3


def test_layouts_of_arrays():
    grid = np.random.default_rng(3).standard_normal((6, 8)).astype(np.float32)
    expected = balanced_codes(np.ascontiguousarray(grid[::2, ::-1]), 2, split="median")[0]
    assert_same(balanced_codes(grid[::2, ::-1], 2, split="median")[0], expected)
    assert_same(balanced_codes(np.asfortranarray(grid[::2, ::-1]), 2, split="median")[0], expected)
    assert_same(balanced_codes(grid[::2, ::-1].astype(">f4"), 2, split="median")[0], expected)
    frozen = grid[::2, ::-1].astype(np.float64)
    frozen.flags.writeable = False
    assert_same(balanced_codes(frozen, 2, split="median")[0], expected)
    before = frozen.copy()
    assert_same(balanced_codes(np.float32(3), 2)[0], np.array(3, np.int8))
    assert_same(frozen, before)
    half = grid.astype(np.float16)
    assert_same(balanced_codes(half, 3)[0], balanced_codes(half.astype(np.float64), 3)[0])


@pytest.mark.parametrize("function", [fit_balanced, balanced_codes])
@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"values": [1, 2]}, TypeError, "values has dtype int64; pass float16, float32 or float64"),
        ({"values": np.zeros((0, 3))}, ValueError, "values has shape (0, 3), no values; pass at least one"),
        ({"values": [[0.0, 1.0], [np.nan, 1.0]]}, ValueError, "values[1, 0]=nan is no number; remove or replace it"),
        ({"values": np.array([0, np.inf], np.float32)}, ValueError, "values[1]=inf is infinite; clip it first"),
        ({"values": [-np.inf, 0.0]}, ValueError, "values[0]=-inf is infinite; clip it first"),
        ({"values": np.array([0, -np.nan], np.float32)}, ValueError, "values[1]=nan is no number"),
        ({"bits": 0}, ValueError, "bits=0 is outside 1..16"),
        ({"bits": 17}, ValueError, "bits=17 is outside 1..16"),
        ({"bits": 2.0}, TypeError, "bits=2.0 is not an integer; pass 1..16"),
        ({"bits": True}, TypeError, "bits=True is not an integer; pass 1..16"),
        ({"split": "mode"}, ValueError, "split='mode' is unknown; pass 'mean' or 'median'"),
        ({"split": 1}, TypeError, "split=1 is not a string; pass 'mean' or 'median'"),
        ({"codes": "paper"}, ValueError, "codes='paper' is unknown; pass 'leaf' or 'literal'"),
        ({"codes": None}, TypeError, "codes=None is not a string; pass 'leaf' or 'literal'"),
    ],
)
def test_bad_input(function, arguments, kind, message):
    given_arguments = {"values": [1.0, 2.0], "bits": 2} | arguments
    with pytest.raises(kind, match=re.escape(f"{function.__name__}: {message}")):
        function(**given_arguments)
