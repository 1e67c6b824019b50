"""Each layer judged alone: fed with the runtime's own values, under the profile's rule and under every other one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from refq.graphs import Prepared, Step
from verify.models.asking import Answer, Tensors
from verify.models.serving import sliced
from verify.progress import Progress
from verify.trace import AGREES, HIDDEN, NONE, OTHER, REFUSED, Difference, Judgement, Layer
from verify.trace_comparing import compare, same
from verify.trace_walking import Walk, gathered_blocks, gathered_sample, layer_alone, pieces, reads, worst_samples


def walked(
    prepared: Prepared, answer: Answer, golden: Tensors, inputs: Tensors, progress: Progress
) -> tuple[Walk, tuple[Layer, ...]]:
    """Every layer of a model compared with the golden run and judged alone."""
    walk = Walk(prepared, answer, golden, dict(inputs), {}, set(inputs))
    layers = []
    for place, step in enumerate(prepared.steps):
        progress(f"judging {answer.backend.name}", place, len(prepared.steps))
        layers.append(_layer(walk, step))
    return walk, tuple(layers)


def _layer(walk: Walk, step: Step) -> Layer:
    node, first = step.site.node, step.site.outputs[0]
    shown = {name: walk.answer.tensors[name] for name in node.outputs if name in walk.answer.tensors}
    results = tuple(compare(name, array, walk.golden[name], walk.samples) for name, array in shown.items())
    try:
        expected = dict(zip(node.outputs, _computed(walk, step), strict=True))
        judgement = _judged(walk, step, shown, expected, results)
    except ValueError as error:
        expected = {name: walk.golden[name] for name in node.outputs}
        judgement = Judgement(REFUSED, through=_through(walk, step), note=str(error))
    _keep(walk, step, shown, expected)
    tags = " ".join(sorted(step.op.tags(step.site)))
    kind = tuple(reads(step)), node.outputs, first.shape, first.dtype
    return Layer(node.name, step.op.name, node.source, tags, step.rule, *kind, results, judgement)


def _computed(walk: Walk, step: Step) -> tuple[NDArray[Any], ...]:
    """What the profile's rule makes of the runtime's own values; the golden run did it where they are equal."""
    if walk.equal.issuperset(reads(step)):
        return tuple(walk.golden[name] for name in step.site.node.outputs)
    return layer_alone(walk.prepared, step, walk.own, walk.samples)


def _through(walk: Walk, step: Step) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node for name in reads(step) for node in walk.through.get(name, ())))


def _fits(array: NDArray[Any], golden: NDArray[Any]) -> bool:
    return array.dtype == golden.dtype and array.shape == golden.shape


def _keep(walk: Walk, step: Step, shown: Tensors, expected: Tensors) -> None:
    """The runtime's own values where it shows them in the right kind, else the computed ones."""
    for name, computed in expected.items():
        seen = name in shown and _fits(shown[name], walk.golden[name])
        walk.own[name] = shown[name] if seen else computed
        if not seen:
            walk.through[name] = (*_through(walk, step), step.site.node.name)
        if same(walk.own[name], walk.golden[name]):
            walk.equal.add(name)


def _judged(
    walk: Walk, step: Step, shown: Tensors, expected: Tensors, results: tuple[Difference, ...]
) -> Judgement:  # fmt: skip
    through = _through(walk, step)
    if not shown:
        return Judgement(HIDDEN, through=through)
    alone = [compare(name, array, expected[name], walk.samples) for name, array in shown.items()]
    compared, differing = sum(d.compared for d in alone), sum(d.differing for d in alone)
    sizes = [d.largest for d in alone if d.differing]
    largest = None if None in sizes else max((s for s in sizes if s is not None), default=0)
    counts = compared, differing, largest
    if not differing:
        return Judgement(AGREES, *counts, (step.rule,), 1, through)
    odd = [d.note for d in results if d.note]
    if odd:
        return Judgement(NONE, *counts, (), 0, through, odd[0])
    legal = step.op.rules(step.site)
    rules = reproducing(walk, step, shown, legal, worst_samples([d.by_sample for d in alone], walk.samples))
    return Judgement(OTHER if rules else NONE, *counts, rules, len(legal), through)


def all_rules(walk: Walk, step: Step) -> tuple[str, ...]:
    """Every rule that reproduces all the runtime's values of a node from its own inputs."""
    shown = {name: walk.answer.tensors[name] for name in step.site.node.outputs if name in walk.answer.tensors}
    if not shown or not all(_fits(array, walk.golden[name]) for name, array in shown.items()):
        return ()
    return reproducing(walk, step, shown, step.op.rules(step.site), [0])


def reproducing(
    walk: Walk, step: Step, shown: Tensors, rules: Iterable[str], probes: list[int]
) -> tuple[str, ...]:  # fmt: skip
    """Those of the rules that give all shown values; most are discarded on the samples `probes`."""
    alive = tuple(rules)
    for place in probes:
        alive = _alive(walk, step, shown, alive, place, 1, gathered_sample(walk, step, place))
    if not alive:
        return ()
    for block in gathered_blocks(walk.prepared, step, walk.own, walk.samples):
        for piece in pieces(step, *block):
            alive = _alive(walk, step, shown, alive, *piece)
    return alive


def _alive(
    walk: Walk, step: Step, shown: Tensors, rules: tuple[str, ...], start: int, count: int, gathered: Any
) -> tuple[str, ...]:  # fmt: skip
    wanted = {name: sliced(array, walk.samples, start, count) for name, array in shown.items()}
    return tuple(rule for rule in rules if _gives(step, gathered, rule, wanted))


def _gives(step: Step, gathered: Any, rule: str, wanted: Tensors) -> bool:
    """Whether a rule gives those values; one that is not defined there does not."""
    try:
        found = dict(zip(step.site.node.outputs, step.bound.finish(gathered, rule), strict=True))
    except ValueError:
        return False
    return all(same(found[name], array) for name, array in wanted.items())
