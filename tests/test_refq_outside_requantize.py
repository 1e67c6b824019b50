"""requantize against tables computed by TFLM, CMSIS-NN, the TOSA reference model, QNNPACK and XNNPACK.

One row is one channel: its own multiplier and shift. TFLite's left shift s is a right shift of 31 - s here.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import outside
import pytest
from refq_cases import assert_same

from refq import INT8, INT32, RULES, UINT8, FixedScale, derive, requantize
from refq.spec.fixedpoint import reduce_multiplier


def tflite(table) -> list[FixedScale]:
    return [FixedScale(int(m), 31 - int(s)) for m, s in zip(table["multiplier"], table["shift"], strict=True)]


def reduced(table) -> list[FixedScale]:
    return [reduce_multiplier(fixed) for fixed in tflite(table)]


ROWS: list[tuple[str, str, str, Callable[..., list[FixedScale]]]] = [
    ("requant_q31.npz", "double", "gemmlowp_double", tflite),
    ("requant_q31.npz", "single", "single_up", tflite),
    ("requant_q31.npz", "double_up", "double_up", tflite),
    ("requant_s64_reduced.npz", "out", "reduced_int64", reduced),
    ("requant_s64_reduced.npz", "cmsis", "reduced_int64_halved", reduced),
]


@pytest.mark.parametrize(("file", "column", "rule", "scales"), ROWS, ids=[row[1] for row in ROWS])
def test_multiply_by_quantized_multiplier(file, column, rule, scales):
    table = outside.arrays("primitives", file)
    got = requantize(table["x"], rule, scales(table), fmt=INT32, axis=0)
    assert_same(got=got, expected=table[column])


def test_tflite_rows_inside_the_tosa_domain():
    table = outside.arrays("primitives", "requant_q31.npz")
    inside = table["tosa_valid"] == 1
    assert inside.sum() > 70000
    compared = 0
    for shift in np.unique(table["shift"][inside]):
        rows = inside & (table["shift"] == shift)
        scales = [FixedScale(int(m), 31 - int(shift)) for m in table["multiplier"][rows]]
        got = requantize(table["x"][rows], "tosa_scale32_double", scales, fmt=INT32, axis=0)
        compared += assert_same(got=got, expected=table["double"][rows])
    assert compared == inside.sum()


TOSA = [
    ("tosa_scale32_single", "x32", "mult32", "single", "ok_single"),
    ("tosa_scale32_double", "x32", "mult32", "double", "ok_double"),
    ("tosa_scale16", "x48", "mult16", "out16", "ok16"),
]


@pytest.mark.parametrize(("rule", "x", "multiplier", "out", "ok"), TOSA)
def test_tosa_apply_scale(rule, x, multiplier, out, ok):
    table = outside.arrays("primitives", "tosa_apply_scale.npz")
    legal, compared = table[ok] == 1, 0
    for shift in np.unique(table["shift"][legal]):
        rows = legal & (table["shift"] == shift)
        scales = [FixedScale(int(m), int(shift)) for m in table[multiplier][rows]]
        got = requantize(table[x][rows], rule, scales, fmt=INT32, axis=0)
        compared += assert_same(got=got, expected=table[out][rows])
    assert compared == legal.sum()


@pytest.mark.parametrize(("rule", "ok"), [("tosa_scale32_single", "ok_single"), ("tosa_scale32_double", "ok_double")])
def test_rows_that_violate_the_tosa_requirement_are_refused(rule, ok):
    table = outside.arrays("primitives", "tosa_apply_scale.npz")
    illegal = np.flatnonzero(table[ok] == 0)
    assert illegal.size > 9000
    for row in illegal:
        fixed = FixedScale(int(table["mult32"][row]), int(table["shift"][row]))
        with pytest.raises(ValueError, match=r"is outside"):
            requantize(table["x32"][row], rule, fixed, fmt=INT32)


def test_scale16_rows_marked_illegal_have_a_bad_shift_or_leave_int32():
    # TOSA leaves a result outside int32 open; ours wraps it, as an int32 register would
    table = outside.arrays("primitives", "tosa_apply_scale.npz")
    illegal = np.flatnonzero(table["ok16"] == 0)
    assert illegal.size > 5000
    for row in illegal:
        x, m, shift = (int(table[name][row]) for name in ("x48", "mult16", "shift"))
        if not 2 <= shift <= 62:
            with pytest.raises(ValueError, match=rf"shift={shift} is outside 2\.\.62"):
                requantize(x, "tosa_scale16", FixedScale(m, shift), fmt=INT32)
            continue
        exact = (x * m + (1 << (shift - 1))) >> shift
        assert not INT32.qmin <= exact <= INT32.qmax
        wrapped = (exact + (1 << 31)) % (1 << 32) - (1 << 31)
        assert int(requantize(x, "tosa_scale16", FixedScale(m, shift), fmt=INT32)) == wrapped


@pytest.mark.parametrize(
    ("column", "rule"), [("fp32", "float32_ties_even"), ("q31", "qnnpack_q31"), ("precise", "qnnpack_precise")]
)
def test_qnnpack(column, rule):
    table = outside.arrays("primitives", "qnnpack_requant.npz")
    got = requantize(table["acc"], rule, table["scale"], zero_point=table["zero_point"], fmt=UINT8, axis=0)
    assert_same(got=got, expected=table[column])


XNNPACK = [
    ("fp32_s8", "float32_ties_even", "zp_s8", INT8),
    ("fp32_u8", "float32_ties_even", "zp_u8", UINT8),
    ("rndnu_s8", "xnnpack_rndnu", "zp_s8", INT8),
    ("rndnu_u8", "xnnpack_rndnu", "zp_u8", UINT8),
    ("rndnu16_u8", "xnnpack_rndnu16", "zp_u8", UINT8),
]


@cache
def xnnpack_scales(derivation):
    """The float's own significand as XNNPACK takes it from the bits: 24 bits, or rounded up to 15 and renormalized."""
    scales = outside.arrays("primitives", "xnnpack_requant.npz")["scale"]
    if derivation == "float32":
        return scales
    fractions, exponents = np.frexp(scales)
    mantissas = np.ldexp(fractions, 24).astype(np.int64)
    if derivation == "mantissa24":
        return [FixedScale(int(m) << 7, 31 - int(e)) for m, e in zip(mantissas, exponents, strict=True)]
    short = (mantissas + 256) >> 9
    over = short == 1 << 15
    pairs = zip(np.where(over, 1 << 14, short), 15 - exponents - over, strict=True)
    return [FixedScale(int(m), int(shift)) for m, shift in pairs]


def check_xnnpack(column, rule, zero_point, fmt, stride):
    table = outside.arrays("primitives", "xnnpack_requant.npz")
    scales = xnnpack_scales(RULES[rule].derivation.value)[::stride]
    zeros = table[zero_point][::stride]
    got = requantize(table["acc"][::stride], rule, scales, zero_point=zeros, fmt=fmt, axis=0)
    assert_same(got=got, expected=table[column][::stride])


@pytest.mark.parametrize("row", XNNPACK, ids=lambda row: row[0])
def test_xnnpack(row):
    # fp32_u8 and rndnu_u8 repeat the accumulators and scales of their signed columns: every third row here, all below
    check_xnnpack(*row, stride=3 if row[0] in ("fp32_u8", "rndnu_u8") else 1)


@pytest.mark.sweep
@pytest.mark.parametrize("row", XNNPACK, ids=lambda row: row[0])
def test_xnnpack_every_row(row):
    check_xnnpack(*row, stride=1)


@pytest.mark.parametrize("derivation", ["mantissa24", "mantissa15"])
def test_derive_takes_the_significand_xnnpack_takes(derivation):
    scales = outside.arrays("primitives", "xnnpack_requant.npz")["scale"]
    got = [derive(scale, derivation) for scale in scales[::6]]
    assert got == xnnpack_scales(derivation)[::6]
