"""Golden runs of a whole model and of single layers, in blocks of samples, with progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs import Prepared, Step, run
from refq.graphs.running import arrays_of, samples_together
from refq.layers.plan_arrays import FEW
from verify.models.asking import Answer, Tensors
from verify.models.serving import sliced
from verify.progress import Progress


@dataclass(frozen=True, eq=False)
class Walk:
    """A runtime's answer beside the golden run of the same samples.

    own: the runtime's values of every tensor, and for those it hides what the golden layers make of its others.
    through: for each hidden tensor the nodes that were computed in its place. equal: tensors whose own values are
    the golden ones.
    """

    prepared: Prepared
    answer: Answer
    golden: Tensors
    own: Tensors
    through: dict[str, tuple[str, ...]]
    equal: set[str]

    @property
    def samples(self) -> int:
        """How many samples are stacked in each tensor."""
        return self.answer.samples


def golden_run(prepared: Prepared, inputs: Tensors, samples: int, progress: Progress, doing: str) -> Tensors:
    """All tensors of the golden run of `samples` samples."""
    found, size = [], samples_together(prepared)
    for start in range(0, samples, size):
        progress(doing, start, samples)
        block = {name: sliced(array, samples, start, size) for name, array in inputs.items()}
        found.append(run(prepared, block, keep=True))
    if len(found) == 1:
        return found[0]
    # each list of blocks is dropped as soon as its tensor is whole
    return {name: np.concatenate([block.pop(name) for block in found]) for name in list(found[0])}


def reads(step: Step) -> list[str]:
    """The tensors that a node reads and that are no constants."""
    pairs = zip(step.site.node.inputs, step.site.inputs, strict=True)
    return [name for name, tensor in pairs if name is not None and tensor is not None and tensor.data is None]


def sample_inputs(step: Step, tensors: Mapping[str, NDArray[Any]], samples: int, start: int, count: int) -> Tensors:
    """What a node reads of some samples."""
    return {name: sliced(tensors[name], samples, start, count) for name in reads(step)}


def gathered_blocks(
    prepared: Prepared, step: Step, tensors: Mapping[str, NDArray[Any]], samples: int
) -> Iterator[tuple[int, int, Any]]:
    """(first sample, how many, what the node gathers of them)."""
    size = samples_together(prepared)
    for start in range(0, samples, size):
        count = min(size, samples - start)
        inputs = sample_inputs(step, tensors, samples, start, count)
        yield start, count, step.bound.gather(arrays_of(step, inputs))


def _rows(step: Step, gathered: Any, count: int) -> int:
    """How many leading rows belong to each sample where plain sums are gathered, else 0."""
    first = step.site.outputs[0].shape
    stacked = count > 1 and isinstance(gathered, np.ndarray) and bool(first)
    return first[0] if stacked and gathered.shape == (first[0] * count, *first[1:]) else 0


def pieces(step: Step, start: int, count: int, gathered: Any) -> Iterator[tuple[int, int, Any]]:
    """The same cut into pieces of few values, on which every rule is quick at once and many fail early."""
    rows = _rows(step, gathered, count)
    size = max(1, FEW // max(1, gathered[:rows].size)) if rows else count
    for place in range(0, count, size):
        some = min(size, count - place)
        yield start + place, some, gathered[place * rows : (place + some) * rows] if rows else gathered


def gathered_sample(walk: Walk, step: Step, place: int) -> Any:
    """What a node gathers of one sample of the runtime's own values.

    Sums are cut out of those of a whole block: a batch of one may take another kernel, which costs seconds to compile.
    """
    size = samples_together(walk.prepared)
    start = place // size * size
    count = min(size, walk.samples - start)
    if count > 1:
        sums = step.bound.gather(arrays_of(step, sample_inputs(step, walk.own, walk.samples, start, count)))
        rows = _rows(step, sums, count)
        if rows:
            return sums[(place - start) * rows : (place - start + 1) * rows].copy()
    return step.bound.gather(arrays_of(step, sample_inputs(step, walk.own, walk.samples, place, 1)))


def layer_alone(
    prepared: Prepared, step: Step, tensors: Mapping[str, NDArray[Any]], samples: int, rule: str | None = None
) -> tuple[NDArray[Any], ...]:
    """The outputs of one node, fed with those tensors, under its own rule or another."""
    label = step.rule if rule is None else rule
    blocks = gathered_blocks(prepared, step, tensors, samples)
    found = [step.bound.finish(gathered, label) for _, _, gathered in blocks]
    return found[0] if len(found) == 1 else tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def worst_samples(counts: Sequence[NDArray[np.int64] | None], samples: int) -> list[int]:
    """The samples that are most likely to tell rules apart: the first and the one with the most differences."""
    known = [c for c in counts if c is not None]
    if not known:
        return [0]
    total = np.sum(known, axis=0)
    return sorted({int(np.argmax(total > 0)), int(np.argmax(total))} & set(range(samples)))
