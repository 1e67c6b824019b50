"""Shift-based batch norm over arrays: definition against array function, exhaustive, extreme and malformed input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same, lattice, twin

from refq.batchnorm.forms import form_steps
from refq.batchnorm.shift import _code, _column, shift_batchnorm
from refq.batchnorm.shift_forms import freeze_shift
from refq.channels import ShiftForm
from refq.spec.batchnorm import shift_batchnorm as spec

FORMATS = [(bits, signed) for bits in range(2, 9) for signed in (True, False)]
LIMIT = (1 << 62) - 1
SHIFTS = [-200, -64, -63, -62, -61, *range(-9, 12), 31, 32, 60, 61, 62, 63, 64, 65, 200]

small = st.integers(-300, 300)
wide = st.integers(-LIMIT, LIMIT)


def bounds(bits, signed):
    return (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


@st.composite
def shift_forms(draw, biases=small):
    codes = draw(st.sampled_from((st.integers(-127, 127), st.integers(-(1 << 61), 1 << 61))))
    qmin, qmax = sorted((draw(codes), draw(codes)))
    shift = draw(st.integers(-10, 70) | st.sampled_from(SHIFTS))
    return ShiftForm(draw(biases), shift, qmin, qmax, draw(st.sampled_from((1, -1))), draw(codes))


def smallest(low, high):
    kinds = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
    return next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max)


def defined(xs, form):
    return np.array([spec(int(x), form) for x in xs], smallest(form.qmin, form.qmax))


@QUICK
@given(st.lists(small | wide, min_size=1, max_size=20), shift_forms())
def test_array_equals_definition(xs, form):
    xs = [max(-LIMIT + 300, min(x, LIMIT - 300)) for x in xs]
    assert_same(got=shift_batchnorm(np.array(xs), [form]), expected=defined(xs, form))


@pytest.mark.parametrize(("bits", "signed"), FORMATS)
def test_every_shift_at_small_and_extreme_accumulators(bits, signed):
    small_range = list(range(-70, 71))
    for shift in SHIFTS:
        for bias in (0, 1, -7, 13):
            form = ShiftForm(bias, shift, *bounds(bits, signed))
            assert_same(
                got=shift_batchnorm(np.array(small_range, np.int8), [form]), expected=defined(small_range, form)
            )
        extremes = lattice(-LIMIT, LIMIT)
        for sign in (1, -1):
            form = ShiftForm(0, shift, *bounds(bits, signed), sign)
            assert_same(got=shift_batchnorm(np.array(extremes), [form]), expected=defined(extremes, form))


def test_the_sum_may_reach_its_limit():
    for bias in (LIMIT, -LIMIT, LIMIT - 5):
        for shift in (0, 62, 63, -1, -62):
            form = ShiftForm(bias, shift, -7, 7, -1)
            room = LIMIT - abs(bias)
            assert_same(got=shift_batchnorm(np.array([room, -room]), [form]), expected=defined([room, -room], form))
            with pytest.raises(ValueError, match=rf"acc\[0\]={room + 1} is outside {-room}\.\.{room}; .*2\*\*62"):
                shift_batchnorm(np.array([room + 1]), [form])
    form, far = ShiftForm(LIMIT - 5, 3, -7, 7), np.array([5, -5])
    assert_same(got=shift_batchnorm([0, 0], [form], residual=far), expected=defined(far, form))
    with pytest.raises(ValueError, match=r"residual\[0\]=6 is outside -5\.\.5"):
        shift_batchnorm([0], [form], residual=[6])


@QUICK
@given(wide, shift_forms())
def test_kernel_body_stays_inside_int64(x, form):
    x = max(-LIMIT + 300, min(x, LIMIT - 300))
    column = _column(0, form)
    assert all(abs(value) < 1 << 63 for value in column)
    assert abs(min(max((x ^ column[0]) - column[1], column[2]), column[3]) << column[4]) < 1 << 63
    assert twin(_code)(x, *column) == spec(x, form)


@QUICK
@given(st.lists(shift_forms(), min_size=1, max_size=4), st.integers(0, 2), st.booleans(), st.integers(0, 1 << 32))
def test_channels_along_every_axis(forms, axis, strided, seed):
    shape = [3, 5, 2]
    shape[axis] = len(forms)
    rng = np.random.default_rng(seed)
    acc, residual = (rng.integers(-(1 << 31), 1 << 31, shape, dtype=np.int32) for _ in range(2))
    if strided:
        acc, residual = acc.transpose(2, 1, 0)[::-1], np.asfortranarray(residual.transpose(2, 1, 0)[::-1])
        axis = 2 - axis
        forms = forms[::-1] if axis == 0 else forms
    low, high = min(f.qmin for f in forms), max(f.qmax for f in forms)
    total = acc.astype(np.int64) + residual
    expected = np.empty(acc.shape, smallest(low, high))
    for place in np.ndindex(*acc.shape):
        expected[place] = spec(int(total[place]), forms[place[axis]])
    assert_same(got=shift_batchnorm(acc, forms, residual=residual, axis=axis), expected=expected)
    assert_same(got=shift_batchnorm(total, forms, axis=axis - 3), expected=expected)


def test_every_integer_dtype_scalars_and_empty_arrays():
    form = ShiftForm(3, 1, 0, 15)
    for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4"):
        assert_same(got=shift_batchnorm(np.array([0, 9, 127], kind), [form]), expected=np.uint8([0, 3, 15]))
    assert_same(got=shift_batchnorm(9, (form,)), expected=np.uint8(3))
    for shape in ((0,), (0, 4), (4, 0)):
        assert shift_batchnorm(np.empty(shape, np.int64), [form]).shape == shape
    assert shift_batchnorm(np.empty((0, 2), np.int32), [form, form], residual=np.empty((0, 2), np.int8)).size == 0
    numpy_form = ShiftForm(np.int8(-100), np.int8(1), np.int8(-100), np.int8(100), np.int8(1), np.int8(100))
    plain = ShiftForm(-100, 1, -100, 100, 1, 100)
    assert_same(got=shift_batchnorm([-127, 100], [numpy_form]), expected=defined([-127, 100], plain))


def test_thresholds_of_the_paper_and_its_widths():
    """t_j = bias + j * 2**shift (papers 2.2), at the shifts and biases of the exported MNIST net (papers 2.3)."""
    for bias in (-463, 0, 624):
        for shift in (4, 5, 6, 7, 8):
            form = ShiftForm(bias, shift, 0, 15)
            steps = form_steps(form, (-4845, 5355))
            assert steps.starts[1:].tolist() == [bias + j * 2**shift for j in range(1, 16)]
            acc = np.arange(-4845, 5356, dtype=np.int16)
            assert_same(got=shift_batchnorm(acc, [form]).astype(np.int64), expected=steps(acc))


def test_pooling_commutes_and_the_reference_quantizes_first():
    acc = np.random.default_rng(1).integers(-400, 400, (6, 8, 3))
    forms = freeze_shift([0, 3.5, -20], [40, 90.6, 1], 4, signed=False)
    blocks = (3, 2, 4, 2, 3)
    quantized = shift_batchnorm(acc, forms).reshape(blocks).max((1, 3))
    assert_same(got=quantized, expected=shift_batchnorm(acc.reshape(blocks).max((1, 3)), forms))


FORM = ShiftForm(0, 0, 0, 1)
BAD = [
    (lambda: shift_batchnorm([1.0], [FORM]), TypeError, "acc has dtype float64"),
    (lambda: shift_batchnorm([True], [FORM]), TypeError, "acc has dtype bool"),
    (lambda: shift_batchnorm([1], FORM), TypeError, "is not a sequence"),
    (lambda: shift_batchnorm([1], [3]), TypeError, r"forms\[0\]=3 is not a ShiftForm"),
    (lambda: shift_batchnorm([1], []), ValueError, "is empty"),
    (lambda: shift_batchnorm([1, 2, 3], [FORM] * 2), ValueError, "axis=-1 has 3 channels, forms has 2"),
    (lambda: shift_batchnorm(1, [FORM] * 2), ValueError, "acc is a scalar"),
    (lambda: shift_batchnorm([[1]], [FORM], axis=2), ValueError, r"axis=2 is outside -2\.\.1"),
    (lambda: shift_batchnorm([1], [FORM], residual=[1, 2]), ValueError, r"residual has shape \(2,\), acc has \(1,\)"),
    (lambda: shift_batchnorm([1], [FORM], residual=[0.5]), TypeError, "residual has dtype float64"),
    (lambda: shift_batchnorm(np.uint64([1 << 63]), [FORM]), ValueError, r"acc\[0\]=9223372036854775808 is outside"),
    (lambda: shift_batchnorm([1], [ShiftForm(0, 1.5, 0, 1)]), TypeError, "ShiftForm: shift=1.5 is not an integer"),
    (lambda: shift_batchnorm([1], [ShiftForm(1 << 62, 0, 0, 1)]), ValueError, r"forms\[0\].bias=4611686018427387904"),
    (lambda: shift_batchnorm([1], [ShiftForm(0, 0, 2, 1)]), ValueError, "ShiftForm: qmin=2 is above qmax=1"),
    (lambda: shift_batchnorm([1], [ShiftForm(0, 0, 0, 1, 0)]), ValueError, "ShiftForm: sign=0 is neither"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_bad_input_names_the_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
