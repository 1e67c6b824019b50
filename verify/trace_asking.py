"""Whether a runtime says the same twice: the first sample that differs, asked again alone in a new process."""

from __future__ import annotations

from verify.failures import UsageError
from verify.models.asking import Answer, Tensors, ask
from verify.models.serving import sliced
from verify.progress import Progress
from verify.trace import Divergence
from verify.trace_comparing import compare
from verify.trace_walking import Walk


def asked_again(
    walk: Walk, first: Divergence, content: bytes, inputs: Tensors, timeout: float, progress: Progress
) -> tuple[str, ...]:
    """What to say of the second answer: nothing if it is bit for bit the first one."""
    place = first.difference.sample
    assert place is not None
    one = {name: sliced(array, walk.samples, place, 1) for name, array in inputs.items()}
    backend, graph = walk.answer.backend, walk.prepared.graph
    doing: Progress = lambda _, done, total: progress(f"asking {backend.name} again", done, total)  # noqa: E731
    try:
        again = ask(backend, content, graph, one, 1, timeout, doing)
    except UsageError as error:
        return (f"asked again for sample {place} alone it failed: {error}",)
    if again.failure:
        return (f"asked again for sample {place} alone it failed: {again.failure}",)
    return _unlike(walk.answer, again, place)


def _unlike(answer: Answer, again: Answer, place: int) -> tuple[str, ...]:
    for name in answer.tensors:
        if name not in again.tensors:
            return (f"NON-DETERMINISTIC: asked again for sample {place} alone it does not show tensor {name!r}",)
        found = compare(name, again.tensors[name], sliced(answer.tensors[name], answer.samples, place, 1), 1)
        if found.differing:
            counts = f"{found.differing} of {found.compared} elements of tensor {name!r}"
            return (
                f"NON-DETERMINISTIC: asked again for sample {place} alone, {counts} are not as in the first answer",
            )
    return ()
