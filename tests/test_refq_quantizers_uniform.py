"""fit_uniform against its definition one number at a time: ranges, zero points, channels, percentiles, bad input."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from refq_cases import assert_same

from refq.formats import Rounding
from refq.quantizers.apply import dequantize, quantize
from refq.quantizers.grids import line_cuts
from refq.quantizers.mse import minimum_affine_mse, minimum_mse
from refq.quantizers.quantizer import one_channel
from refq.quantizers.uniform import fit_uniform
from refq.spec.quantizers import uniform as spec

TENSORS = {
    "both signs": [-1.0, 0.25, 2.0, -0.3],
    "positive": [0.5, 3.0, 1.0],
    "negative": [-0.5, -3.0],
    "constant": [0.1, 0.1],
    "zeros": [0.0, -0.0],
    "one": [-7.0],
    "ties of the zero point": [-0.5, 2.5],
    "extremes": [1e-300, -1e300],
}


def exact(values):
    return [Fraction(float(x)) for x in values]


def expected_line(values, bits, signed, symmetric, percentile):
    lowest, highest = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if symmetric:
        return spec.symmetric_step(exact(values), highest, signed, percentile), 0, -highest * signed, highest
    return *spec.affine_line(exact(values), lowest, highest, percentile), lowest, highest


@pytest.mark.parametrize("name", TENSORS)
def test_lines_and_codes_of_every_form(name):
    values = np.array(TENSORS[name])
    for bits, signed, symmetric in product((1, 2, 3, 8), (True, False), (True, False)):
        if bits == 1 and signed and symmetric:
            continue
        got = fit_uniform(values, bits, signed=signed, symmetric=symmetric)
        step, zero, lowest, highest = expected_line(values, bits, signed, symmetric, Fraction(100))
        assert (got.step.tolist(), got.zero_point.tolist()) == ([step], [zero])
        assert (got.lowest, got.highest, got.encoding.name) == (lowest, highest, f"{'' if signed else 'u'}int{bits}")
        halves = [(j + 0.5) * step for j in range(lowest - zero - 1, highest - zero + 1)][:9]
        points = np.array([*values, *halves, *np.nextafter(halves, np.inf), *np.nextafter(halves, -np.inf)])
        codes = [spec.code(x, step, zero, lowest, highest, Rounding.TIES_EVEN) for x in exact(points)]
        assert_same(got=quantize(points, got), expected=np.array(codes, "int8" if signed else "uint8"))


@pytest.mark.parametrize("rounding", list(Rounding))
def test_every_rounding_on_ties(rounding):
    points = np.arange(-20, 21) / 4.0
    for symmetric in (True, False):
        got = fit_uniform(np.array([-1.5, 2.0]), 3, symmetric=symmetric, rounding=rounding)
        step, zero, lowest, highest = expected_line([-1.5, 2.0], 3, True, symmetric, Fraction(100))
        codes = [spec.code(x, step, zero, lowest, highest, rounding) for x in exact(points)]
        assert_same(got=quantize(points, got), expected=np.array(codes, np.int8))


def test_zero_is_exact_and_the_zero_point_rounds_half_to_even():
    quantizer = fit_uniform(np.array([-0.5, 2.5]), 2, signed=False, symmetric=False)
    assert (quantizer.step[0], quantizer.zero_point[0]) == (1.0, 0)
    assert fit_uniform(np.array([-1.5, 1.5]), 2, signed=False, symmetric=False).zero_point[0] == 2
    for values in TENSORS.values():
        quantizer = fit_uniform(np.array(values), 8, symmetric=False)
        assert dequantize(quantize(np.zeros(1), quantizer), quantizer).tolist() == [0.0]


def test_against_the_worked_example_of_onnx():
    """DynamicQuantizeLinear, ONNX operator tests: zero point 153, scale 5 / 255 as the float32 0.0196078438.

    -2.5 and 0.5 lie halfway between codes there: with the float64 step and with the float32 one they differ.
    """
    values = np.array([0, 2, -3, 1.34], np.float32)
    quantizer = fit_uniform(values, 8, signed=False, symmetric=False)
    assert (np.float32(quantizer.step[0]), quantizer.zero_point[0]) == (np.float32(0.019607844), 153)
    assert quantize(values, quantizer).tolist() == [153, 255, 0, 221]
    halves = np.array([-2.5, 0.5])
    assert quantize(halves, quantizer).tolist() == [25, 179]
    cuts = line_cuts(Fraction(float(np.float32(quantizer.step[0]))), Rounding.TIES_EVEN, -153, 102)
    assert quantize(halves, replace(quantizer, cuts=one_channel(cuts))).tolist() == [26, 178]
    positive = np.array([1, 2.1, 1.3, 2.5, 3.34, 4.0, 1.5, 2.6, 3.9, 4.0, 3.0, 2.345], np.float32)
    assert fit_uniform(positive, 8, signed=False, symmetric=False).zero_point.tolist() == [0]


@pytest.mark.parametrize("share", [99.9, 50, 25.0, Fraction(100, 3), 0.1, 100, np.float32(12.5)])
def test_percentiles_are_nearest_ranks(share):
    random = np.random.default_rng(11)
    values = np.round(random.normal(size=1000), 1)
    for signed, symmetric in product((True, False), (True, False)):
        got = fit_uniform(values, 4, signed=signed, symmetric=symmetric, choose="percentile", percentile=share)
        step, zero, *_ = expected_line(values, 4, signed, symmetric, Fraction(str(share)))
        assert (got.step.tolist(), got.zero_point.tolist()) == ([step], [zero])


def test_a_percentile_is_the_decimal_it_prints_as():
    values = np.arange(1.0, 1001.0)
    assert fit_uniform(values, 2, choose="percentile").step.tolist() == [999.0]
    assert fit_uniform(values, 2, choose="percentile", percentile=100).step.tolist() == [1000.0]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("choose", ["minmax", "percentile", "mse"])
def test_channels_are_tensors_of_their_own(axis, choose):
    values = np.random.default_rng(3).normal(size=(3, 4, 5))
    for symmetric in (True, False):
        whole = fit_uniform(values, 3, symmetric=symmetric, axis=axis, choose=choose, percentile=80)
        codes = quantize(values, whole)
        for c in range(values.shape[axis]):
            one = np.take(values, c, axis)
            alone = fit_uniform(one, 3, symmetric=symmetric, choose=choose, percentile=80)
            assert_same(got=whole.cuts[c], expected=alone.cuts[0])
            assert (whole.step[c], whole.zero_point[c]) == (alone.step[0], alone.zero_point[0])
            assert_same(got=np.take(codes, c, axis), expected=quantize(one, alone))


def test_mse_is_the_exact_optimum():
    values = np.random.default_rng(4).laplace(size=500)
    for signed, grid in ((True, "zero"), (False, "unsigned")):
        assert fit_uniform(values, 4, signed=signed, choose="mse").step[0] == minimum_mse(values, 4, grid=grid).step
        found = minimum_affine_mse(values, 3, signed=signed)
        got = fit_uniform(values, 3, signed=signed, symmetric=False, choose="mse")
        assert (got.step[0], got.zero_point[0]) == (found.step, found.zero_point)
        worse = fit_uniform(values, 3, signed=signed, symmetric=False)
        errors = [np.mean((dequantize(quantize(values, q), q) - values) ** 2) for q in (got, worse)]
        assert errors[0] < errors[1]
        assert abs(errors[0] - found.error) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([], 8), {}, ValueError, "fit_uniform: values has shape (0,), no values; pass at least one"),
        (([np.nan], 8), {}, ValueError, "fit_uniform: values[0]=nan is no number; remove or replace it"),
        (([1.0, np.inf], 8), {}, ValueError, "fit_uniform: values[1]=inf is infinite; clip it first"),
        (([1], 8), {}, TypeError, "fit_uniform: values has dtype int64"),
        (([1.0], 1), {}, ValueError, "fit_uniform: bits=1 is outside 2..16"),
        (([1.0], 17), {"signed": False}, ValueError, "fit_uniform: bits=17 is outside 1..16"),
        (([1.0], True), {}, TypeError, "fit_uniform: bits=True is not an integer"),
        (([1.0], 8), {"choose": "best"}, ValueError, "choose='best' is unknown; legal: minmax, percentile, mse"),
        (([1.0], 8), {"choose": "percentile", "percentile": 0}, ValueError, "percentile=0 is outside 0 < percentile"),
        (([1.0], 8), {"choose": "percentile", "percentile": np.nan}, ValueError, "percentile=nan is outside"),
        (([1.0], 8), {"choose": "percentile", "percentile": "9"}, TypeError, "percentile='9' is not a number"),
        (([1.0], 8), {"choose": "mse", "rounding": Rounding.FLOOR}, ValueError, "rounding=FLOOR is not to nearest"),
        (([1.0], 8), {"rounding": 99}, ValueError, "fit_uniform: rounding=99 is no Rounding; legal: FLOOR"),
        (([1.0], 8), {"axis": 1}, ValueError, "fit_uniform: axis=1 is outside -1..0"),
        ((np.float64(1.0), 8), {"axis": 0}, ValueError, "fit_uniform: axis=0 of a tensor without axes"),
        (([5e-324], 8), {}, ValueError, "values have a range whose step is no float64 > 0; scale them first"),
        (([1.7e308, -1.7e308], 1), {"symmetric": False}, ValueError, "whose step is no float64 > 0"),
    ],
)
def test_bad_input(arguments, options, error, message):
    with pytest.raises(error) as caught:
        fit_uniform(*arguments, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
