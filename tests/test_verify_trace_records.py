"""The records behind a trace: exact comparison, the arithmetic of one element, the staircase around its sum."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import trace_models
from refq_cases import assert_same

from refq.graphs import PROFILES, prepare, run
from refq.importers import read_tflite
from verify.models import MODEL_BACKENDS
from verify.models.asking import Answer
from verify.trace import Divergence
from verify.trace_comparing import compare, same
from verify.trace_inputs import random_inputs
from verify.trace_judging import walked
from verify.trace_making import first_divergence

SAMPLES = 40


def quiet(*_: Any) -> None:
    """No progress."""


@pytest.mark.parametrize(
    ("left", "right", "differing", "largest"),
    [
        (np.float32([[0.0]]), np.float32([[-0.0]]), 1, 0.0),
        (np.float32([[np.nan]]), np.float32([[np.nan]]), 0, 0),
        (np.float32([[np.nan, 1]]), np.float32([[2, 1]]), 1, None),
        (np.float32([[np.inf, 1]]), np.float32([[2, 4]]), 2, None),
        (np.int8([[-128, 3]]), np.int8([[127, 3]]), 1, 255),
        (np.int64([[-(1 << 63)]]), np.int64([[(1 << 63) - 1]]), 1, (1 << 64) - 1),
        (np.uint64([[1]]), np.uint64([[(1 << 64) - 1]]), 1, (1 << 64) - 2),
        (np.array([[True, False]]), np.array([[True, True]]), 1, 1),
    ],
)
def test_comparison_is_exact(left: Any, right: Any, differing: int, largest: Any) -> None:
    found = compare("t", left, right, 1)
    assert (found.differing, found.largest, found.compared) == (differing, largest, left.size)
    assert same(left, right) == (not differing)


def test_first_difference_is_in_the_order_of_samples() -> None:
    left, right = np.zeros((6, 2, 2), np.int16), np.zeros((6, 2, 2), np.int16)
    left[3, 1, 0], left[4, 0, 0], left[5, 1, 0] = 7, -1, 2
    found = compare("t", left, right, 3)
    assert (found.sample, found.index, found.differing, found.largest) == (1, (1, 1, 0), 3, 7)
    assert found.counts is not None
    assert found.by_sample is not None
    assert_same(found.by_sample, np.int64([0, 1, 2]))
    assert_same(found.counts, np.int64([[[1, 0], [0, 0]], [[0, 0], [2, 0]]]))


def test_another_kind_is_a_difference_of_everything() -> None:
    assert compare("t", np.zeros((2, 3), np.int8), np.zeros((2, 3), np.uint8), 2).note == "dtype int8, expected uint8"
    found = compare("t", np.zeros((2, 3), np.int8), np.zeros((2, 4), np.int8), 2)
    assert (found.note, found.differing) == ("shape (2, 3), expected (2, 4)", 8)


def divergence_of(backend_profile: str, profile: str) -> tuple[Divergence, Any]:
    """A runtime that follows one profile beside the golden run under another."""
    graph = read_tflite(trace_models.small_net())
    inputs = random_inputs(graph, SAMPLES, 5)
    shown = run(graph, inputs, backend_profile, keep=True)
    answer = Answer(MODEL_BACKENDS["litert"], "", SAMPLES, {n: a for n, a in shown.items() if n not in inputs})
    prepared = prepare(graph, profile)
    walk, layers = walked(prepared, answer, run(prepared, inputs, keep=True), inputs, quiet)
    first = first_divergence(walk, layers)
    assert first is not None
    return first, layers


def test_answers_and_staircase_agree_at_the_sum() -> None:
    first, _ = divergence_of("litert-builtin", "litert-reference")
    found = first.arithmetic
    assert found is not None
    assert found.steps is not None
    assert found.accumulator is not None
    by_rule = {rule: code for code, rules in found.answers.items() for rule in rules}
    assert by_rule[first.rule] == first.expected
    assert {by_rule[rule] for rule in first.rules} == {first.got}
    at = int(np.flatnonzero(found.steps.accumulators == found.accumulator)[0])
    assert len(found.steps.codes) >= 2
    for rule, codes in found.steps.codes.items():
        assert codes[at] == by_rule[rule]
        assert (np.diff(codes.astype(np.int64)) >= 0).all()
        assert codes[0] < codes[-1]


def test_value_and_residue_are_exact() -> None:
    first, _ = divergence_of("litert-xnnpack", "litert-reference")
    found = first.arithmetic
    assert found is not None
    assert found.accumulator is not None
    assert found.scale == Fraction(1, 256)
    assert found.value == found.accumulator * found.scale - 7
    assert found.residue is not None
    assert abs(found.residue) <= Fraction(1, 256)


def test_layers_that_agree_are_not_searched() -> None:
    _, layers = divergence_of("litert-builtin", "litert-reference")
    for layer in layers:
        tried = len(prepare_rules(layer.node)) if layer.alone.differing else 1
        assert layer.alone.tried == tried


def prepare_rules(node: str) -> tuple[str, ...]:
    prepared = prepare(read_tflite(trace_models.small_net()), PROFILES["litert-reference"])
    return next(step.op.rules(step.site) for step in prepared.steps if step.site.node.name == node)
