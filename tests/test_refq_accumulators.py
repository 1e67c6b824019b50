"""Accumulator rules over arrays are the definition term by term: sums at the limits, orders, layouts, refusals."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from accumulator_cases import check
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK, assert_same

from refq.accumulation import ACCUMULATORS, Accumulator, Register, parse_accumulator
from refq.formats import INT16, INT32, INT64, IntFormat, Overflow
from refq.products.accumulators import accumulate, finish
from refq.spec import accumulators as spec

WRAP, SATURATE, ERROR = Overflow.WRAP, Overflow.SATURATE, Overflow.ERROR
OWN = [
    Accumulator("bytes31", Register(INT32, WRAP), Register(IntFormat(8, signed=False), WRAP), 31),
    Accumulator("symmetric", Register(IntFormat(8, narrow_range=True), SATURATE, True)),
    Accumulator("products16", Register(IntFormat(20), SATURATE, True), Register(INT16, SATURATE), 1),
    Accumulator("threes", Register(IntFormat(9), SATURATE, True), Register(IntFormat(6), SATURATE, True), 3, 2),
    Accumulator("checked", Register(IntFormat(12), ERROR, True), Register(IntFormat(10), ERROR, True), 2, 3),
    Accumulator("checked_chunks", Register(IntFormat(12), SATURATE), Register(IntFormat(10), ERROR), 3),
    Accumulator("one_bit", Register(IntFormat(1), WRAP)),
    Accumulator("unsigned63", Register(IntFormat(63, signed=False), WRAP)),
    Accumulator("wrap64", Register(INT64, WRAP), Register(IntFormat(3, signed=False), SATURATE), 0, 4),
    Accumulator("far", Register(INT32, WRAP), Register(INT16, WRAP), 10**30, 10**9),
]
EVERY = pytest.mark.parametrize("rule", [*ACCUMULATORS.values(), *OWN], ids=lambda rule: rule.name)
LIMIT = 1 << 40


def edges(rule):
    """Ends of the rule's registers as terms, which they are with ones on the other side."""
    registers = [r for r in (rule.inner, rule.outer) if r is not None]
    ends = {v for r in registers for v in (r.fmt.qmin, r.fmt.qmax) if abs(v) < LIMIT}
    return sorted(ends | {0}) if ends else [-LIMIT, 0, LIMIT]


@EVERY
def test_sums_that_reach_a_limit_pass_it_and_come_back(rule):
    for end in edges(rule):
        for one in (1, -1):
            for terms in ([end], [end, one], [end, one, -one], [end, 0, 0, one, -one, -one], [end, end, -end, -end]):
                for t in range(1, len(terms) + 1):
                    check(np.ones((1, t), np.int8), np.array(terms[:t])[:, None], rule)
                    check(np.array([terms[:t]]), np.ones((t, 1), np.int8), rule, 1)


@EVERY
def test_the_bias_comes_first(rule):
    columns = np.array([[5, -5, 0, 7], [-5, 5, 0, -7], [1, 1, -1, 0]])
    for end in edges(rule):
        for bias in (end, end - 1, end + 1, -end):
            check(np.ones((2, 3), np.int16), columns, rule, bias)
        check(np.ones((5, 3), np.int16), columns, rule, np.array([end, 0, 1, -1]))


@EVERY
@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 1, 1), (3, 2, 5), (7, 9, 2), (2, 65, 3), (3, 130, 1)])
def test_bytes_at_their_ends(rule, rows, depth, columns):
    random = np.random.default_rng(rows + depth)
    lhs = random.choice(np.array([0, 1, 127, 128, 255], np.uint8), (rows, depth))
    rhs = random.choice(np.array([-128, -127, -1, 0, 64, 127], np.int8), (depth, columns))
    check(lhs, rhs, rule)
    check(lhs, rhs, rule, random.integers(-9, 9, columns))


REGISTERS = st.builds(
    lambda bits, signed, overflow, step: Register(IntFormat(bits, signed), overflow, step and overflow != WRAP),
    st.integers(1, 10),
    st.booleans(),
    st.sampled_from(Overflow),
    st.booleans(),
)
RULES = st.builds(
    Accumulator, st.just("own"), REGISTERS, st.none() | REGISTERS, st.integers(0, 5), st.integers(1, 4), st.just("")
)


@given(RULES, st.integers(1, 3), st.integers(0, 12), st.integers(1, 3), st.integers(0, 2**32), st.integers(-20, 20))
@QUICK
def test_any_rule_on_small_numbers(rule, rows, depth, columns, seed, bias):
    random = np.random.default_rng(seed)
    lhs, rhs = random.integers(-9, 10, (rows, depth)), random.integers(-9, 10, (depth, columns))
    check(lhs, rhs, rule, bias)


@given(st.lists(st.integers(-300, 300), max_size=12), st.integers(1, 9), st.integers(-9, 9), st.randoms())
@QUICK
def test_a_wrap_needs_no_order_and_no_steps(terms, bits, bias, random):
    rule = Accumulator("wrap", Register(IntFormat(bits), WRAP))
    once = (bias + sum(terms) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    random.shuffle(terms)
    assert spec.accumulate(terms, rule, bias) == once
    inner = Accumulator("wraps", rule.outer, Register(IntFormat(bits + 1), WRAP), 2)
    assert spec.accumulate(terms, inner, bias) == once


def test_saturating_steps_depend_on_the_order():
    terms = np.array(list(permutations([30000, 10000, -20000])))
    results = accumulate("gemm", terms, np.ones((3, 1), np.int8), "saturate16_steps")
    assert results[:, 0].tolist() == [12767, 20000, 12767, 20000, 20000, 20000]
    assert set(accumulate("gemm", terms, np.ones((3, 1), np.int8), "saturate16")[:, 0].tolist()) == {20000}


def test_numbers_from_elsewhere():
    """oneDNN's developer guide; microsoft/onnxruntime#16105; 255 * 127 * 64 on a VNNI host; hand-computed rests."""
    full = np.full((1, 2), 255, np.uint8)
    assert accumulate("gemm", full, [[127], [127]], "pairs16").tolist() == [[32767]]
    assert accumulate("gemm", full, [[-128], [-128]], "pairs16").tolist() == [[-32768]]
    assert accumulate("gemm", full, [[127], [127]], "exact").tolist() == [[64770]]
    assert accumulate("gemm", full, [[-128], [-128]], "wrap32").tolist() == [[-65280]]
    inputs = np.array([[210, 198]], np.uint8)
    assert accumulate("gemm", inputs, [[-81, -80], [-80, -80]], "pairs16").tolist() == [[-32768, -32640]]
    deep = np.full((1, 64), 255, np.uint8), np.full((64, 1), 127, np.int8)
    assert accumulate("gemm", *deep, "quads_saturate32").tolist() == [[2072640]]
    assert accumulate("gemm", *deep, "pairs16").tolist() == [[32 * 32767]]
    # The odd last term has the partner 0; (-128) * (-128) twice is the one int8 pair that leaves int16
    assert accumulate("gemm", [[255] * 3], [[127]] * 3, "pairs16").tolist() == [[32767 + 32385]]
    low = np.full((1, 9), -128, np.int8)
    assert accumulate("gemm", low, low.T, "pairs8_wrap16").tolist() == [[-32768 + 7 * 16384]]
    assert accumulate("gemm", low, low.T, "pairs_wrap16").tolist() == [[4 * -32768 + 16384]]
    # gemmlowp and ruy keep -128 out of one side for that reason
    assert accumulate("gemm", low, np.full((9, 1), -127), "pairs8_wrap16").tolist() == [[9 * 16256]]


def test_finish_is_the_rule_on_exact_sums():
    sums = np.array([[-(1 << 40), -32769, -32768], [32767, 32768, (1 << 40) + 5]])
    for name in ("wrap16", "wrap24", "wrap32", "wrap48", "saturate16", "saturate32", "exact"):
        rule = ACCUMULATORS[name]
        expected = [[spec.accumulate([int(x)], rule) for x in row] for row in sums]
        for array in (sums, sums.T.copy().T, sums.astype(">i8")):
            assert_same(got=finish("gemm", array, name), expected=np.array(expected))
    assert finish("gemm", np.int64(70000), "wrap16") == 4464
    assert finish("gemm", np.empty((0, 3), np.int64), "int32").shape == (0, 3)
    with pytest.raises(
        ValueError, match=r"^conv: sum\[1, 2\]=1099511627781 is outside -2147483648\.\.2147483647, int32"
    ):
        finish("conv", np.abs(sums) * [[0], [1]], "int32")
    with pytest.raises(ValueError, match=r"^gemm: rule=pairs16 looks at partial sums; pass the operands"):
        finish("gemm", sums, "pairs16")


@EVERY
def test_layouts_dtypes_and_empty_sides(rule):
    random = np.random.default_rng(3)
    lhs, rhs = random.integers(0, 2, (6, 10)), random.integers(0, 2, (10, 4))
    if rule.name in ("one_bit", "symmetric", "threes"):
        lhs[:] = 0
    expected = accumulate("gemm", lhs, rhs, rule)
    for dtype in ("int8", "uint8", ">i2", "uint16", "<i4", ">u4", "int64", "uint64"):
        assert_same(got=accumulate("gemm", lhs.astype(dtype), rhs.astype(dtype), rule), expected=expected)
    twice = np.repeat(np.repeat(lhs, 2, 0), 2, 1)
    fixed = rhs.copy()
    fixed.flags.writeable = False
    assert_same(got=accumulate("gemm", twice[::2, ::2], np.asfortranarray(rhs), rule), expected=expected)
    assert_same(
        got=accumulate("gemm", lhs[::-1, ::-1], fixed[::-1], rule), expected=accumulate("g", lhs[::-1], rhs, rule)
    )
    assert accumulate("gemm", lhs[:0], rhs, rule).shape == (0, 4)
    assert accumulate("gemm", lhs, rhs[:, :0], rule).shape == (6, 0)
    assert_same(got=accumulate("gemm", lhs[:, :0], rhs[:0], rule), expected=np.zeros((6, 4), np.int64))


def test_every_name_is_its_own_and_has_a_source():
    for name, rule in ACCUMULATORS.items():
        assert name == rule.name
        assert rule.source
        assert parse_accumulator(name) is parse_accumulator(rule) is rule
    kinds = {
        (r.outer, r.inner, r.chunk if r.inner or r.outer.each_step else 1, r.stride) for r in ACCUMULATORS.values()
    }
    assert len(kinds) == len(ACCUMULATORS)


def page_row(rule):
    """A line of the table in docs/accumulators.md."""
    inner = rule.inner.name if rule.inner else ""
    chunk = "all" if rule.chunk == 0 else str(rule.chunk)
    stride = f", {rule.stride} apart" if rule.stride > 1 else ""
    return f"| `{rule.name}` | {chunk}{stride} | {inner} | {rule.outer.name} | {rule.source} |"


def test_the_page_lists_every_rule():
    text = (Path(__file__).resolve().parents[1] / "docs" / "accumulators.md").read_text()
    assert [row for row in map(page_row, ACCUMULATORS.values()) if row not in text] == []
