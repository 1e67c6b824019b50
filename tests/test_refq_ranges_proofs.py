"""Verdicts on accumulators: every input of small boxes tried in both directions, and the rules on real sizes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refq_cases import QUICK

from refq.accumulation import ACCUMULATORS, Accumulator, Register
from refq.formats import INT16, INT32, IntFormat, Overflow
from refq.products.accumulators import accumulate
from refq.products.proofs import prove_accumulator
from refq.spec import accumulators as spec

WRAP, SATURATE, ERROR = Overflow.WRAP, Overflow.SATURATE, Overflow.ERROR
REGISTERS = st.builds(
    lambda bits, signed, overflow, step: Register(IntFormat(bits, signed), overflow, step and overflow != WRAP),
    st.integers(2, 6),
    st.sampled_from([True, True, False]),
    st.sampled_from(Overflow),
    st.booleans(),
)


def made(terms, rule, bias):
    """The definition's sum, None where it refuses."""
    try:
        return spec.accumulate(terms, rule, bias)
    except ValueError:
        return None


def changed(weights, low, high, rule, bias):
    """Whether any input of the box gets another sum than the exact one."""
    boxes = [range(a, b + 1) for a, b in zip(low, high, strict=True)]
    for inputs in product(*boxes):
        terms = [x * w for x, w in zip(inputs, weights, strict=True)]
        if made(terms, rule, bias) != bias + sum(terms):
            return True
    return False


def check(weights, low, high, rule, bias=0):
    """The verdict's claims about one channel, against the definition; returns it."""
    proof = prove_accumulator(np.array(weights, np.int64)[:, None], low, high, rule, bias)
    assert proof.safe == (proof.margin >= 0) == (proof.inputs is None)
    if proof.safe:
        assert not proof.differs
        return proof
    inputs = proof.inputs.tolist()
    assert all(a <= x <= b for a, x, b in zip(low, inputs, high, strict=True))
    terms = [x * w for x, w in zip(inputs, weights, strict=True)]
    assert (proof.exact, proof.result) == (bias + sum(terms), made(terms, rule, bias))
    assert proof.differs == (proof.exact != proof.result)
    return proof


@given(st.data(), REGISTERS, st.none() | REGISTERS, st.integers(0, 3), st.integers(1, 2))
@QUICK
def test_every_input_of_a_small_box_agrees_with_the_verdict(data, outer, inner, chunk, stride):
    rule = Accumulator("own", outer, inner, chunk, stride)
    depth = data.draw(st.integers(1, 4))
    weights = data.draw(st.lists(st.integers(-4, 4), min_size=depth, max_size=depth))
    low = data.draw(st.lists(st.integers(-3, 1), min_size=depth, max_size=depth))
    high = [a + data.draw(st.integers(0, 3)) for a in low]
    bias = data.draw(st.integers(max(outer.fmt.qmin, -5), min(outer.fmt.qmax, 5)))
    proof = check(weights, low, high, rule, bias)
    differs = changed(weights, low, high, rule, bias)
    if proof.safe or proof.differs:
        assert proof.differs == differs
    around_zero = all(a <= 0 <= b for a, b in zip(low, high, strict=True))
    if rule.inner is None and around_zero:
        assert proof.safe == (not differs)


FOUR, TIGHT = IntFormat(4), IntFormat(6)


@pytest.mark.parametrize("rule", ["wrap", "saturate", "steps", "error", "error_steps", "inner"])
def test_the_limit_is_safe_and_one_more_is_not(rule):
    register = {
        "wrap": Register(FOUR, WRAP),
        "saturate": Register(FOUR, SATURATE),
        "steps": Register(FOUR, SATURATE, True),
        "error": Register(FOUR, ERROR),
        "error_steps": Register(FOUR, ERROR, True),
    }
    built = Accumulator(
        rule, register.get(rule, Register(TIGHT, WRAP)), None if rule in register else register["wrap"], 0
    )
    for weights, bias, safe in (([1, 3], 3, True), ([1, 3], 4, False), ([-1, -3], -4, True), ([-1, -3], -5, False)):
        start = 0 if rule == "inner" else bias
        terms = [*weights, bias] if rule == "inner" else weights
        proof = check(terms, [0] * len(terms), [1] * len(terms), built, start)
        assert (proof.safe, proof.margin) == (safe, 0 if safe else -1)
        assert proof.differs is not safe
        assert proof.register == ("inner" if rule == "inner" else "outer")


def test_what_each_rule_looks_at():
    """100 - 100 + 1 on the way: nothing for a wrap or a last clamp, everything for steps."""
    weights, ones = [100, -100, 1], [1, 1, 1]
    for rule, safe in (("wrap", True), ("saturate", True), ("steps", False)):
        register = Register(FOUR, WRAP if rule == "wrap" else SATURATE, rule == "steps")
        assert check(weights, ones, ones, Accumulator(rule, register)).safe is safe
    four = Accumulator("four", Register(INT32, WRAP), Register(FOUR, SATURATE), 0)
    assert check(weights, ones, ones, four).safe
    proof = check([3, 5, -9, 5], [0] * 4, [1] * 4, Accumulator("f", four.outer, Register(FOUR, SATURATE, True), 0))
    assert (proof.register, proof.upper, proof.differs) == ("inner", 13, True)
    # An inner register of steps is left on the way, whatever its last sum
    proof = check(weights, ones, ones, Accumulator("five", four.outer, Register(FOUR, SATURATE, True), 0))
    assert (proof.safe, proof.register, proof.lower, proof.upper, proof.differs) == (False, "inner", 0, 100, True)
    # An inner wrap that the outer one absorbs does not matter, a narrower one does
    assert check(weights, ones, ones, Accumulator("a", Register(FOUR, WRAP), Register(FOUR, WRAP), 1)).safe
    assert not check(weights, ones, ones, Accumulator("b", Register(TIGHT, WRAP), Register(FOUR, WRAP), 1)).safe


def test_a_register_left_on_the_way_can_come_back_right():
    """137 is clamped to 127, 127 - 265 to -128; the exact sum is -128 too, and there is no other input."""
    proof = check([137, -265], [1, 1], [1, 1], Accumulator("steps8", Register(IntFormat(8), SATURATE, True)))
    assert (proof.safe, proof.differs, proof.exact, proof.result) == (False, False, -128, -128)
    held = "outer register holds -128..137"
    assert str(proof) == f"steps8, 1 channel of depth 2: can overflow; {held}; channel 0, exact sum -128, gives -128"


def test_verdicts_on_layers_of_real_size():
    random = np.random.default_rng(5)
    weights = random.integers(-128, 128, (4608, 64), dtype=np.int8)
    bias = random.integers(-(1 << 20), 1 << 20, 64)
    for name in ("exact", "int32", "int32_steps", "int48_steps", "wrap32", "saturate32_steps", "quads_saturate32"):
        proof = prove_accumulator(weights, -128, 127, name, bias)
        assert proof.safe, str(proof)
    for name in ("wrap16", "wrap24", "saturate16_steps", "pairs16", "pairs8_wrap16", "lanes8_saturate16"):
        proof = prove_accumulator(weights, 0, 255, name, bias if "16_steps" not in name else None)
        start = 0 if "16_steps" in name else bias[proof.channel]
        column = weights[:, [proof.channel]]
        assert proof.differs, str(proof)
        assert accumulate("gemm", proof.inputs[None], column, name, start).tolist() == [[proof.result]]
        assert accumulate("gemm", proof.inputs[None], column, "exact", start).tolist() == [[proof.exact]]
    # Weights of 7 bits make VPMADDUBSW exact
    assert prove_accumulator(weights // 2, 0, 255, "pairs16").margin == 32768 - 2 * 255 * 64


def test_the_ends_of_int64():
    for weight, room in ((1, (1 << 63) - 1 - 7), (-1, (1 << 63) - 7)):
        proof = check([weight * 7], [0], [1], ACCUMULATORS["exact"])
        assert (proof.safe, proof.margin) == (True, room)
    assert check([(1 << 63) - 2], [0], [1], ACCUMULATORS["exact"], 1).margin == 0
    assert check([(1 << 63) - 1], [0], [1], ACCUMULATORS["exact"], 1).result is None


def test_beyond_int64_and_without_depth():
    proof = check([1 << 40, 1 << 40], [0, 0], [1 << 40] * 2, ACCUMULATORS["exact"])
    assert (proof.safe, proof.exact, proof.result) == (False, 1 << 81, None)
    assert str(proof).endswith("exact sum 2417851639229258349412352, refused")
    for rule in ("wrap16", "pairs16", "lanes8_saturate16", "int32_steps"):
        assert prove_accumulator(np.empty((0, 2), np.int8), 0, 1, rule, [1, 2]).upper == 2
    assert not prove_accumulator(np.empty((0, 1), np.int8), 0, 1, "wrap16", 40000).safe


def test_bad_arguments():
    with pytest.raises(
        ValueError, match=r"^prove_accumulator: bias\[1\]=40000 is outside -32768\.\.32767, the accumul"
    ):
        prove_accumulator([[1, 1]], 0, 1, "saturate16_steps", [0, 40000])
    with pytest.raises(ValueError, match=r"^prove_accumulator: weights have no channel"):
        prove_accumulator(np.empty((3, 0), np.int8), 0, 1, "wrap16")
    with pytest.raises(ValueError, match=r"^parse_accumulator: 'int16' is no rule"):
        prove_accumulator([[1]], 0, 1, "int16")
    with pytest.raises(ValueError, match=r"^prove_accumulator: low\[0\]=2 is above high\[0\]=1"):
        prove_accumulator([[1]], 2, 1, "wrap16")
    rule = Accumulator("x", Register(INT32, WRAP), Register(INT16, SATURATE), 2)
    assert prove_accumulator([[[1, 2]], [[3, 4]]], 0, 9, rule, axis=0).upper == 63
