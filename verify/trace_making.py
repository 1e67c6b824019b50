"""A trace made: one runtime beside the golden run, or two runtimes beside it and beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refq.graphs import Graph, Prepared, Profile, prepare
from refq.graphs.running import Step
from verify.failures import UsageError
from verify.models import ModelBackend
from verify.models.asking import Answer, Tensors, ask
from verify.models.serving import sliced
from verify.options import checked
from verify.progress import Progress
from verify.trace import Arithmetic, Between, Difference, Divergence, Layer, Side
from verify.trace_arithmetic import arithmetic
from verify.trace_asking import asked_again
from verify.trace_comparing import compare
from verify.trace_judging import all_rules, walked
from verify.trace_remedy import remedy
from verify.trace_walking import Walk, golden_run

MOST_BYTES = 1 << 30
"""Of all tensors of all samples, which a trace keeps twice."""


@dataclass(frozen=True, eq=False)
class Question:
    """One side of a trace before it is run: a runtime, the graph its file is read as, the profile it is held to."""

    backend: ModelBackend
    graph: Graph
    profile: Profile | str


def require_room(graph: Graph, samples: int) -> None:
    """UsageError where the tensors of that many samples do not fit the memory a trace may take."""
    from math import prod

    from refq.graphs.feeding import stored_dtype

    one = sum(prod(t.shape) * stored_dtype(t.dtype).itemsize for t in graph.tensors.values() if t.data is None)
    if one * samples > MOST_BYTES:
        most = MOST_BYTES // one
        raise UsageError(f"{samples} samples of {one} bytes of tensors are beyond {MOST_BYTES}; pass at most {most}")


# floats beyond float32 are infinite, as they are in a runtime
@np.errstate(over="ignore", invalid="ignore")
def one_side(
    question: Question, content: bytes, inputs: Tensors, samples: int, timeout: float, progress: Progress
) -> tuple[Side, Walk | None]:
    """The runtime's answer judged layer by layer; no walk where it failed before its first sample."""
    with checked():
        prepared = prepare(question.graph, question.profile)
    answer = ask(question.backend, content, question.graph, inputs, samples, timeout, progress)
    if not answer.samples:
        return _side(prepared, answer, (), None, None), None
    kept = {name: sliced(array, samples, 0, answer.samples) for name, array in inputs.items()}
    with checked():
        golden = golden_run(prepared, kept, answer.samples, progress, f"running the golden {prepared.profile.name}")
    walk, layers = walked(prepared, answer, golden, kept, progress)
    first = first_divergence(walk, layers)
    found = remedy(walk, layers, kept, progress)
    if first is not None and first.difference.sample is not None:
        answer = replace(
            answer, findings=(*answer.findings, *asked_again(walk, first, content, kept, timeout, progress))
        )
    return _side(prepared, answer, layers, first, found), walk


def _side(prepared: Prepared, answer: Answer, layers: tuple[Layer, ...], first: Any, found: Any) -> Side:
    made = [name for step in prepared.steps for name in step.site.node.outputs]
    hidden = tuple(name for name in made if name not in answer.tensors)
    lost = tuple(name for name in prepared.graph.outputs if name in hidden)
    findings = answer.findings + ((f"output {lost[0]!r} of the model is not shown",) if lost else ())
    return Side(
        answer.backend.name, answer.version, prepared.profile.name, answer.samples, layers, first, found,
        hidden, findings, answer.failure, lost,
    )  # fmt: skip


def first_divergence(walk: Walk, layers: Sequence[Layer]) -> Divergence | None:
    """The first tensor in graph order that differs from the golden run."""
    for step, layer in zip(walk.prepared.steps, layers, strict=True):
        for found in layer.results:
            if found.differing:
                values = walk.answer.tensors[found.tensor], walk.golden[found.tensor]
                return _divergence(walk, step, found, *values, layer.alone.rules)
    return None


def _divergence(
    walk: Walk, step: Step, found: Difference, left: Any, right: Any, rules: tuple[str, ...],
    other: tuple[str, ...] = (),
) -> Divergence:  # fmt: skip
    node = step.site.node
    if found.sample is None:
        return Divergence(node.name, step.op.name, step.rule, found, None, None, rules, None, other)
    got, expected = (_element(array, found) for array in (left, right))
    place = node.outputs.index(found.tensor)
    return Divergence(
        node.name, step.op.name, step.rule, found, got, expected, rules,
        _arithmetic(walk, step, place, found, (*rules[:1], *other[:1])), other,
    )  # fmt: skip


def _element(array: Any, found: Difference) -> Any:
    """The value that differs first: dimension 0 of what is stacked counts on from sample to sample."""
    assert found.counts is not None
    assert found.sample is not None
    if not found.index:
        return array.item()
    rows = found.counts.shape[0]
    return array[(found.sample * rows + found.index[0], *found.index[1:])].item()


def _arithmetic(
    walk: Walk, step: Step, place: int, found: Difference, first: tuple[str, ...]
) -> Arithmetic | None:  # fmt: skip
    assert found.sample is not None
    try:
        return arithmetic(walk, step, place, found.sample, found.index, first)
    except ValueError:
        # the runtime's own values of the inputs are beyond what the layer is defined on; the judgement says so
        return None


def between(left: Walk, right: Walk) -> Between:
    """Two runtimes on the same samples, tensor by tensor, in the order of the first one's graph."""
    samples = min(left.samples, right.samples)
    results, first = [], None
    for step in left.prepared.steps:
        for name in step.site.node.outputs:
            pair = [w.answer.tensors[name] for w in (left, right) if name in w.answer.tensors]
            if len(pair) < 2:
                continue
            arrays = [sliced(a, w.samples, 0, samples) for a, w in zip(pair, (left, right), strict=True)]
            found = compare(name, arrays[0], arrays[1], samples)
            results.append(found)
            if first is None and found.differing:
                first = _between_divergence(left, right, step, found)
    return Between(tuple(results), first)


def _between_divergence(left: Walk, right: Walk, step: Step, found: Difference) -> Divergence:
    """Both sides' rules at that tensor, and the element by the first side's sums."""
    twin = next((s for s in right.prepared.steps if found.tensor in s.site.node.outputs), None)
    rules, other = all_rules(left, step), () if twin is None else all_rules(right, twin)
    values = [w.answer.tensors[found.tensor] for w in (left, right)]
    return _divergence(left, step, found, values[0], values[1], rules, other)
