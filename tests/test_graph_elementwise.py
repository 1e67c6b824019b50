"""Sums and products of the array functions equal their definition, pair by pair, under every rule."""

import numpy as np
import pytest
from elementwise_cases import exactly
from refq_cases import assert_same

from refq import INT8, INT16, RULES, UINT8, Rounding
from refq.labels import parse_semantics
from refq.layers import elementwise as layer
from refq.layers import elementwise_rules as rules
from refq.layers.elementwise_float import fused_multiply_add
from refq.layers.elementwise_places import vector_run
from refq.spec import requantize as spec_requantize
from refq.spec.floats import FLOAT32, round_to_float
from refq.spec.layers import elementwise as spec

# dyadic scales and odd zero points (ties exist), thirds, extremes of the ratio
SETS = [
    ((0.5, 0), (0.5, 0), (1.0, 0)),
    ((0.25, 1), (1.0, -7), (0.5, 9)),
    ((0.75, 5), (0.375, -3), (0.5625, 11)),
    ((0.1, 3), (0.037, -5), (0.093, 7)),
    ((0.0123, -128), (0.5, 5), (0.51, -3)),
    ((1.0, 127), (0.001, 9), (0.004, 1)),
]
FLOATS = (Rounding.TIES_EVEN, Rounding.TIES_AWAY, Rounding.TIES_UP)


def operands(parts, fmt, sign=1):
    """The same parameters for the array functions and for the definition."""
    move = 128 if fmt == UINT8 else 0
    zeros = [0 if fmt == INT16 else zero + move for _, zero in parts]
    arrays = [layer.Affine(np.float32(s), z, fmt) for (s, _), z in zip(parts, zeros, strict=True)]
    exact = [spec.Affine(exactly(s), z, fmt) for (s, _), z in zip(parts, zeros, strict=True)]
    return layer.Operands(*arrays, sign=sign), spec.Operands(*exact, sign=sign)


SPEC_SUMS = {
    **{
        f"tflite:{name}": lambda a, b, o, r=RULES[name]: spec.three_rescalings(a, b, r, o)
        for name in ("gemmlowp_double", "single_up", "double_up")
    },
    "tflite_pot16": spec.power_of_two,
    "xnnpack21": lambda a, b, o: spec.one_shift(a, b, o, 20, Rounding.TIES_UP),
    "qnnpack22": lambda a, b, o: spec.one_shift(a, b, o, 21, Rounding.TIES_AWAY),
    **{
        f"tosa:{name}": lambda a, b, o, r=RULES[name]: spec.tosa(a, b, o, RULES["tosa_scale32_single"], r)
        for name in ("tosa_scale32_double", "tosa_scale32_single")
    },
    "mlas_float32": spec.mlas,
    "qdq:float32_ties_even": spec.float_steps,
    "exact:ties_even/after": lambda a, b, o: spec.exact_sum(a, b, o, Rounding.TIES_EVEN),
    "exact:ties_even/before": lambda a, b, o: spec.exact_sum(a, b, o, Rounding.TIES_EVEN, True),
    "exact:ties_away/after": lambda a, b, o: spec.exact_sum(a, b, o, Rounding.TIES_AWAY),
    "exact:ties_up/after": lambda a, b, o: spec.exact_sum(a, b, o, Rounding.TIES_UP),
}


def pairs(fmt, size=400, seed=0):
    """Ends of the format, all small steps, and drawn pairs."""
    rng = np.random.default_rng(seed)
    ends = [fmt.qmin, fmt.qmin + 1, -1, 0, 1, 2, 3, fmt.qmax - 1, fmt.qmax]
    grid = np.array([(a, b) for a in ends for b in ends if fmt.qmin <= min(a, b)])
    drawn = rng.integers(fmt.qmin, fmt.qmax, (size, 2), endpoint=True)
    return np.concatenate([grid, drawn]).astype(fmt.name).T


def by_definition(one, a, b, exact):
    found = [spec.stored(one(x, y, exact), exact.output) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    return np.array(found, exact.output.fmt.name)


def test_every_rule_of_sums_has_a_definition():
    assert set(SPEC_SUMS) == set(rules.SUMS)


@pytest.mark.parametrize("fmt", [INT8, UINT8, INT16], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("parts", SETS, ids=str)
def test_sums_equal_their_definition(parts, fmt):
    for sign in (1, -1) if parts in SETS[1::3] else (1,):
        arrays, exact = operands(parts, fmt, sign)
        a, b = pairs(fmt, 20)
        for name in rules.sum_rules(arrays):
            if sign < 0 and name == "mlas_float32":
                continue
            got = rules.bind_sum(name, arrays)(a, b)
            assert_same(got=got, expected=by_definition(SPEC_SUMS[name], a, b, exact))


def test_the_power_of_two_form():
    for parts in (((0.5, 0), (0.125, 0), (0.5, 0)), ((0.25, 0), (0.5, 0), (0.5, 0))):
        for sign in (1, -1):
            arrays, exact = operands(parts, INT16, sign)
            a, b = pairs(INT16)
            assert "tflite_pot16" in rules.sum_rules(arrays, pot_scale=True)
            got = rules.bind_sum("tflite_pot16", arrays)(a, b)
            assert_same(got=got, expected=by_definition(spec.power_of_two, a, b, exact))


@pytest.mark.parametrize("parts", SETS[:4], ids=str)
def test_products_equal_their_definition(parts):
    arrays, exact = operands(parts, INT8)
    a, b = pairs(INT8, 100)
    for label in (
        "gemmlowp_double/float32_product/after",
        "float32_ties_even/float32_product/before/last",
        "exact_ties_even/exact_product/after",
    ):
        assert label in rules.PRODUCTS
        semantics = parse_semantics(label)
        factor = layer.product_factors(arrays)(semantics.scaling)[0]
        zeros = exact.first.zero_point, exact.second.zero_point

        def one(x, y, o, semantics=semantics, factor=factor, zeros=zeros):
            acc = (x - zeros[0]) * (y - zeros[1])
            return spec_requantize.requantize(acc, semantics.rule, factor, o.output.zero_point, INT8)

        assert_same(got=rules.bind_multiply(label, arrays)(a, b), expected=by_definition(one, a, b, exact))
    got = rules.bind_multiply(rules.QDQ_PRODUCT, arrays)(a, b)
    expected = by_definition(lambda x, y, o: spec.float_steps(x, y, o, product=True), a, b, exact)
    assert_same(got=got, expected=expected)


@pytest.mark.parametrize("fmt", [INT8, UINT8], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("parts", [*SETS, ((200.0, 3), (90.0, -5), (0.7, 1)), ((3.0, 1), (2.0, 2), (1.0, 3))], ids=str)
def test_vector_bodies_equal_their_definition(parts, fmt):
    arrays, exact = operands(parts, fmt)
    a, b = pairs(fmt, 40)
    loops = rules.bind_x86("add", arrays)
    for place, first in ((1, fmt.signed), (2, False)):
        expected = by_definition(lambda x, y, o, first=first: spec.vector_sum(x, y, o, first), a, b, exact)
        assert_same(got=loops[place](a, b), expected=expected)
    loops = rules.bind_x86("mul", arrays)
    for place, cut in ((1, True), (2, fmt.signed)):
        expected = by_definition(lambda x, y, o, cut=cut: spec.vector_product(x, y, o, cut), a, b, exact)
        assert_same(got=loops[place](a, b), expected=expected)


def test_fused_multiply_add_is_rounded_once():
    rng = np.random.default_rng(1)
    x = np.float32(1) + rng.integers(0, 1 << 23, 500).astype(np.float32) * np.float32(2.0**-23)
    y = np.float32(1) + rng.integers(0, 1 << 23, 500).astype(np.float32) * np.float32(2.0**-23)
    z = (rng.integers(-4, 5, 500) * 2.0 ** rng.integers(-70, 30, 500)).astype(np.float32)
    got = fused_multiply_add(x, y, z)
    rows = zip(x.tolist(), y.tolist(), z.tolist(), strict=True)
    expected = [round_to_float(exactly(p) * exactly(q) + exactly(r), FLOAT32) for p, q, r in rows]
    assert_same(got=got, expected=np.array([float(e) for e in expected], np.float32))


def test_fused_multiply_add_just_above_a_tie():
    # x * y + 2**-80 lies just above the middle of two float32; its float64 rounding lies on it
    x, y, z = np.float32(1 + 2.0**-12), np.float32(1 + 2.0**-12), np.float32(2.0**-80)
    assert exactly(x) * exactly(y) == 1 + exactly(2.0**-11) + exactly(2.0**-24)
    assert fused_multiply_add(x, y, z) == np.float32(1 + 2.0**-11 + 2.0**-23)
    assert np.float32(float(x) * float(y) + float(z)) == np.float32(1 + 2.0**-11)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((1, 19), (1, 19), (1, 19, 16)),
        ((3, 9), (9,), (1, 9, 8)),
        ((9,), (3, 9), (1, 9, 8)),
        ((1, 9), (1, 1), (2, 9, 8)),
        ((2, 9), (2, 1), (2, 9, 8)),
        ((2, 3, 9), (2, 1, 1), (2, 27, 24)),
        ((4, 1, 3), (1, 5, 3), (1, 3, 0)),
        ((3, 1, 5, 1), (1, 4, 1, 6), (0, 0, 0)),
        ((0, 4), (0, 4), (1, 0, 0)),
        ((), (), (1, 1, 0)),
    ],
)
def test_where_vector_bodies_run(first, second, expected):
    assert vector_run(first, second, (16, 8) if first == second else (8, 8)) == expected
