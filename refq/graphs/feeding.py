"""The inputs of a run: exactly the declared dtype, the declared shape or whole multiples of its first dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.records import Graph, Tensor
from refq.graphs.sites import INTEGERS

_NARROW = {"int4": "int8", "uint4": "uint8"}


def stored_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype that holds the values of a tensor; codes of 4 bits stand one a byte.

    >>> stored_dtype("int4")
    dtype('int8')
    """
    return np.dtype(_NARROW.get(dtype, dtype))


def _by_name(graph: Graph, inputs: Any) -> dict[str, Any]:
    if isinstance(inputs, Mapping):
        missing, unknown = set(graph.inputs) - set(inputs), set(inputs) - set(graph.inputs)
        if missing or unknown:
            wrong = sorted(missing) or sorted(map(str, unknown))
            what = "is missing" if missing else "is no input"
            raise ValueError(f"run: input {wrong[0]} {what}; the model reads {', '.join(graph.inputs)}")
        return {name: inputs[name] for name in graph.inputs}
    if len(graph.inputs) != 1:
        raise ValueError(f"run: the model reads {len(graph.inputs)} inputs; pass a dict of {', '.join(graph.inputs)}")
    return {graph.inputs[0]: inputs}


def _samples(name: str, array: NDArray[Any], tensor: Tensor) -> int:
    """How many times the declared first dimension is there."""
    if array.shape == tensor.shape:
        return 1
    declared, rest = tensor.shape[:1], tensor.shape[1:]
    if declared and declared[0] and array.ndim and array.shape[1:] == rest and array.shape[0] and \
            array.shape[0] % declared[0] == 0:  # fmt: skip
        return int(array.shape[0]) // declared[0]
    shape = ", ".join(map(str, ("N" if declared == (1,) else f"N * {d}" for d in declared)))
    expected = ", ".join([shape, *map(str, rest)]) if declared else ""
    raise ValueError(f"run: input {name} has shape {array.shape}; pass ({expected}), N >= 1")


def _checked(name: str, value: Any, tensor: Tensor) -> NDArray[Any]:
    array = np.asarray(value)
    dtype = stored_dtype(tensor.dtype)
    if array.dtype != dtype:
        raise TypeError(f"run: input {name} has dtype {array.dtype}; the model reads {tensor.dtype}: pass {dtype}")
    if tensor.dtype in _NARROW:
        fmt = INTEGERS[tensor.dtype]
        outside = (array < fmt.qmin) | (array > fmt.qmax)
        if outside.any():
            at = tuple(int(i) for i in np.argwhere(outside)[0])
            legal = f"{tensor.dtype} {fmt.qmin}..{fmt.qmax}"
            raise ValueError(f"run: input {name}{list(at)}={array[at]} is outside {legal}")
    # read-only or strided arrays would have kernels compiled anew, which takes seconds; a copy does not
    return np.asarray(array, order="C") if array.flags.writeable else array.astype(dtype, order="C")


def feeds_of(graph: Graph, inputs: Any) -> tuple[dict[str, NDArray[Any]], int]:
    """The arrays by name, and how many samples they hold."""
    arrays = {n: _checked(n, value, graph.tensors[n]) for n, value in _by_name(graph, inputs).items()}
    counts = {n: _samples(n, array, graph.tensors[n]) for n, array in arrays.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{n}: {count}" for n, count in counts.items())
        raise ValueError(f"run: the inputs hold different numbers of samples ({said}); pass as many of each")
    return arrays, next(iter(counts.values()), 1)
