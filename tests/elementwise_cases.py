"""Shared by the tests of add, sub, mul, pools and means: graphs of one node, the same models for a runtime."""

from fractions import Fraction
from typing import Any

import numpy as np
import tflite_models as tflite
from refq_cases import assert_same

from refq.graphs import OPS, run
from refq.graphs.choosing import find_profile, rule_of
from refq.graphs.records import Graph, Node, Quantization, Tensor
from refq.graphs.sites import site_of

PROFILE_OF = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6")
"""In the order of TFLite's numbers."""


def quantization(scale: Any, zero_point: int) -> Quantization:
    return Quantization(np.atleast_1d(np.float32(scale)), np.array([zero_point], np.int64))


def node_graph(op: str, inputs: dict[str, Any], output: tuple[Any, int], form: str = "tflite", **attributes: Any):
    """A graph of one node; inputs: name -> (shape, dtype, scale, zero point[, data]); output: scale, zero point."""
    tensors = {}
    for name, (shape, dtype, scale, zero, *data) in inputs.items():
        quant = None if scale is None else quantization(scale, zero)
        tensors[name] = Tensor(name, shape, dtype, quant, data[0] if data else None)
    shape = OPS[op].shapes("node", attributes, tuple(tensors.values()))[0]
    kind = next(iter(tensors.values())).dtype
    tensors["y"] = Tensor("y", shape, kind, None if output[0] is None else quantization(*output))
    node = Node("node", op, tuple(inputs), ("y",), attributes)
    feeds = tuple(name for name in inputs if tensors[name].data is None)
    return Graph((node,), tensors, feeds, ("y",), form)


def site(graph: Graph):
    return site_of(graph, graph.nodes[0])


def rule(graph: Graph, profile: str) -> str:
    return rule_of(find_profile(profile), OPS[graph.nodes[0].op], site(graph))


def binary_model(
    op: str, dtype: str, shapes: Any, parts: Any, activation: int = 0, constant: Any = None, **options: Any
):
    """The .tflite file of one ADD, SUB or MUL; parts: (scale, zero point) of a, b and y."""
    a, b = shapes
    second = tflite.T("b", b, dtype, *parts[1], data=constant)
    tensors = [tflite.T("a", a, dtype, *parts[0]), second, tflite.T("y", np.broadcast_shapes(a, b), dtype, *parts[2])]
    fields = {"fusedActivationFunction": activation, **options}
    node = tflite.O(op.upper(), ["a", "b"], ["y"], f"{op.capitalize()}Options", fields, 2)
    return tflite.model(tensors, [node], ["a", "b"] if constant is None else ["a"], ["y"])


def binary_graph(
    op: str, dtype: str, shapes: Any, parts: Any, activation: str = "none", constant: Any = None, **more: Any
):
    first, second = ((shape, dtype, *part) for shape, part in zip(shapes, parts, strict=False))
    inputs = {"a": first, "b": second if constant is None else (*second, constant)}
    return node_graph(op, inputs, parts[2], activation=activation, **more)


def against_litert(graph: Graph, content: bytes, feeds: dict[str, Any], modes: Any = PROFILE_OF) -> int:
    """The graph equals LiteRT in every mode; how many values were compared."""
    count = 0
    for mode in modes:
        expected = tflite.run_litert(content, mode, feeds)[0]
        found = run(graph, feeds, PROFILE_OF[mode])["y"]
        count += assert_same(got=found, expected=expected.reshape(found.shape))
    return count


def every_pair(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """All 65,536 pairs of 8-bit codes, (1, 65536) each."""
    ends = np.iinfo(dtype)
    codes = np.arange(ends.min, ends.max + 1).astype(dtype)
    return np.repeat(codes, 256)[None], np.tile(codes, 256)[None]


def codes(rng: np.random.Generator, dtype: str, shape: Any) -> np.ndarray:
    ends = np.iinfo(dtype)
    return rng.integers(ends.min, ends.max, shape, endpoint=True).astype(dtype)


def exactly(scale: Any) -> Fraction:
    return Fraction(float(np.float32(scale)))


def shifted(parts: Any, dtype: str) -> Any:
    """Zero points of signed codes moved into the dtype."""
    move = {"int8": 0, "uint8": 128}.get(dtype)
    return [(scale, 0 if move is None else zero + move) for scale, zero in parts]
