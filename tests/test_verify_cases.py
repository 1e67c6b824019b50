"""The questions themselves: parameters are as hard as they claim, and accumulators arrive as they were chosen."""

from fractions import Fraction

import numpy as np
import pytest
from boxes import accumulators

from refq import Scaling, effective_scale
from refq.spec.floats import FLOAT64, round_to_float
from verify.carriers import CARRIERS
from verify.cases import OVER_TIE, UNDER_TIE, Case, float32, products_apart, quantize_cases, requantize_cases
from verify.compare import checked_answer, compare
from verify.failures import BackendError, NothingComparedError
from verify.floatkeys import LARGEST, from_keys, to_keys

CASES = requantize_cases()
PRODUCTS = (Scaling.FLOAT32_PRODUCT, Scaling.DOUBLE_PRODUCT, Scaling.MIXED_PRODUCT)


def factor(case: Case, scaling: Scaling) -> Fraction:
    return effective_scale(case.input_scale, case.weight_scale, case.output_scale, scaling)


@pytest.mark.parametrize("case", CASES + quantize_cases(), ids=lambda c: c.name)
def test_scales_are_float32_and_zero_points_fit(case: Case) -> None:
    for scale in (case.input_scale, case.weight_scale, case.output_scale):
        assert scale == float32(scale) > 0
    assert case.fmt.qmin <= case.zero_point <= case.fmt.qmax


def test_names_are_unique() -> None:
    assert len({c.name for c in CASES}) == len(CASES)


def test_plan_has_ties_of_both_signs_under_odd_zero_points() -> None:
    dyadic = [c for c in CASES if factor(c, Scaling.EXACT_PRODUCT) == Fraction(1, 4)]
    assert {c.zero_point % 2 for c in dyadic} == {0, 1}
    assert Fraction(1, 4) * 2 == Fraction(1, 2)
    assert Fraction(1, 4) * -2 == Fraction(-1, 2)


@pytest.mark.parametrize("exponent", [-16, -20, -23])
def test_products_differ_in_every_pair(exponent: int) -> None:
    scales = products_apart(exponent)
    values = [effective_scale(*scales, scaling) for scaling in PRODUCTS]
    assert len(set(values)) == 3
    # the effective scale is about 2**exponent, so thresholds reach accumulators where the difference shows
    assert Fraction(2) ** (exponent - 1) < values[0] < Fraction(2) ** (exponent + 1)
    step = Fraction(127) / values[1]
    assert min(abs(values[0] - values[1]), abs(values[1] - values[2])) * step * step > Fraction(1, 100)


@pytest.mark.parametrize(("pair", "offset"), [(OVER_TIE, 1), (UNDER_TIE, -1)])
def test_near_ties_are_ties_in_float64_only(pair: tuple[int, int], offset: int) -> None:
    multiplier, acc = pair
    assert 1 << 23 <= multiplier < 1 << 24
    product = multiplier * acc
    assert (product - offset) % (1 << 47) == 1 << 46
    rounded = round_to_float(Fraction(product), FLOAT64)
    assert rounded == product - offset


@pytest.mark.parametrize("op", CARRIERS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_carriers_bring_the_chosen_accumulator(op: str, dtype: str) -> None:
    zero_point = 0 if dtype == "int8" else 128
    for carrier in CARRIERS[op]:
        low, high = carrier.reach
        small = np.array([-300, -128, -127, -2, -1, 0, 1, 2, 126, 127, 128, 300, 99_999], np.int64)
        ends = np.array([low, high] if carrier.width(0) == 1 else [low // 64, high // 64], np.int64)
        for acc in (small, ends, small[:1]):
            inputs = carrier.place(acc, zero_point, dtype)
            assert inputs["x"].dtype == dtype
            got = accumulators(op, {"input_zero_point": zero_point}, inputs)
            assert got.ravel().tolist() == acc.tolist()


def test_reach_of_rows_is_the_largest_sum_without_overflow_of_raw_products() -> None:
    carrier = CARRIERS["QLinearMatMul"][0]
    high = carrier.reach[1]
    depth = carrier.width(high)
    assert 255 * 127 * depth < 1 << 31
    inputs = carrier.place(np.array([high]), 128, "uint8")
    assert inputs["w"].min() >= -127
    got = accumulators("QLinearMatMul", {"input_zero_point": 128}, inputs)
    assert got.tolist() == [[high]]


def test_float_keys_are_ordered_and_exact() -> None:
    keys = np.array([-LARGEST, -(1 << 23), -2, -1, 0, 1, 2, 1 << 23, 0x3F800000, LARGEST], np.int64)
    values = from_keys(keys)
    assert (np.diff(values.astype(np.float64)) > 0).all()
    assert to_keys(values).tolist() == keys.tolist()
    assert values[0] == np.finfo(np.float32).min
    assert to_keys(np.float32([-0.0])).tolist() == [0]


def test_compare_refuses_to_compare_nothing() -> None:
    with pytest.raises(NothingComparedError, match="nothing was compared"):
        compare(np.empty(0, np.int8), np.empty(0, np.int8))
    with pytest.raises(BackendError, match=r"got int8\(2,\); expected int16\(2,\)"):
        compare(np.zeros(2, np.int8), np.zeros(2, np.int16))


def test_compare_sees_every_single_difference() -> None:
    expected = np.arange(-100, 100).astype(np.int8)
    for i in range(len(expected)):
        got = expected.copy()
        got[i] ^= 1
        assert compare(got, expected).wrong.tolist() == [i]


def test_checked_answer_flattens() -> None:
    assert checked_answer("box", np.zeros((1, 3, 1), np.int8), "int8", 3).shape == (3,)
