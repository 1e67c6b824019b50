"""Products of scales and activation bounds: sums aimed at the steps of the answer, where close rules differ."""

from fractions import Fraction

import numpy as np
import pytest
from graph_product_cases import CODES, MODES, Case, golden, profile_rule, runtime
from refq_cases import assert_same

from refq.formats import INT8, UINT8, Rounding
from refq.layers.rescaling import activation_bounds
from refq.spec.layers import products as spec

COUNT = 1200
MIXED = {"conv": "uint8", "depthwise_conv": "uint8", "fully_connected": "int8"}


def shapes(op):
    """One value in, COUNT filters: x is its zero point, so each sum is the bias."""
    x = {"conv": (1, 1, 1, 1), "depthwise_conv": (1, 1, 1, COUNT), "fully_connected": (1, 1)}[op]
    w = {"conv": (COUNT, 1, 1, 1), "depthwise_conv": (1, 1, 1, COUNT), "fully_connected": (COUNT, 1)}[op]
    return x, w


def steps(op, dtype, per_channel, bias, scale, seed=7):
    """Sums within 30 of the ends of the answer's steps; a step is some 1 / scale sums wide."""
    random = np.random.default_rng(seed)
    x, w = shapes(op)
    zx = {"int8": 3, "uint8": 128, "int16": 0}[dtype]
    sx = np.float32(random.uniform(0.001, 0.002))
    sw = random.uniform(0.0001, 0.0002, COUNT if per_channel else 1).astype(np.float32)
    sy = np.float32(sx * sw[0] / scale)
    factor = float(sx) * np.broadcast_to(sw, COUNT).astype(np.float64) / float(sy)
    ends = random.integers(-100, 100, COUNT) * (200 if dtype == "int16" else 1) + 0.5
    sums = np.round(ends / factor) + random.integers(-30, 31, COUNT)
    sums = np.where(np.abs(sums) < 2.0 ** (30 if bias == "int32" else 46), sums, 0).astype(bias)
    codes = np.full(x, zx, dtype), np.ones(w, "uint8" if dtype == "uint8" else "int8")
    return Case(op, *codes, sums, (sx, sw, sy), (zx, 0, 128 if dtype == "uint8" else 0))


FORMS = [("int8", False), ("int8", True), ("uint8", False)]


@pytest.mark.parametrize("op", CODES)
def test_products_of_scales(op):
    """double_product and mixed_product: the multipliers differ in the last bits, the answers at the ends of steps."""
    told_apart = 0
    for dtype, per_channel in FORMS:
        case = steps(op, dtype, per_channel, "int32", 2.0**-23)
        for mode, profile in MODES.items():
            rule, got = profile_rule(case, profile), runtime(case, mode)
            words = ("/mixed", "/double") if "/mixed" in rule else ("/double", "/mixed")
            (want, other) = golden(case, rule, rule.replace(*words) if "float64" not in rule else rule)
            assert_same(got=got, expected=want)
            told_apart += (want != other).any()
    assert told_apart >= 3


@pytest.mark.parametrize(
    ("op", "bias"), [(op, b) for op in CODES for b in ("int32", "int64") if (op, b) != ("depthwise_conv", "int32")]
)
def test_products_of_scales_in_16_bits(op, bias):
    for per_channel in (False, True):
        for scale in (2.0**-16,) if bias == "int32" else (2.0**-23, 2.0**-28):
            case = steps(op, "int16", per_channel, bias, scale)
            for mode, profile in MODES.items():
                assert_same(got=runtime(case, mode), expected=golden(case, profile_rule(case, profile))[0])


def ramp(op, dtype, activation, scale, zero_point):
    """Every code from below the bounds to above them."""
    x, w = shapes(op)
    sums = np.linspace(-300, 299, COUNT).astype(np.int32) * 16
    zx = 0 if dtype == "int8" else 128
    codes = np.full(x, zx, dtype), np.zeros(w, dtype)
    scales = np.float32(1 / 16), np.float32([scale]), np.float32(scale)
    return Case(op, *codes, sums, scales, (zx, 0, zero_point), activation=activation)


@pytest.mark.parametrize("activation", ["relu", "relu6", "relu_n1_to_1"])
def test_bounds_of_activations(activation):
    """6 / 4 and -1 / 2 are ties. XNNPACK adds the zero point first, so the parity of the sum decides."""
    away_differs = False
    for i, (scale, zero_point) in enumerate([(4, -3), (4, -4), (2, -3), (2, 2), (12, 1), (0.75, -3), (0.0235294, -4)]):
        op, dtype = list(CODES)[i % 3], ("int8", "uint8")[i // 3 % 2]
        case = ramp(op, dtype, activation, np.float32(scale), zero_point + (128 if dtype == "uint8" else 0))
        for mode, profile in MODES.items():
            bounds = Rounding.TIES_EVEN if mode == "litert" else Rounding.TIES_AWAY
            rule, got = profile_rule(case, profile), runtime(case, mode)
            assert_same(got=got, expected=golden(case, rule, bounds=bounds)[0])
            away_differs |= bool((golden(case, rule)[0] != got).any())
    assert away_differs == (activation != "relu")


def test_integer_rules_bound_as_tflite_does_under_every_profile():
    """The builtin kernels that run where XNNPACK takes no part round the bounds away from zero."""
    case = ramp("conv", "int8", "relu6", np.float32(4), -3)
    rule = "double_up/double_product/after"
    away, even = (golden(case, rule, bounds=r)[0] for r in (Rounding.TIES_AWAY, Rounding.TIES_EVEN))
    assert_same(got=even, expected=away)


@pytest.mark.parametrize("rounding", [Rounding.TIES_AWAY, Rounding.TIES_EVEN])
def test_bounds_equal_their_definition(rounding):
    scales = [np.float32(s) for s in (4, 2, 12, 0.75, 0.1, 0.0235294, 1e-3, 1e30, 8 / 3)]
    for fmt, activation in ((INT8, "relu6"), (UINT8, "relu6"), (INT8, "relu_n1_to_1"), (INT8, "relu"), (INT8, "none")):
        for scale in scales:
            for zero_point in (fmt.qmin, -3 % 256 if fmt is UINT8 else -3, 4, fmt.qmax):
                got = activation_bounds(activation, scale, zero_point, fmt, rounding)
                assert got == spec.bounds(activation, Fraction(float(scale)), zero_point, fmt, rounding)


def test_a_tiny_scale_bounds_at_the_end_of_the_format():
    assert activation_bounds("relu6", np.float32(1e-38), 5, INT8) == (5, 127)
    assert activation_bounds("relu6", np.float32(1e-38), 5, INT8, Rounding.TIES_EVEN) == (5, 127)
