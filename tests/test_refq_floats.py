"""refq's float arithmetic is IEEE 754: the definition on rationals equals NumPy's own float32 and float64."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq import (
    INT32,
    QUANTIZE_RULES,
    RULES,
    FixedScale,
    IntFormat,
    Rounding,
    Scaling,
    effective_scale,
    quantize,
    requantize,
    round_to_integer,
)
from refq.spec.floats import FLOAT32, FLOAT64, exponent, round_to_float

DTYPES = {"float32": (np.float32, FLOAT32), "float64": (np.float64, FLOAT64)}
WIDE = IntFormat(32)


def random_floats(seed, count, dtype, low=-30, high=30):
    rng = np.random.default_rng(seed)
    return (rng.uniform(1, 2, count) * 2.0 ** rng.integers(low, high, count) * rng.choice([-1, 1], count)).astype(dtype)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("operation", ["add", "multiply", "divide"])
def test_one_operation_is_numpys(name, operation):
    dtype, fmt = DTYPES[name]
    a, b = random_floats(1, 3000, dtype), random_floats(2, 3000, dtype)
    expected = getattr(np, operation)(a, b)
    exact = {"add": Fraction.__add__, "multiply": Fraction.__mul__, "divide": Fraction.__truediv__}[operation]
    got = [round_to_float(exact(Fraction(float(x)), Fraction(float(y))), fmt) for x, y in zip(a, b, strict=True)]
    assert_same(got=np.array([float(v) for v in got]).astype(dtype), expected=expected)


@pytest.mark.parametrize("name", DTYPES)
def test_conversion_of_integers_is_numpys(name):
    dtype, fmt = DTYPES[name]
    near = [(1 << k) + d for k in range(20, 63) for d in range(-3, 4)] + [3 << k for k in range(60)]
    halves = [((1 << 24) + 1 << k) + d for k in range(1, 30) for d in (-1, 0, 1)]
    xs = np.array([*near, *halves, *(-x for x in near + halves)], np.int64)
    got = np.array([float(round_to_float(Fraction(int(x)), fmt)) for x in xs]).astype(dtype)
    assert_same(got=got, expected=xs.astype(dtype))


@pytest.mark.parametrize("name", DTYPES)
def test_subnormals_and_the_overflow_boundary(name):
    dtype, fmt = DTYPES[name]
    tiny = Fraction(2) ** fmt.least
    assert [round_to_float(n * tiny / 4, fmt) / tiny for n in range(1, 8)] == [0, 0, 1, 1, 1, 2, 2]
    top = Fraction(float(np.finfo(dtype).max))
    ulp = Fraction(2) ** (fmt.overflow - fmt.precision)
    assert round_to_float(top + ulp / 2 - 1, fmt) == top
    with pytest.raises(OverflowError, match="is outside " + name):
        round_to_float(top + ulp / 2, fmt)


@QUICK
@given(st.fractions(min_value=Fraction(1, 10**40), max_value=10**40))
def test_the_exponent_brackets_the_value(value):
    assert Fraction(2) ** exponent(value) <= value < Fraction(2) ** (exponent(value) + 1)


def accumulators():
    rng = np.random.default_rng(3)
    hard = [34340863, 33816577, -34340863, (1 << 31) - 1, -(1 << 31), (1 << 24) + 1, -(1 << 24) - 1, 1, -1, 0]
    return np.concatenate([rng.integers(-(1 << 31), 1 << 31, 3000), rng.integers(-5000, 5000, 3000), hard])


@pytest.mark.parametrize("scale", [0.25, 2.0**-19, 0.009586980574, 3.7474487, 0.99999994, 1.0])
@pytest.mark.parametrize("name", DTYPES)
def test_float_rules_are_numpys_multiply_and_rint(name, scale):
    dtype = DTYPES[name][0]
    accs, scale = accumulators(), dtype(scale)
    real = np.rint(accs.astype(dtype) * scale).astype(np.float64)
    expected = np.clip(real, -(2**31) - 9, 2**31 - 10).astype(np.int64) + 9
    got = requantize(accs, f"{name}_ties_even", scale, zero_point=9, fmt=INT32)
    assert_same(got=got, expected=expected.astype(np.int32))


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 3.7474487])
def test_float64_ties_away_is_c_round_and_the_x86_conversion(scale):
    accs = accumulators()
    product = accs.astype(np.float64) * scale
    is_tie = np.abs(product - np.trunc(product)) == 0.5
    away = np.where(is_tie, np.trunc(product) + np.sign(product), np.rint(product))
    stored = np.where((away >= -(2.0**31)) & (away < 2.0**31), away, -(2.0**31)).astype(np.int64)
    got = requantize(accs, "float64_ties_away", scale, fmt=INT32)
    assert_same(got=got, expected=stored.astype(np.int32))


def test_dyadic_is_numpys_multiply_and_rint_of_the_rounded_mantissa():
    accs, scale = accumulators(), 0.0014402703931
    mantissa, e = np.frexp(scale)
    expected = np.rint(accs * np.floor(mantissa * 2.0**31 + 0.5) / 2.0 ** (31 - e)).astype(np.int32)
    assert_same(got=requantize(accs, "dyadic_ties_even", scale, fmt=INT32), expected=expected)
    assert RULES["dyadic_ties_even"].rounding == Rounding.TIES_EVEN


def test_a_fixed_scale_stands_for_its_exact_quotient_in_float_rules():
    accs, fixed = accumulators(), FixedScale(1317624577, 37)
    expected = requantize(accs, "float64_ties_even", 1317624577 / 2**37, fmt=INT32)
    assert_same(got=requantize(accs, "float64_ties_even", fixed, fmt=INT32), expected=expected)


@pytest.mark.parametrize("scaling", [Scaling.DIVISION, Scaling.RECIPROCAL])
@pytest.mark.parametrize("name", DTYPES)
def test_quantize_is_numpys_division_or_reciprocal(name, scaling):
    dtype = DTYPES[name][0]
    xs, scale = random_floats(4, 4000, np.float32, -12, 6), np.float32(0.00214854861)
    wide = xs.astype(dtype)
    real = wide / dtype(scale) if scaling == Scaling.DIVISION else wide * (dtype(1) / dtype(scale))
    expected = (np.clip(np.rint(real), -32768 - 5, 32767 - 5).astype(np.int64) + 5).astype(np.int16)
    got = quantize(xs, QUANTIZE_RULES[f"{name}_ties_even"], scale, scaling=scaling, zero_point=5, fmt=IntFormat(16))
    assert_same(got=got, expected=expected)


def test_effective_scale_is_numpys_chain_of_products():
    s_in, s_w, s_out = (np.abs(random_floats(seed, 500, np.float32, -8, 3)) for seed in (5, 6, 7))
    single = (s_in * s_w) / s_out
    double = (s_in.astype(np.float64) * s_w) / s_out
    mixed = (s_in * s_w).astype(np.float64) / s_out
    wanted = {Scaling.FLOAT32_PRODUCT: single, Scaling.DOUBLE_PRODUCT: double, Scaling.MIXED_PRODUCT: mixed}
    for scaling, expected in wanted.items():
        got = [float(effective_scale(*row, scaling)) for row in zip(s_in, s_w, s_out, strict=True)]
        assert_same(got=np.array(got), expected=expected.astype(np.float64))


def test_round_to_integer_of_float32_is_that_of_its_float64():
    xs = random_floats(8, 2000, np.float32, -4, 40)
    for rounding in Rounding:
        expected = round_to_integer(xs.astype(np.float64), rounding)
        assert_same(got=round_to_integer(xs, rounding), expected=expected)
