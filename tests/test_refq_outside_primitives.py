"""Fixed-point primitives against tables that gemmlowp, TFLM, AArch64 and the TOSA reference model computed."""

from fractions import Fraction

import numpy as np
import outside
import pytest
from refq_cases import assert_same

from refq import FixedScale, Rounding, derive, high_multiply, shift_right
from refq.spec import fixedpoint, rounding

FILES = [
    "qnnpack_requant.npz",
    "quantize_multiplier.npz",
    "requant_q31.npz",
    "requant_s64_reduced.npz",
    "rounding_shift_right_i32.npz",
    "srdhm_i16.npz",
    "srdhm_i32.npz",
    "tosa_apply_scale.npz",
    "xnnpack_requant.npz",
]


def test_every_file_is_the_one_of_the_manifest():
    listed = {v["file"]: v for v in outside.manifest("primitives")["vectors"]}
    assert sorted(listed) == FILES
    for file, entry in listed.items():
        assert outside.sha256("primitives", file) == entry["sha256"]
        shapes = {
            name: [array.dtype.name, list(array.shape)] for name, array in outside.arrays("primitives", file).items()
        }
        assert shapes == entry["arrays"]


@pytest.mark.parametrize(("file", "bits"), [("srdhm_i32.npz", 32), ("srdhm_i16.npz", 16)])
def test_saturating_rounding_doubling_high_multiply(file, bits):
    table = outside.arrays("primitives", file)
    assert_same(got=high_multiply(table["a"], table["b"], bits), expected=table["srdhm"])


def test_sqdmulh_is_the_high_multiply_that_floors():
    table = outside.arrays("primitives", "srdhm_i32.npz")
    assert_same(got=high_multiply(table["a"], table["b"], 32, Rounding.FLOOR), expected=table["sqdmulh"])


def by_shift(column):
    table = outside.arrays("primitives", "rounding_shift_right_i32.npz")
    for exponent in np.unique(table["exponent"]):
        rows = table["exponent"] == exponent
        yield table["x"][rows], int(exponent), table[column][rows].astype(np.int64)


@pytest.mark.parametrize(
    ("column", "rule"),
    [("away", Rounding.TIES_AWAY), ("neon_fixup", Rounding.TIES_AWAY), ("half_up", Rounding.TIES_UP)],
)
def test_rounding_shift_right(column, rule):
    compared = sum(assert_same(got=shift_right(x, e, rule), expected=expected) for x, e, expected in by_shift(column))
    assert compared == 61286


def test_rounding_shift_right_of_the_definition():
    for x, e, expected in by_shift("away"):
        got = [rounding.shift_right(int(v), e, Rounding.TIES_AWAY) for v in x[::16]]
        assert_same(got=np.array(got), expected=expected[::16])


@pytest.mark.parametrize(("derivation", "build"), [("q31", ""), ("q31_saturated", "_single")])
def test_quantize_multiplier(derivation, build):
    table = outside.arrays("primitives", "quantize_multiplier.npz")
    positive = table["scale"] > 0
    found = [derive(float(scale), derivation) for scale in table["scale"][positive]]
    expected = np.stack([table["multiplier" + build], 31 - table["shift" + build]], axis=1)[positive]
    assert_same(got=np.array([(f.multiplier, f.shift) for f in found], np.int32), expected=expected)


def test_quantize_multiplier_of_zero_is_zero_in_the_definition_and_refused_by_derive():
    table = outside.arrays("primitives", "quantize_multiplier.npz")
    zero = table["scale"] == 0
    assert zero.sum() == 1
    assert (int(table["multiplier"][zero][0]), 31 - int(table["shift"][zero][0])) == (0, 31)
    assert fixedpoint.quantize_multiplier(Fraction(0)) == FixedScale(0, 31)
    with pytest.raises(ValueError, match=r"derive: scale=0\.0 is not positive"):
        derive(0.0)


def test_reciprocal_scale_of_every_divisor():
    table = outside.arrays("primitives", "tosa_apply_scale.npz")
    found = [fixedpoint.reciprocal_scale(int(n)) for n in table["recip_value"]]
    expected = np.stack([table["recip_mult"], table["recip_shift"]], axis=1)
    assert_same(got=np.array([(f.multiplier, f.shift) for f in found], np.int32), expected=expected)
