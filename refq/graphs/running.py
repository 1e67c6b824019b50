"""A graph on arrays: whole batches through the exact kernels, each node under the rule its profile names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.catalogue import OPS
from refq.graphs.checks import check_graph
from refq.graphs.choosing import find_profile, rule_of
from refq.graphs.feeding import feeds_of
from refq.graphs.ops.records import Arrays, Bound, Op
from refq.graphs.profiles.records import Profile
from refq.graphs.records import Graph
from refq.graphs.sites import Site, site_of

Tensors = dict[str, NDArray[Any]]

BLOCK_VALUES = 1 << 21
"""Samples run together while the largest tensor of the block holds no more values: sums of 8 bytes, 16 MiB."""


@dataclass(frozen=True, eq=False)
class Step:
    """A node ready to run, with the rule it follows."""

    site: Site
    op: Op
    bound: Bound
    rule: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """A graph ready to run under a profile. batched: samples may be stacked; else they are run one by one."""

    graph: Graph
    profile: Profile
    steps: tuple[Step, ...]
    batched: bool


def prepare(graph: Graph, profile: Profile | str) -> Prepared:
    """Every node bound, its constants checked and packed; ValueError names the node that cannot be.

    Graphs written by hand are held to what files are: names, order, attributes, shapes (`refq.graphs.checks`).
    profile: a name of `PROFILES` or a `Profile`.
    """
    if not isinstance(graph, Graph):
        raise TypeError(f"prepare: graph={type(graph).__name__} is not a Graph; read one with refq.importers")
    check_graph(graph, OPS)
    chosen = find_profile(profile)
    _require_nodes(graph, chosen)
    steps = []
    for node in graph.nodes:
        site, op = site_of(graph, node), OPS[node.op]
        rule = rule_of(chosen, op, site)
        steps.append(Step(site, op, op.bind(site, chosen.bounds), rule))
    return Prepared(graph, chosen, tuple(steps), all(step.op.batched(step.site) for step in steps))


def _require_nodes(graph: Graph, profile: Profile) -> None:
    """A rule for a node that is not there is a slip of the pen."""
    names = {node.name for node in graph.nodes}
    lost = [name for name in profile.nodes if name not in names]
    if lost:
        near = get_close_matches(lost[0], sorted(names), 1, 0.0)
        hint = f"; nearest: {near[0]!r}" if near else ""
        raise ValueError(f"profile {profile.name}: [nodes] {lost[0]!r} is no node of the model{hint}")


def arrays_of(step: Step, tensors: Mapping[str, NDArray[Any]]) -> Arrays:
    """What a node reads, in order: results of others, constants, None where it has no input."""

    def array(name: str | None, data: NDArray[Any] | None) -> NDArray[Any] | None:
        return data if name is None or data is not None else tensors[name]

    pairs = zip(step.site.node.inputs, step.site.inputs, strict=True)
    return tuple(array(name, None if tensor is None else tensor.data) for name, tensor in pairs)


def evaluate(step: Step, tensors: Mapping[str, NDArray[Any]], rule: str | None = None) -> tuple[NDArray[Any], ...]:
    """The outputs of one node from the tensors it reads, under its own rule or another one."""
    try:
        # floats beyond float32 are infinite, as they are in a runtime
        with np.errstate(over="ignore", invalid="ignore"):
            gathered = step.bound.gather(arrays_of(step, tensors))
            return step.bound.finish(gathered, step.rule if rule is None else rule)
    except ValueError as error:
        place = f"{step.op.name} {step.site.node.name}"
        text = str(error)
        raise ValueError(text if text.startswith(place) else f"{place}: {text}") from None


def _unread(prepared: Prepared) -> list[list[str]]:
    """For each step the tensors that neither a later step nor the result reads."""
    last = {name: place for place, step in enumerate(prepared.steps) for name in step.site.node.inputs if name}
    dropped: list[list[str]] = [[] for _ in prepared.steps]
    for name, place in last.items():
        if name not in prepared.graph.outputs:
            dropped[place].append(name)
    return dropped


def _run_block(prepared: Prepared, feeds: Tensors, unread: list[list[str]] | None) -> Tensors:
    """The outputs of samples that are run together, each other tensor dropped when unread says; all tensors if None."""
    graph = prepared.graph
    tensors = {n: t.data for n, t in graph.tensors.items() if n in graph.outputs and t.data is not None} | feeds
    for place, step in enumerate(prepared.steps):
        results = evaluate(step, tensors)
        tensors |= dict(zip(step.site.node.outputs, results, strict=True))
        for name in unread[place] if unread else []:
            tensors.pop(name, None)
    return tensors if unread is None else {name: tensors[name] for name in graph.outputs}


def samples_together(prepared: Prepared) -> int:
    """How many samples one block holds."""
    if not prepared.batched:
        return 1
    largest = max((prod(t.shape) for t in prepared.graph.tensors.values() if t.data is None), default=1)
    return max(1, BLOCK_VALUES // max(largest, 1))


def blocks(prepared: Prepared, feeds: Tensors, samples: int) -> Iterator[Tensors]:
    """The inputs, some samples at a time."""
    size = samples_together(prepared)
    for start in range(0, samples, size):
        yield (
            {
                name: array[start * rows : (start + size) * rows]
                for name, array in feeds.items()
                for rows in [array.shape[0] // samples if array.ndim else 1]
            }
            if samples > 1
            else feeds
        )


def run(model: Graph | Prepared, inputs: Any, profile: Profile | str | None = None, keep: bool = False) -> Tensors:
    """The outputs of a graph by name, or with keep=True all its tensors that are no constants.

    inputs: an array, or for several inputs arrays by name: integer codes (or float32) of exactly the declared dtype,
    of the declared shape, or N samples of it stacked along dimension 0, which all results are then too. profile: what
    `prepare` takes; a Prepared has its own. Samples are run in blocks of bounded memory; results do not depend on it.
    TypeError and ValueError for inputs of another kind, name or shape, and as in `prepare`; for sums that the
    rule of a node is not defined on, with node and place.
    """
    prepared = model if isinstance(model, Prepared) else prepare(model, _required(profile))
    feeds, samples = feeds_of(prepared.graph, inputs)
    unread = None if keep else _unread(prepared)
    found = [_run_block(prepared, block, unread) for block in blocks(prepared, feeds, samples)]
    if len(found) == 1:
        return found[0]
    return {name: np.concatenate([block[name] for block in found]) for name in found[0]}


def _required(profile: Profile | str | None) -> Profile | str:
    if profile is None:
        raise TypeError("run: profile=None; pass a name of PROFILES, such as 'litert-reference'")
    return profile
