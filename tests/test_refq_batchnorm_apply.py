"""Lines and thresholds over arrays are the definition element by element: dtypes, axes, layouts, ends of 64 bits."""

from fractions import Fraction

import numpy as np
import pytest
from batchnorm_cases import C1, C2, C3, C4, SOME, fitted
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import assert_same

from refq.batchnorm import (
    Channel,
    Crossing,
    FixedPoint,
    ThresholdForm,
    fixed_batchnorm,
    form_steps,
    target_steps,
    threshold_batchnorm,
    threshold_form,
)
from refq.spec import batchnorm as spec

INT64 = np.iinfo(np.int64)
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", "<i8"]
LINES = [
    FixedPoint(19, -177, 64, 0, 15),
    FixedPoint(-73, 116, 256, 0, 15),
    FixedPoint(37, -1140, 7, -3, 12),
    FixedPoint(0, 5, 2, -3, 12),
    FixedPoint(1 << 33, -5, 1 << 34, -9, 200),
    FixedPoint(-(1 << 33), -5, 1 << 28, -9, 200),
]
STAIRS = [
    ThresholdForm((2, 4, 4, 9), -2),
    ThresholdForm((2, 4, 4, 9), -2, Crossing.STRICT),
    ThresholdForm((-100, -9, 0, 0, 128, 1 << 40), 0, Crossing.INCLUSIVE, -1),
    ThresholdForm((-100, -9, 0, 0, 128, 1 << 40), 0, Crossing.STRICT, -1),
    ThresholdForm((), 7),
    ThresholdForm(tuple(range(-130, 130)), -130, Crossing.STRICT),
]
EITHER = pytest.mark.parametrize(
    ("function", "definition", "forms"),
    [(fixed_batchnorm, spec.fixed_point, LINES), (threshold_batchnorm, spec.threshold_batchnorm, STAIRS)],
    ids=["fixed", "threshold"],
)


def top(form):
    return form.qmin + len(form.thresholds) if isinstance(form, ThresholdForm) else form.qmax


def expected_codes(array, forms, definition, axis=-1):
    """The definition one element at a time, in the smallest dtype that holds all codes."""
    low, high = min(form.qmin for form in forms), max(map(top, forms))
    names = ["uint8", "uint16", "uint32", "uint64"] if low >= 0 else ["int8", "int16", "int32", "int64"]
    dtype = next(d for d in names if np.iinfo(d).min <= low and high <= np.iinfo(d).max)
    out = np.empty(array.shape, dtype)
    for place in np.ndindex(array.shape):
        out[place] = definition(int(array[place]), forms[place[axis] if len(forms) > 1 else 0])
    return out


def check(function, definition, array, forms, axis=-1):
    before = array.copy()
    got = function(array, forms, axis)
    assert_same(got=got, expected=expected_codes(array, forms, definition, axis))
    assert np.array_equal(array, before)


def values(dtype, shape, seed=0):
    """The ends of the dtype, as far as every form takes them, and values around the thresholds."""
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(1 << 29)), min(limits.max, 1 << 29)
    random = np.random.default_rng(seed)
    flat = random.integers(max(low, -140), min(high, 140), int(np.prod(shape)), endpoint=True)
    flat[:2] = low, high
    return flat.astype(dtype).reshape(shape)


@EITHER
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(function, definition, forms, dtype):
    check(function, definition, values(dtype, (300,)), forms[:1])
    check(function, definition, values(dtype, (40, 2)), forms[:2])


@EITHER
@pytest.mark.parametrize("dtype", ["int8", "int32"])
def test_every_form(function, definition, forms, dtype):
    for form in forms:
        check(function, definition, values(dtype, (300,)), [form])
    check(function, definition, values(dtype, (40, len(forms))), forms)


@EITHER
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -3, -4])
def test_every_axis(function, definition, forms, axis):
    shape = [2, 3, 4, 5]
    shape[axis] = len(forms)
    check(function, definition, values("int32", shape), forms, axis)


@EITHER
@pytest.mark.parametrize("shape", [(0,), (1,), (), (3, 0), (1, 1, 1), (7, 1)])
def test_sizes_0_and_1_under_one_form(function, definition, forms, shape):
    array = np.full(shape, 5, np.int16)
    for form in forms:
        got = function(array, [form])
        expected = expected_codes(array, [form], definition)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(got, expected)


@EITHER
@pytest.mark.parametrize("shape", [(0, 6), (6, 0), (2, 6, 0)])
def test_nothing_under_several_forms(function, definition, forms, shape):
    got = function(np.empty(shape, np.int8), forms, shape.index(6))
    assert got.shape == shape


@EITHER
def test_layouts(function, definition, forms):
    base = values("int32", (8, 12, 6))
    read_only = base.copy()
    read_only.flags.writeable = False
    turned = [base[::2], base[:, ::-3], base[..., ::-1], base.astype(np.int32, order="F"), read_only]
    for array in turned:
        check(function, definition, array, forms)
    check(function, definition, base.transpose(2, 0, 1), forms, 0)
    check(function, definition, np.broadcast_to(base[:1, :1], (3, 2, 6)), forms)
    assert_same(got=function(base.tolist(), forms), expected=function(base, forms))


@EITHER
def test_channels_first_and_last_agree(function, definition, forms):
    last = values("int16", (3, 4, 5, len(forms)))
    first = function(np.moveaxis(last, -1, 1), forms, 1)
    assert_same(got=np.moveaxis(first, 1, -1), expected=function(last, forms))


@pytest.mark.parametrize("channel", [C1, C2, C3, C4], ids=["c1", "c2", "c3", "c4"])
def test_worked_examples_as_arrays(channel):
    xs = np.arange(-256, 256, dtype=np.int16)
    expected = target_steps(channel)(xs).astype(np.uint8)
    assert_same(got=fixed_batchnorm(xs, [fitted(channel).form]), expected=expected)
    for crossing in Crossing:
        form = threshold_form(target_steps(channel), 0, 15, crossing)
        assert_same(got=threshold_batchnorm(xs, [form]), expected=expected)


def test_thresholds_at_the_ends_of_the_range():
    widest = Channel(Fraction(-1, 3), 0, 0, 1, 0, acc_min=1 - (1 << 63), acc_max=INT64.max, qmin=-9, qmax=9)
    for channel in (widest, Channel(0, 1, 0, 1, 0, acc_min=0, acc_max=INT64.max, qmin=0, qmax=3)):
        steps = target_steps(channel)
        xs = np.array([x for x in (channel.acc_min, -1, 0, 1, 40, INT64.max) if x >= channel.acc_min])
        for crossing in Crossing:
            form = threshold_form(steps, channel.qmin, channel.qmax, crossing)
            assert threshold_batchnorm(xs, [form]).tolist() == steps(xs).tolist()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("crossing", Crossing)
@pytest.mark.parametrize("dtype", DTYPES)
def test_thresholds_at_the_ends_of_every_dtype(dtype, crossing, sign):
    limits = np.iinfo(dtype)
    near = [limits.min, limits.min + 1, limits.max - 1, limits.max, INT64.max, (1 << 53) + 1, (1 << 53) + 3, -5, 0]
    xs = np.array([x for x in near if limits.min <= x <= min(limits.max, INT64.max)], dtype)
    thresholds = sorted({sign * int(x) + d for x in xs for d in (-1, 0, 1)})
    form = ThresholdForm(tuple(t for t in thresholds if INT64.min <= t <= INT64.max), -20, crossing, sign)
    check(threshold_batchnorm, spec.threshold_batchnorm, xs, [form])


@given(st.integers(1, INT64.max), st.integers(0, INT64.max), st.data())
@SOME
def test_sums_up_to_the_last_of_64_bits(multiplier, offset, data):
    """The largest |acc| that is accepted is computed right, the next one refused with the width it needs."""
    reach = (INT64.max - offset) // multiplier
    sign, side = (data.draw(st.sampled_from([1, -1])) for _ in range(2))
    divisor = data.draw(st.one_of(st.integers(1, 999), st.sampled_from([1 << 40, 1 << 63, INT64.max])))
    form = FixedPoint(sign * multiplier, side * offset, divisor, INT64.min, INT64.max)
    xs = np.array(sorted({-reach, reach, 0, reach // 2}), np.int64)
    assert_same(got=fixed_batchnorm(xs, [form]), expected=expected_codes(xs, [form], spec.fixed_point))
    if reach < INT64.max:
        needed = max((multiplier * (reach + 1) + offset).bit_length(), (divisor - 1).bit_length()) + 1
        message = rf"^fixed_batchnorm: forms\[0\] needs {needed} bits for multiplier \* acc \+ bias"
        with pytest.raises(ValueError, match=message):
            fixed_batchnorm(np.array([0, -reach - 1]), [form])


def test_the_dtype_does_not_refuse_what_its_values_allow():
    wide = FixedPoint(1 << 40, 0, 1 << 40, -200, 200)
    xs = np.array([-(1 << 22), -1, 0, 1, 1 << 22], np.int64)
    check(fixed_batchnorm, spec.fixed_point, xs, [wide])
    check(fixed_batchnorm, spec.fixed_point, np.array([(1 << 64) - 1], np.uint64), [FixedPoint(0, 3, 2, -5, 5)])


def test_a_form_as_array_and_as_staircase():
    xs = np.arange(-300, 300)
    for function, forms in ((fixed_batchnorm, LINES), (threshold_batchnorm, STAIRS)):
        for form in forms:
            assert np.array_equal(function(xs, [form]), form_steps(form, (-300, 299))(xs))
