"""The process in which a runtime runs a whole model: it imports the runtime, NumPy and no kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.failures import UsageError
from verify.models import ModelBackend, Shown, load_model_backend


def sliced(array: NDArray[Any], samples: int, start: int, count: int) -> NDArray[Any]:
    """Some of the samples that are stacked along dimension 0."""
    if samples == 1:
        return array
    rows = array.shape[0] // samples
    return array[start * rows : (start + count) * rows]


def serve(backend: ModelBackend, pipe: Any) -> None:
    """The child: load, take one question, answer each sample."""
    try:
        run = load_model_backend(backend)
    except UsageError as error:
        pipe.send(("usage", str(error)))
        return
    pipe.send(("answer", "ready"))
    try:
        content, inputs, samples = pipe.recv()
        for shown in _answers(backend, run, content, list(_feeds(inputs, samples))):
            pipe.send(("answer", shown))
    except EOFError:
        return
    except Exception as error:
        pipe.send(("raised", f"{type(error).__name__}: {error}".partition("\n")[0]))


def _answers(backend: ModelBackend, run: Any, content: bytes, feeds: list[dict[str, Any]]) -> Iterator[Shown]:
    if backend.streams:
        yield from run(content, feeds)
        return
    for feed in feeds:
        found = run(content, feed)
        if not isinstance(found, Mapping):
            raise TypeError(f"returned {type(found).__name__}; pass a dict of arrays by tensor name")
        yield Shown({str(name): _numbers(name, array) for name, array in found.items()})


def _numbers(name: Any, given: Any) -> NDArray[Any]:
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"returned {str(array.dtype)[:40]} for tensor {str(name)[:80]!r}; pass integers, bools or floats"
        )
    return array


def _feeds(inputs: dict[str, NDArray[Any]], samples: int) -> Iterator[dict[str, Any]]:
    """The inputs of one inference after the other, in arrays that may be written to."""
    for place in range(samples):
        yield {name: sliced(array, samples, place, 1).copy() for name, array in inputs.items()}
