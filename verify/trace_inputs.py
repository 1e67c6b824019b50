"""Random inputs of a model, each sample made alone from (seed, its number, its input)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs import Graph, Tensor
from refq.graphs.feeding import stored_dtype
from refq.graphs.sites import INTEGERS
from verify.failures import UsageError

SPECIAL = ("zero point", "minimum", "maximum")
"""What the first samples hold everywhere."""


def generator_words(seed: int) -> str:
    """How random inputs were made, for the report."""
    return f"seed {seed}, numpy {np.__version__} Generator(PCG64(SeedSequence((seed, sample, input)))), uniform codes"


def _range(graph: Graph, tensor: Tensor) -> tuple[Any, Any, Any]:
    """(zero, lowest, highest) of an input: all codes, or the reals that its first quantizer tells apart."""
    if tensor.dtype == "bool":
        return False, False, True
    if tensor.dtype in INTEGERS:
        fmt, q = INTEGERS[tensor.dtype], tensor.quantization
        return (0 if q is None else int(q.zero_point[0])), fmt.qmin, fmt.qmax
    for node in graph.nodes:
        made = graph.tensors[node.outputs[0]]
        if node.op == "quantize" and node.inputs[0] == tensor.name and made.quantization is not None:
            fmt, scale, zero = INTEGERS[made.dtype], made.quantization.scale[0], int(made.quantization.zero_point[0])
            return np.float32(0), np.float32((fmt.qmin - zero) * scale), np.float32((fmt.qmax - zero) * scale)
    return np.float32(0), np.float32(-1), np.float32(1)


def _sample(graph: Graph, tensor: Tensor, seed: int, sample: int, place: int) -> NDArray[Any]:
    """One sample of one input."""
    ends, dtype = _range(graph, tensor), stored_dtype(tensor.dtype)
    if sample < len(SPECIAL):
        return np.full(tensor.shape, ends[sample], dtype)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, sample, place))))
    _, low, high = ends
    if dtype.kind == "f":
        return rng.uniform(low, high, tensor.shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, tensor.shape).astype(dtype)
    return rng.integers(low, high, tensor.shape, dtype, endpoint=True)


def random_inputs(graph: Graph, count: int, seed: int) -> dict[str, NDArray[Any]]:
    """`count` samples of every input, stacked along dimension 0.

    The first three are all zero point, all minimum, all maximum; each other one depends on the seed and its number
    alone. Integers: uniform over all codes. float32: uniform over what the first quantizer does not clamp, -1..1
    without one.
    """
    found = {}
    for place, name in enumerate(graph.inputs):
        tensor = graph.tensors[name]
        if not tensor.shape and count > 1:
            raise UsageError(f"input {name} is a scalar, which cannot be stacked; pass --random 1")
        samples = [_sample(graph, tensor, seed, sample, place) for sample in range(count)]
        found[name] = samples[0] if count == 1 else np.concatenate(samples)
    return found
