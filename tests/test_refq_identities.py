"""The identities of the catalogue, each over all 2**32 accumulators at once: equality of two staircases.

For p = x * multiplier and n = shift:
- tosa_scale32_single == single_up: both are floor((p + 2**(n-1)) / 2**n); the rules are the same formula.
- tosa_scale32_double == gemmlowp_double, n >= 31. x >= 0: floor((floor((p + 2**30) / 2**31) + 2**(n-32)) / 2**(n-31))
  is floor((p + 2**30 + 2**(n-1)) / 2**n), the nudged constant. x < 0, u = -p / 2**31, N = k * 2**(n-31) - 2**(n-32):
  the first magnitude reaches k iff ceil(u - 1/2) >= N iff u > N - 1/2; the second iff u + 1/2 > N.
  n = 31: one rounding.
- xnnpack_rndnu == single_up and the two QNNPACK rules: a float32 scale has 24 significant bits, so the 31-bit
  mantissa of QuantizeMultiplier is the float's own, shifted by 7; the formulas are then the same.
  The QNNPACK rules clamp before the zero point, so a sum outside int32 is excluded by their condition.
"""

from fractions import Fraction

import numpy as np
import pytest

from refq import (
    IDENTITIES,
    RULES,
    FixedScale,
    Scaling,
    count_differences,
    derive,
    difference,
    effective_scale,
    staircase,
)

MULTIPLIERS = [1 << 30, (1 << 30) + 1, 1518500250, 1317624577, 1583594044, (1 << 31) - 1]
ZEROS = [-128, -1, 0, 7, 127]
LIMIT = FixedScale(1518500250, 44)


def float32_scales(count=120):
    rng = np.random.default_rng(11)
    s_in, s_w, s_out = (np.float32(rng.uniform(1, 2, count) * 2.0 ** rng.integers(-7, 0, count)) for _ in range(3))
    found = [effective_scale(*row, Scaling.FLOAT32_PRODUCT) for row in zip(s_in, s_w, s_out, strict=True)]
    return [s for s in found if s < 1] + [Fraction(1, 1 << k) for k in range(1, 31)]


def domain_of(fixed):
    """TOSA asks for |x| < 2**(shift-1) besides int32."""
    half = 1 << (min(fixed.shift, 32) - 1)
    return -half, half - 1


def test_every_identity_of_the_catalogue_is_proved_here():
    assert [(left, right) for left, right, _ in IDENTITIES] == [
        ("tosa_scale32_double", "gemmlowp_double"),
        ("tosa_scale32_single", "single_up"),
        ("qnnpack_q31", "gemmlowp_double"),
        ("xnnpack_rndnu", "single_up"),
        ("qnnpack_precise", "single_away"),
    ]


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
@pytest.mark.parametrize(
    ("left", "right", "least"),
    [("tosa_scale32_double", "gemmlowp_double", 31), ("tosa_scale32_single", "single_up", 2)],
)
def test_tosa_equals_its_tflite_twin(left, right, least, multiplier):
    compared = 0
    for shift in range(least, 63):
        fixed, zero = FixedScale(multiplier, shift), ZEROS[shift % len(ZEROS)]
        pair = [staircase(r, fixed, zero_point=zero, domain=domain_of(fixed)) for r in (left, right)]
        assert pair[0] == pair[1]
        compared += pair[0].starts.size
    assert compared > 1000


@pytest.mark.parametrize(
    ("left", "right"),
    [("qnnpack_q31", "gemmlowp_double"), ("xnnpack_rndnu", "single_up"), ("qnnpack_precise", "single_away")],
)
def test_float32_scales_make_the_24_bit_multiplier_the_31_bit_one(left, right):
    for i, scale in enumerate(float32_scales()):
        zero = ZEROS[i % len(ZEROS)]
        assert derive(scale, RULES[left].derivation) == derive(scale, RULES[right].derivation)
        assert staircase(left, scale, zero_point=zero) == staircase(right, scale, zero_point=zero)


def test_the_identities_need_their_conditions():
    scale = 1.1 * 2.0**-20
    assert derive(scale, "mantissa24") != derive(scale, "q31")
    assert staircase("qnnpack_q31", scale) != staircase("gemmlowp_double", scale)
    assert staircase("xnnpack_rndnu", scale) != staircase("single_up", scale)


def test_the_constant_of_182():
    found = difference(staircase("gemmlowp_double", LIMIT), staircase("single_up", LIMIT))
    assert found.count == 182
    assert all(abs(i.left - i.right) == 1 for i in found.intervals)


@pytest.mark.parametrize("scale", [0.25, 0.009586980574])
def test_rules_that_are_no_twins_differ(scale):
    for left, right in (("gemmlowp_double", "double_up"), ("double_up", "single_up"), ("gemmlowp_double", "single_up")):
        assert difference(staircase(left, scale), staircase(right, scale)).count > 0


@pytest.mark.sweep
@pytest.mark.parametrize(("left", "right"), [(left, right) for left, right, _ in IDENTITIES])
def test_identities_one_accumulator_at_a_time(left, right):
    scale = FixedScale(1518500250, 44) if left.startswith("tosa") else 1518500224 / 2**44
    assert count_differences(left, right, scale, zero_point=3) == 0


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("left", "right", "scale"),
    [
        ("gemmlowp_double", "single_up", LIMIT),
        ("gemmlowp_double", "double_up", LIMIT),
        ("float32_ties_even", "exact_ties_even", 2.0**-19),
        ("float64_ties_even", "float64_ties_away", 0.25),
        ("xnnpack_rndnu", "float32_ties_even", 3.7474487),
        ("multiply_add_shift_floor", "single_up", 0.009586980574),
    ],
)
def test_the_count_over_all_accumulators_is_that_of_the_difference(left, right, scale):
    expected = difference(staircase(left, scale), staircase(right, scale)).count
    assert count_differences(left, right, scale) == expected
    assert expected == 182 or scale is not LIMIT or right != "single_up"
