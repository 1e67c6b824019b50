"""A whole model run by a runtime in a process of its own, sample by sample, so that its crash or hang is a finding.

The child answers one message a sample; what came before a failure is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from verify.backends import installed_version
from verify.failures import BackendError
from verify.models import ModelBackend, Shown, as_backend
from verify.models.serving import serve
from verify.progress import Progress
from verify.worker import child

if TYPE_CHECKING:
    from refq.graphs import Graph

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a runtime showed. tensors: by the names of the graph, `samples` of them stacked along dimension 0.

    findings: what is worth saying of the run. failure: why it ended before its last sample, "" if it did not.
    """

    backend: ModelBackend
    version: str
    samples: int
    tensors: Tensors
    findings: tuple[str, ...] = ()
    failure: str = ""


def ask(
    backend: ModelBackend, content: bytes, graph: Graph, inputs: Tensors, samples: int, timeout: float,
    progress: Progress,
) -> Answer:  # fmt: skip
    """Run a model on `samples` inputs stacked along dimension 0, each on its own.

    A failure ends the run and is kept in the answer. UsageError if the runtime cannot be loaded.
    """
    version, found, failure = installed_version(as_backend(backend)) or "", [], ""
    doing = f"running {backend.name}"
    with child(backend, serve, timeout) as process:
        try:
            process.receive("loading")
            process.send((content, inputs, samples), "its first inference")
            for place in range(samples):
                progress(doing, place, samples)
                found.append(process.receive(f"running sample {place}"))
        except BackendError as error:
            failure = str(error)
    return _answer(backend, version, graph, found, failure)


def _answer(backend: ModelBackend, version: str, graph: Graph, found: list[Shown], failure: str) -> Answer:
    """The samples put together, under the names of the graph."""
    names = dict(enumerate(graph.tensors))
    findings = tuple(dict.fromkeys(text for shown in found for text in shown.findings))
    if _unequal(found):
        text = f"naming inner tensors as outputs changed the result of sample {_unequal(found)[0]}; only outputs shown"
        findings, samples = (*findings, text), [shown.outputs or {} for shown in found]
    else:
        samples = [{**shown.tensors, **(shown.outputs or {})} for shown in found]
    tensors, odd = _stacked([{_name(names, key): a for key, a in sample.items()} for sample in samples])
    unknown = [name for name in tensors if name not in graph.tensors]
    if unknown and not backend.streams:
        odd += (f"{len(unknown)} tensors are none of the model's, the first is {unknown[0]!r}",)
    kept = {name: array for name, array in tensors.items() if name in graph.tensors}
    return Answer(backend, version, len(found), kept, findings + odd, failure)


def _name(names: dict[int, str], key: Any) -> str:
    return names.get(key, f"tensor {key}") if isinstance(key, int) else str(key)


def _unequal(found: list[Shown]) -> list[int]:
    """The samples in which a copy of the model gave other outputs than the model."""
    return [place for place, shown in enumerate(found) if shown.outputs is not None and not _agrees(shown)]


def _agrees(shown: Shown) -> bool:
    """Bit for bit; an output that the copy does not show, such as an input passed through, counts as agreeing."""
    pairs = [(shown.tensors[key], array) for key, array in (shown.outputs or {}).items() if key in shown.tensors]
    return all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def _stacked(samples: list[dict[str, Any]]) -> tuple[Tensors, tuple[str, ...]]:
    """Arrays along dimension 0; those that some samples lack or show in another shape are left out, and said."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    tensors: Tensors = {}
    odd = []
    for name in names:
        arrays = [np.asarray(sample[name]) for sample in samples if name in sample]
        if len(arrays) < len(samples) or len({(a.dtype, a.shape) for a in arrays}) > 1:
            odd.append(f"tensor {name!r} is not shown alike in all samples")
            continue
        tensors[name] = arrays[0] if len(arrays) == 1 else np.concatenate([np.atleast_1d(a) for a in arrays])
    return tensors, tuple(odd)
