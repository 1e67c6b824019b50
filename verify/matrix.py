"""Many runtimes on one model: who agrees with whom, and a witness where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from refq.graphs import Graph
from verify.failures import UsageError
from verify.files import shown
from verify.models import ModelBackend
from verify.models.asking import Answer, Tensors, ask
from verify.models.serving import sliced
from verify.progress import Progress
from verify.trace import Difference
from verify.trace_comparing import compare

Classes = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Member:
    """A runtime that was asked. failure: why it takes no part in the classes, "" if it does."""

    name: str
    version: str
    samples: int
    findings: tuple[str, ...]
    failure: str


@dataclass(frozen=True, eq=False)
class Witness:
    """Where two classes differ first: one runtime of each, the tensor, and the first element with both values."""

    left: str
    right: str
    node: str
    difference: Difference
    left_value: Any
    right_value: Any


@dataclass(frozen=True, eq=False)
class Matrix:
    """Classes of runtimes on one model and some samples.

    outputs: classes that give the same final outputs; tensors: those that besides show no inner tensor that differs.
    output_witnesses, tensor_witnesses: one for each two classes. compared: elements of tensors held against another's.
    """

    model: str
    inputs: str
    samples: int
    members: tuple[Member, ...]
    outputs: Classes
    tensors: Classes
    output_witnesses: tuple[Witness, ...]
    tensor_witnesses: tuple[Witness, ...]
    compared: int


def make_matrix(
    model: str, words: str, backends: Sequence[ModelBackend], content: bytes, graph: Graph, inputs: Tensors,
    samples: int, timeout: float, progress: Progress,
) -> Matrix:  # fmt: skip
    """Ask every runtime, and put those that answer alike together; one that fails is kept as a member that did."""
    makers = {name: node.name for node in graph.nodes for name in node.outputs}
    results = [name for name in graph.outputs if name in makers]
    answers = [_asked(backend, content, graph, inputs, samples, timeout, progress) for backend in backends]
    answers = [_with_outputs(answer, results) for answer in answers]
    members = tuple(Member(a.backend.name, a.version, a.samples, a.findings, a.failure) for a in answers)
    whole = [a for a in answers if not a.failure]
    compared = sum(d.compared for a, b in combinations(whole, 2) for d in _differences(a, b, tuple(makers)))
    outputs, final = _classes(whole, results, makers)
    tensors, inner = _classes(whole, list(makers), makers)
    return Matrix(model, words, samples, members, outputs, tensors, final, inner, compared)


def _asked(backend: ModelBackend, content: bytes, graph: Graph, *rest: Any) -> Answer:
    """A runtime that is not installed is one that failed."""
    try:
        return ask(backend, content, graph, *rest)
    except UsageError as error:
        return Answer(backend, "", 0, {}, (), str(error))


def _with_outputs(answer: Answer, results: Sequence[str]) -> Answer:
    """One that hides an output would agree with everybody: it takes no part."""
    lost = [name for name in results if name not in answer.tensors]
    if answer.failure or not lost:
        return answer
    return replace(answer, failure=f"{answer.backend.name}: does not show output {shown(lost[0])} of the model")


def _differences(left: Answer, right: Answer, names: Sequence[str]) -> list[Difference]:
    """Every tensor that both show."""
    both = [name for name in names if name in left.tensors and name in right.tensors]
    return [compare(name, left.tensors[name], right.tensors[name], left.samples) for name in both]


def _first(left: Answer, right: Answer, names: Sequence[str]) -> Difference | None:
    return next((d for d in _differences(left, right, names) if d.differing), None)


def _classes(
    answers: Sequence[Answer], names: Sequence[str], makers: dict[str, str]
) -> tuple[Classes, tuple[Witness, ...]]:
    """Runtimes in the first class with whose every member they agree, and a witness for each two classes."""
    classes: list[list[Answer]] = []
    differs: Callable[[Answer, Answer], bool] = lambda a, b: _first(a, b, names) is not None  # noqa: E731
    for answer in answers:
        home = next((c for c in classes if not any(differs(answer, member) for member in c)), None)
        home.append(answer) if home is not None else classes.append([answer])
    witnesses = [_witness(a, b, names, makers) for a, b in combinations(classes, 2)]
    named = tuple(tuple(a.backend.name for a in c) for c in classes)
    return named, tuple(w for w in witnesses if w is not None)


def _witness(
    left: Sequence[Answer], right: Sequence[Answer], names: Sequence[str], makers: dict[str, str]
) -> Witness | None:  # fmt: skip
    """The first two members of the classes that differ; where tensors are hidden, not every two need to."""
    for a in left:
        for b in right:
            found = _first(a, b, names)
            if found is not None:
                values = (_value(a, found), _value(b, found))
                return Witness(a.backend.name, b.backend.name, makers[found.tensor], found, *values)
    return None


def _value(answer: Answer, found: Difference) -> Any:
    if found.sample is None:
        return None
    return sliced(answer.tensors[found.tensor], answer.samples, found.sample, 1)[found.index].item()
