"""One element of a layer: what it reads, its exact value, what each named rule gives, the staircase around its sum."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs import Step
from refq.graphs.ops.records import Element
from refq.graphs.running import arrays_of
from verify.explain import tie_residue
from verify.trace import Arithmetic, Field, Staircase
from verify.trace_walking import Walk, gathered_sample, sample_inputs

MOST_FIELD = 1 << 12
"""Values of a receptive field that are kept."""
STEPS = Fraction(8, 5)
"""Output steps to either side of the sum that the staircase shows."""
MOST_POINTS = 97
MOST_REPEATED = 1 << 22


def arithmetic(
    walk: Walk, step: Step, place: int, sample: int, index: tuple[int, ...], first: tuple[str, ...] = ()
) -> Arithmetic:
    """The element `index` of output `place` in one sample, from the runtime's own values of its inputs.

    first: rules that the staircase must hold.
    """
    arrays = arrays_of(step, sample_inputs(step, walk.own, walk.samples, sample, 1))
    gathered = gathered_sample(walk, step, sample)
    answers, refused = _answers(step, gathered, place, index)
    try:
        element = step.bound.element(arrays, place, index)
    except ValueError as error:
        return Arithmetic((), None, None, None, "", None, f"not explained: {error}", answers, refused)
    residue = None if element.value is None else tie_residue(element.value)
    chosen = dict.fromkeys((*first, step.rule, *(rules[0] for rules in answers.values())))
    steps = _staircase(step, gathered, element, place, index, [r for r in chosen if r not in dict(refused)])
    return Arithmetic(
        tuple(_field(walk, step, arrays, *field) for field in element.fields), element.accumulator, element.scale,
        element.value, element.approximate, residue, element.words, answers, refused, steps,
    )  # fmt: skip


def _answers(
    step: Step, gathered: Any, place: int, index: tuple[int, ...]
) -> tuple[dict[Any, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    """What each rule gives, rules by answer, the largest group first; and the rules that are not defined there."""
    found: dict[Any, list[str]] = {}
    refused = []
    for rule in step.op.rules(step.site):
        try:
            found.setdefault(step.bound.finish(gathered, rule)[place][index].item(), []).append(rule)
        except ValueError as error:
            refused.append((rule, str(error)))
    groups = sorted(found.items(), key=lambda group: -len(group[1]))
    return {code: tuple(rules) for code, rules in groups}, tuple(refused)


def _field(walk: Walk, step: Step, arrays: tuple[Any, ...], name: str, slices: tuple[slice, ...]) -> Field:
    array = arrays[step.site.node.inputs.index(name)]
    cut = array[slices]
    bounds = tuple(s.indices(size) for s, size in zip(slices, array.shape, strict=False))
    return Field(name, bounds, cut.copy() if cut.size <= MOST_FIELD else None)


def _points(accumulator: int, scale: Fraction) -> NDArray[np.int64]:
    """Accumulators around one, dense where a code is few of them wide."""
    reach = max(3, ceil(STEPS / abs(scale)))
    stride = max(1, -(-2 * reach // MOST_POINTS))
    near = range(accumulator - 3, accumulator + 4)
    far = range(accumulator - reach, accumulator + reach + 1, stride)
    limits = np.iinfo(np.int32)
    return np.array(sorted({x for x in (*near, *far) if limits.min <= x <= limits.max}), np.int64)


def _staircase(
    step: Step, gathered: Any, element: Element, place: int, index: tuple[int, ...], rules: list[str]
) -> Staircase | None:  # fmt: skip
    """The codes that rules give sums around that of the element, where the layer gathers plain sums."""
    if element.accumulator is None or not element.scale or not _plain_sums(step, gathered, element, place, index):
        return None
    points = _points(element.accumulator, element.scale)
    if gathered.size * points.size > MOST_REPEATED:
        return None
    rows = gathered.shape[0]
    many = np.concatenate([gathered] * points.size)
    lines = np.arange(points.size) * rows + index[0]
    many[(lines, *index[1:])] = points.astype(gathered.dtype)
    codes = {}
    for rule in rules:
        try:
            codes[rule] = step.bound.finish(many.copy(), rule)[place][(lines, *index[1:])]
        except ValueError:
            # a rule that is not defined on all of these sums has no staircase here
            continue
    return Staircase(points, codes)


def _plain_sums(step: Step, gathered: Any, element: Element, place: int, index: tuple[int, ...]) -> bool:
    """Whether what is gathered is an integer sum for each element, samples along dimension 0."""
    if not isinstance(gathered, np.ndarray) or gathered.dtype.kind != "i" or not index:
        return False
    shape = step.site.outputs[place].shape
    return step.op.batched(step.site) and gathered.shape == shape and int(gathered[index]) == element.accumulator
