"""Planted rules: every one must be caught, and named. A verifier that cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from boxes import Requantizer, box, following, real_scale

from refq import IntFormat, Rounding, Semantics, parse_semantics, quantize, requantize
from verify.conform import verify_op
from verify.identify import candidates, identify_op

OP = "CONV_2D"
BASE = parse_semantics("gemmlowp_double")
EVERY = [variants[0] for variants in candidates(OP)]
SOME = [
    "gemmlowp_double/double_product/after",
    "gemmlowp_double/mixed_product/after",
    "gemmlowp_double/double_product/before",
    "double_up/mixed_product/after",
    "single_up/double_product/after",
    "single_away/double_product/after",
    "single_even/double_product/before",
    "reduced_int64/double_product/after",
    "float32_ties_even/float32_product/after",
    "float32_ties_even/double_product/before",
    "float64_ties_away/mixed_product/after",
    "float64_ties_even/float32_product/before",
    "exact_ties_even/exact_product/after",
    "xnnpack_rndnu16/float32_product/after",
    "dyadic_ties_even/mixed_product/after",
    "multiply_add_shift_floor/double_product/after",
]


def named(semantics: Semantics) -> None:
    [verdict] = identify_op(following(semantics), "planted", OP)
    got = [c.semantics.label for c in verdict.consistent]
    assert semantics.label in got
    # what else survives is the same function on every case, never another rule's answer
    assert len(got) <= 3
    assert semantics.rule.clamp in next(c.clamps for c in verdict.consistent if c.semantics.label == semantics.label)


@pytest.mark.parametrize("label", SOME)
def test_planted_rule_is_named_alone(label: str) -> None:
    [verdict] = identify_op(following(parse_semantics(label)), "planted", OP)
    assert [c.semantics.label for c in verdict.consistent] == [label]


@pytest.mark.sweep
@pytest.mark.parametrize("semantics", EVERY, ids=lambda s: s.label)
def test_every_candidate_is_named_when_planted(semantics: Semantics) -> None:
    named(semantics)


def test_the_plants_differ_from_the_base_rule() -> None:
    others = [parse_semantics(label) for label in SOME[1:]]
    wrong = [verify_op(following(s), "planted", OP, [BASE]).wrong for s in others]
    assert min(wrong) > 0


def _base(acc: Any, parameters: dict[str, Any], fmt: IntFormat, **changes: Any) -> np.ndarray:
    zero_point = parameters["output_zero_point"]
    rule = replace(BASE.rule, **changes)
    return requantize(acc, rule, real_scale(parameters, BASE), zero_point=zero_point, fmt=fmt)


def truncates(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    return _base(acc, parameters, fmt, rounding=Rounding.TOWARD_ZERO)


def forgets_zero_point(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    return _base(acc, parameters | {"output_zero_point": 0}, fmt)


def wraps_the_code(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    return _base(acc, parameters, IntFormat(16)).astype(np.int8)


def drops_the_lowest_code(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    return np.maximum(_base(acc, parameters, fmt), np.int8(-127))


def clamps_then_adds_zero_point(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    clamped = _base(acc, parameters | {"output_zero_point": 0}, fmt).astype(np.int64)
    return np.clip(clamped + parameters["output_zero_point"], -128, 127).astype(np.int8)


def sixteen_bit_accumulator(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    return _base(acc.astype(np.int16), parameters, fmt)


def off_at_one_threshold(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    codes = _base(acc, parameters, fmt).astype(np.int64)
    moved = _base(acc - 1, parameters, fmt).astype(np.int64) if acc.min() > -(1 << 31) else codes
    # level 77 starts one accumulator late
    return np.where(codes == 77, np.minimum(codes, np.maximum(moved, 76)), codes).astype(np.int8)


def multiplier_one_less(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
    scale = real_scale(parameters, BASE) * (1 - 1 / 2**31)
    return requantize(acc, BASE.rule, scale, zero_point=parameters["output_zero_point"], fmt=fmt)


def special_zero_weights(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    """Right for zero weights, ties up otherwise: only a second carrier sees it."""
    rule = BASE if not inputs["w"].any() else parse_semantics("double_up")
    return following(rule)(op, parameters, inputs)


def another_rule_in_the_remainder(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    """Whole vectors of 16 follow the base rule, the rest rounds ties up: one inference at a multiple cannot see it."""
    codes = following(BASE)(op, parameters, inputs)
    tail = len(codes) // 16 * 16
    codes[tail:] = following(parse_semantics("double_up"))(op, parameters, inputs)[tail:]
    return codes


DEVIATIONS: list[Requantizer] = [
    truncates,
    forgets_zero_point,
    wraps_the_code,
    drops_the_lowest_code,
    clamps_then_adds_zero_point,
    sixteen_bit_accumulator,
    off_at_one_threshold,
    multiplier_one_less,
]


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda f: f.__name__)
def test_deviation_is_caught_and_follows_no_named_rule(deviation: Requantizer) -> None:
    result = verify_op(box(deviation), "planted", OP, [BASE])
    assert result.wrong > 0
    assert result.counterexamples
    verdicts = identify_op(box(deviation), "planted", OP)
    assert all(v.consistent == [] for v in verdicts)
    assert verdicts[0].nearest


NEAR = [drops_the_lowest_code, off_at_one_threshold, clamps_then_adds_zero_point]


@pytest.mark.parametrize("deviation", NEAR, ids=lambda f: f.__name__)
def test_small_deviation_is_nearest_to_the_rule_it_deviates_from(deviation: Requantizer) -> None:
    verdict = identify_op(box(deviation), "planted", OP)[0]
    assert verdict.nearest[0][0] == BASE.label


POSITIONAL: list[Callable[..., np.ndarray]] = [special_zero_weights, another_rule_in_the_remainder]


@pytest.mark.parametrize("deviation", POSITIONAL, ids=lambda f: f.__name__)
def test_deviation_outside_the_main_path_is_caught(deviation: Callable[..., np.ndarray]) -> None:
    assert verify_op(deviation, "planted", OP, [BASE]).wrong > 0


def test_remainder_rule_is_named() -> None:
    blocks, remainder = identify_op(another_rule_in_the_remainder, "planted", OP)
    assert [c.semantics.label for c in blocks.consistent] == [BASE.label]
    assert "double_up/double_product/after" in [c.semantics.label for c in remainder.consistent]
    assert (blocks.positions, remainder.positions) == ("blocks", "remainder")


def test_counterexample_can_be_replayed() -> None:
    result = verify_op(box(truncates), "planted", OP, [BASE])
    witness = result.counterexamples[0]
    case = witness.case
    scale = real_scale(vars(case) | {"weight_scale": case.weight_scale}, BASE)
    expected = requantize(np.array([witness.x]), BASE.rule, scale, zero_point=case.zero_point, fmt=case.fmt)
    assert int(expected[0]) == witness.expected != witness.got


def quantizes_otherwise_at_the_end(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> np.ndarray:
    """Ties even in whole vectors of 8, ties away in the rest."""
    x, scale, zero_point = inputs["x"], parameters["output_scale"], parameters["output_zero_point"]
    codes = quantize(x, "float32_ties_even", scale, zero_point=zero_point)
    tail = len(codes) // 8 * 8
    codes[tail:] = quantize(x[tail:], "float32_ties_away", scale, zero_point=zero_point)
    return codes


def test_a_quantizer_with_two_rules_conforms_to_neither() -> None:
    for name in ("float32_ties_even", "float32_ties_away"):
        rule = parse_semantics(name, quantize=True)
        assert verify_op(quantizes_otherwise_at_the_end, "planted", "QUANTIZE", [rule]).wrong > 0
    blocks, remainder = identify_op(quantizes_otherwise_at_the_end, "planted", "QUANTIZE")
    assert [c.semantics.label for c in blocks.consistent] == ["float32_ties_even/division/after"]
    assert [c.semantics.label for c in remainder.consistent] == ["float32_ties_away/division/after"]


def test_a_label_without_clamp_stands_for_either_order() -> None:
    first, last = parse_semantics("double_up/double_product/after/first"), parse_semantics("double_up")
    assert verify_op(following(last), "planted", OP, [first]).wrong > 0
    result = verify_op(following(last), "planted", OP, [first, last])
    assert (result.wrong, result.semantics) == (0, last)


def test_a_counterexample_is_listed_once() -> None:
    def wrong_at_zero(acc: Any, parameters: dict[str, Any], fmt: IntFormat) -> np.ndarray:
        return np.where(acc == 0, 99, _base(acc, parameters, fmt)).astype(np.int8)

    found = verify_op(box(wrong_at_zero), "planted", OP, [BASE], errors=1000).counterexamples
    assert len({(w.case.name, w.carrier, w.x) for w in found}) == len(found) > 0
