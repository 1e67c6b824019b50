"""The ops of one code equal their definition, code by code, under every rule that a site has."""

from fractions import Fraction

import numpy as np
import pytest
from refq_cases import assert_same
from table_cases import End, OneOp, every, site, under

import refq.graphs as graphs
from refq.formats import Rounding
from refq.graphs.sites import INTEGERS
from refq.layers.lookup import Grids
from refq.layers.quantizing import in_rest
from refq.layers.sigmoid_fixed import logistic_codes, tanh_codes
from refq.layers.sigmoid_libm import exp_glibc, expm1_glibc, tanh_glibc
from refq.spec.layers import quantizing as spec_quantizing
from refq.spec.layers import tables as spec
from refq.spec.layers import tables_fixed as fixed
from refq.spec.layers import tables_floats


def exact(value: float) -> Fraction:
    return Fraction(float(np.float32(value)))


def ends(case: OneOp) -> spec.Ends:
    x, y = case.x, case.y
    return spec.Ends(exact(x.scale), x.zero_point, INTEGERS[x.dtype], exact(y.scale), y.zero_point, INTEGERS[y.dtype])


def floats(x: np.ndarray, function) -> np.ndarray:  # type: ignore[no-untyped-def, type-arg]
    return np.array([float(function(Fraction(float(v)))) for v in x], np.float32)


def test_library_functions_equal_their_definition() -> None:
    """exp, expm1 and tanh at the ends of their branches and at random places, signs of zero aside."""
    rng = np.random.default_rng(2)
    branches = [
        0.3465,
        0.34657,
        1.0397,
        1.04,
        0.5,
        0.25,
        1.0,
        2.0,
        2.0**-25,
        2.0**-26,
        2.0**-55,
        2.0**-56,
        9.0,
        21.99,
        22.0,
    ]
    near = np.float32(branches)
    x = np.concatenate([near, -near, np.nextafter(near, np.float32(0)), rng.normal(0, 3, 100).astype(np.float32)])
    assert_same(tanh_glibc(x), floats(x, tables_floats.tanh_libm))
    assert_same(exp_glibc(x * 4), floats(x * 4, tables_floats.exp_libm))
    inside = np.clip(x * 4, -20, 44)
    assert_same(expm1_glibc(inside), floats(inside, tables_floats.expm1_libm))


def swish(x: Fraction) -> Fraction:
    return x * max(min(x + 3, Fraction(6)), Fraction(0)) / 6


LEAKY = {f"tflite:{name}": name for name in ("gemmlowp_double", "gemmlowp_double_negated", "double_up", "single_up")}
"""Rules that the definition knows by the name of the integer rule."""
SETS = [(0.05, 3, 0.01, -3), (2.0**-4, 127, 1 / 256, -128), (1.0, -128, 0.5, 5)]


@pytest.mark.parametrize("op", ["logistic", "tanh", "hard_swish", "leaky_relu"])
@pytest.mark.parametrize(("scale", "zero_point", "out_scale", "out_zero"), SETS)
def test_every_rule(op: str, scale: float, zero_point: int, out_scale: float, out_zero: int) -> None:
    """256 codes, all rules of the site; hard_swish needs scale / out_scale <= 128."""
    check_rules(op, (scale, zero_point, out_scale, out_zero), {"alpha": 0.3} if op == "leaky_relu" else {})


@pytest.mark.parametrize("alpha", [-0.125, -0.75, -0.3])
def test_every_rule_of_a_falling_leaky_relu(alpha: float) -> None:
    """Negative multipliers, with ties of the first rounding and without."""
    for places in (*SETS, (1.0, 100, 1.0, 5)):
        check_rules("leaky_relu", places, {"alpha": alpha})


def check_rules(op: str, places: tuple[float, int, float, int], fields: dict[str, float]) -> None:
    scale, zero_point, out_scale, out_zero = places
    x = every("int8")
    out_scale = max(out_scale, scale / 100)
    case = OneOp(op, End("int8", scale, zero_point), End("int8", out_scale, out_zero), x.shape, fields)
    real = {
        "logistic": tables_floats.logistic,
        "tanh": tables_floats.tanh,
        "hard_swish": lambda v: v * max(min(v + 3, 6), 0) / 6,
    }

    def wanted(code: int, rule: str) -> int:
        if op == "leaky_relu":
            return spec.leaky_relu(code, ends(case), exact(fields["alpha"]), LEAKY.get(rule, rule))
        if rule == "real:ties_even":
            return spec.real(code, ends(case), real[op])
        if rule == "tflite:fixed_point16":
            return spec.hard_swish(code, ends(case))
        if rule == "gemmlowp:fixed_point32":
            return fixed.curve_code(code, ends(case), op)
        return spec.float_table(code, ends(case), rule, spec.FUNCTIONS[op, rule])

    for rule in graphs.OPS[op].rules(site(case)):
        found = np.array([[wanted(code, rule) for code in range(-128, 128)]], np.int8)
        assert_same(under(case, x, rule), found)


@pytest.mark.parametrize("op", ["logistic", "tanh"])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 0.003, 1e-4])
def test_int16(op: str, scale: float) -> None:
    """The ends, around zero, and every 397th code."""
    codes = sorted({*range(-32768, 32768, 397), *range(-10, 11), 32766, 32767})
    x = np.array([codes], np.int16)
    case = OneOp(op, End("int16", scale), End("int16", 2.0**-15), x.shape)
    function = fixed.logistic16 if op == "logistic" else fixed.tanh16
    for rule, is_fixed in (("tflite:sigmoid_table", False), ("gemmlowp:fixed_point16", True)):
        found = np.array([[function(c, ends(case), is_fixed) for c in codes]], np.int16)
        assert_same(under(case, x, rule), found)


def test_uint8_fixed_point_curves() -> None:
    grids = Grids(np.float32(0.06), 130, INTEGERS["uint8"], np.float32(2.0**-8), 0, INTEGERS["uint8"])
    codes = np.arange(256, dtype=np.int64)
    places = spec.Ends(exact(0.06), 130, INTEGERS["uint8"], Fraction(1, 256), 0, INTEGERS["uint8"])
    for curve, function in (("logistic", logistic_codes), ("tanh", tanh_codes)):
        assert_same(function(codes, grids), np.array([fixed.curve_code(c, places, curve) for c in range(256)]))


@pytest.mark.parametrize("rule", ["float32_product", "float64_product", "float32_shifted"])
def test_dequantize(rule: str) -> None:
    """All codes of 8 bits, and int32 codes beyond 2**24, where the products differ."""
    for dtype, zero_point, codes in (
        ("int8", 3, range(-128, 128)),
        ("int32", 0, (2**24 + 1, -(2**24) - 3, 2**30 - 1, 7)),
    ):
        x = np.array([list(codes)], dtype)
        case = OneOp("dequantize", End(dtype, 0.1, zero_point), End("float32"), x.shape)
        found = [[float(spec_quantizing.dequantize(c, exact(0.1), zero_point, rule)) for c in codes]]
        assert_same(under(case, x, rule), np.array(found, np.float32))


def test_conversions_of_scales() -> None:
    x = every("int8")
    for scale, out_scale in ((0.1, 0.037), (0.25, 1.0), (0.3, 0.3)):
        case = OneOp("requantize", End("int8", scale, 3), End("int8", out_scale, -5), x.shape)
        q8 = [[spec_quantizing.requantize_q8(c, ends(case)) for c in range(-128, 128)]]
        assert_same(under(case, x, "xnnpack:q8"), np.array(q8, np.int8))
        qdq = [[spec_quantizing.through_float(c, ends(case), Rounding.TIES_EVEN) for c in range(-128, 128)]]
        assert_same(under(case, x, "qdq:float32_ties_even"), np.array(qdq, np.int8))


def test_positions() -> None:
    for period in (1, 7, 8, 15, 16, 33):
        wanted = [spec_quantizing.rule_at(p, period, "blocks8:A+B") == "B" for p in range(3 * period)]
        assert_same(in_rest(3 * period, 8, period), np.array(wanted))
