"""shift_right, round_to_integer and narrow equal their definitions: boundary lattice, properties, all small inputs."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, around, assert_same, integers_near, lattice, roundings, stored_dtype, twin

from refq import INT8, INT16, INT32, INT64, UINT8, IntFormat, Overflow, Rounding, narrow, round_to_integer, shift_right
from refq.rounding import REAL_CONSTANTS, add_and_shift, constants, round_real
from refq.spec import rounding as spec

LARGEST = (1 << 62) - 1
SMALL_FORMATS = [
    IntFormat(bits, signed=signed, narrow_range=narrowed)
    for bits in range(1, 7)
    for signed in (True, False)
    for narrowed in (True, False)
]


def shifted(xs, shift, rounding):
    return np.array([spec.shift_right(int(x), shift, rounding) for x in xs], np.int64)


def rounded(xs, rounding):
    return np.array([spec.round_to_integer(Fraction(float(x)), rounding) for x in xs], np.int64)


@pytest.mark.parametrize("rounding", Rounding)
def test_shift_right_at_the_boundaries(rounding):
    for shift in (0, 1, 2, 3, 15, 16, 30, 31, 32, 47, 61, 62):
        ties = [n * (1 << shift) // 2 for n in range(-7, 8)]
        xs = [x for x in [*lattice(-LARGEST, LARGEST), *around(*ties)] if abs(x) <= LARGEST]
        assert_same(got=shift_right(xs, shift, rounding), expected=shifted(xs, shift, rounding))


@QUICK
@given(integers_near(-LARGEST, LARGEST), st.integers(0, 62), roundings)
def test_shift_right_spec_twin_and_compiled(x, shift, rounding):
    expected = spec.shift_right(x, shift, rounding)
    assert twin(add_and_shift)(x, shift, *constants(rounding, shift), 0) == expected
    assert_same(got=shift_right([x], shift, rounding), expected=np.array([expected], np.int64))


@QUICK
@given(integers_near(-(1 << 60), 1 << 60), st.integers(0, 60), roundings, st.integers(-256, 255))
def test_the_offset_is_added_before_the_rounding(x, shift, rounding, offset):
    expected = spec.shift_right(x + (offset << shift), shift, rounding)
    assert twin(add_and_shift)(x, shift, *constants(rounding, shift), offset) + offset == expected
    assert add_and_shift(x, shift, *constants(rounding, shift), offset) + offset == expected


@pytest.mark.parametrize("rounding", Rounding)
def test_shift_right_of_every_small_integer(rounding):
    xs = np.arange(-150, 151)
    for shift in range(9):
        assert_same(got=shift_right(xs, shift, rounding), expected=shifted(xs, shift, rounding))


@pytest.mark.sweep
@pytest.mark.parametrize("rounding", Rounding)
def test_shift_right_of_every_13_bit_integer(rounding):
    xs = np.arange(-(1 << 12), 1 << 12)
    for shift in range(15):
        assert_same(got=shift_right(xs, shift, rounding), expected=shifted(xs, shift, rounding))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_shift_right_takes_every_integer_dtype_and_shape(dtype):
    xs = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    expected = shifted(xs.ravel(), 2, Rounding.TIES_EVEN).reshape(2, 3, 4)
    assert_same(got=shift_right(xs, 2, Rounding.TIES_EVEN), expected=expected)
    assert_same(got=shift_right(xs[:, ::2, ::-1], 2, Rounding.TIES_EVEN), expected=expected[:, ::2, ::-1])
    assert_same(got=shift_right(xs[0, 1, 2], 2, Rounding.TIES_EVEN), expected=expected[0, 1, 2])


def hard_floats():
    halves = np.arange(-9, 10) / 2
    below, above = np.nextafter(halves, -np.inf), np.nextafter(halves, np.inf)
    wide = [2.0**k + d for k in (22, 23, 24, 51, 52, 53, 61, 62) for d in (-0.5, 0.0, 0.5) if 2.0**k + d <= 2.0**62]
    tiny = [5e-324, 2.0**-149, 0.49999999999999994, 0.0]
    return np.concatenate([halves, below, above, wide, np.negative(wide), tiny, np.negative(tiny)])


@pytest.mark.parametrize("rounding", Rounding)
def test_round_to_integer_of_hard_floats(rounding):
    xs = hard_floats()
    assert_same(got=round_to_integer(xs, rounding), expected=rounded(xs, rounding))
    single = xs.astype(np.float32)
    single = single[np.abs(single) <= 2.0**62]
    assert_same(got=round_to_integer(single, rounding), expected=rounded(single, rounding))


@QUICK
@given(st.floats(-(2.0**62), 2.0**62), roundings)
def test_round_to_integer_spec_twin_and_compiled(x, rounding):
    expected = spec.round_to_integer(Fraction(x), rounding)
    assert int(twin(round_real)(x, *REAL_CONSTANTS[rounding])) == expected
    assert_same(got=round_to_integer([x], rounding), expected=np.array([expected], np.int64))


@pytest.mark.parametrize("rounding", Rounding)
def test_round_to_integer_of_every_sixteenth(rounding):
    xs = np.arange(-130, 131) / 16
    assert_same(got=round_to_integer(xs, rounding), expected=rounded(xs, rounding))


def test_rint_of_numpy_is_ties_even_and_floor_is_floor():
    xs = hard_floats()
    assert_same(got=round_to_integer(xs, Rounding.TIES_EVEN), expected=np.rint(xs).astype(np.int64))
    assert_same(got=round_to_integer(xs, Rounding.FLOOR), expected=np.floor(xs).astype(np.int64))
    assert_same(got=round_to_integer(xs, Rounding.CEIL), expected=np.ceil(xs).astype(np.int64))
    assert_same(got=round_to_integer(xs, Rounding.TOWARD_ZERO), expected=np.trunc(xs).astype(np.int64))


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize("fmt", SMALL_FORMATS, ids=lambda f: f.name)
def test_narrow_to_small_formats(fmt, overflow):
    xs = np.arange(-150, 151)
    if overflow == Overflow.WRAP and fmt.narrow_range:
        with pytest.raises(ValueError, match=f"narrow: overflow=WRAP has no meaning for {fmt.name}"):
            narrow(xs, fmt, overflow)
        return
    expected = np.array([spec.narrow(int(x), fmt, overflow) for x in xs], stored_dtype(fmt))
    assert_same(got=narrow(xs, fmt, overflow), expected=expected)


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_narrow_from_every_dtype_to_every_width(dtype, overflow):
    info = np.iinfo(dtype)
    xs = np.array(lattice(int(info.min), int(info.max)), dtype)
    for fmt in (IntFormat(1), INT8, UINT8, INT16, INT32, INT64, IntFormat(63), IntFormat(64, signed=False)):
        expected = np.array([spec.narrow(int(x), fmt, overflow) for x in xs], stored_dtype(fmt))
        assert_same(got=narrow(xs, fmt, overflow), expected=expected)


@QUICK
@given(integers_near(-(1 << 63), (1 << 63) - 1), st.integers(1, 64), st.booleans(), st.sampled_from([0, 1]))
def test_narrow_of_any_int64(x, bits, signed, overflow):
    fmt = IntFormat(bits, signed=signed)
    expected = np.array([spec.narrow(x, fmt, Overflow(overflow))], stored_dtype(fmt))
    assert_same(got=narrow(np.array([x]), fmt, Overflow(overflow)), expected=expected)


def test_narrow_error_lets_inside_values_pass():
    assert_same(got=narrow([127, -128], INT8, Overflow.ERROR), expected=np.array([127, -128], np.int8))
