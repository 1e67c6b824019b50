"""One-node models of ops on one tensor: as a graph of refq, as a .tflite file, and the comparison of the two."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tflite_models import MODES, O, T, model, run_litert

import refq.graphs as graphs
from refq.graphs import Graph, Node, Quantization, Tensor
from refq.graphs.sites import INTEGERS, Site, site_of

PROFILE = {"litert": "litert-xnnpack", "litert-builtin": "litert-builtin", "litert-reference": "litert-reference"}
CODES = {
    "relu": ("RELU", "", 2),
    "relu6": ("RELU6", "", 3),
    "relu_n1_to_1": ("RELU_N1_TO_1", "", 1),
    "leaky_relu": ("LEAKY_RELU", "LeakyReluOptions", 2),
    "hard_swish": ("HARD_SWISH", "", 1),
    "logistic": ("LOGISTIC", "", 3),
    "tanh": ("TANH", "", 3),
    "softmax": ("SOFTMAX", "SoftmaxOptions", 3),
    "quantize": ("QUANTIZE", "", 3),
    "requantize": ("QUANTIZE", "", 3),
    "dequantize": ("DEQUANTIZE", "", 3),
}
"""Op -> its name, options and version in a file."""


@dataclass
class End:
    """dtype, scale and zero point of a tensor; scale None for floats; arrays for one a channel along `axis`."""

    dtype: str
    scale: Any = None
    zero_point: Any = 0
    axis: int = 0


@dataclass
class OneOp:
    """A model of one op; `fields` are what both attributes of the node and options of the file are called."""

    op: str
    x: End
    y: End
    shape: tuple[int, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


def tensor(name: str, end: End, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a graph."""
    if end.scale is None:
        return Tensor(name, shape, end.dtype)
    scale = np.atleast_1d(np.asarray(end.scale, np.float32))
    zeros = np.broadcast_to(np.asarray(end.zero_point, np.int64), scale.shape).copy()
    return Tensor(name, shape, end.dtype, Quantization(scale, zeros, end.axis if scale.size > 1 else None))


def graph_of(case: OneOp) -> Graph:
    node = Node("it", case.op, ("x",), ("y",), case.fields | case.attributes)
    tensors = {"x": tensor("x", case.x, case.shape), "y": tensor("y", case.y, case.shape)}
    return Graph((node,), tensors, ("x",), ("y",), "tflite")


def site(case: OneOp) -> Site:
    found = graph_of(case)
    return site_of(found, found.nodes[0])


def golden(case: OneOp, x: Any, profile: str) -> np.ndarray:
    """What a profile answers."""
    return graphs.run(graph_of(case), x, profile)["y"]


def under(case: OneOp, x: Any, rule: str) -> np.ndarray:
    """What a rule answers."""
    found = site(case)
    bound = graphs.OPS[case.op].bind(found, graphs.PROFILES["litert-builtin"].bounds)
    return bound.finish(bound.gather((x,)), rule)[0]


def litert(case: OneOp, x: Any, mode: str) -> np.ndarray:
    """What LiteRT answers in one of its modes."""
    code, options, version = CODES[case.op]
    x_end, y_end = case.x, case.y
    tensors = [
        T("x", case.shape, x_end.dtype, x_end.scale, x_end.zero_point, x_end.axis),
        T("y", case.shape, y_end.dtype, y_end.scale, y_end.zero_point, y_end.axis),
    ]
    content = model(tensors, [O(code, ["x"], ["y"], options, case.fields, version)], ["x"], ["y"])
    return run_litert(content, mode, {"x": x})[0]


def every(dtype: str) -> np.ndarray:
    """All codes of a dtype, in a tensor of shape (1, codes)."""
    fmt = INTEGERS[dtype]
    return np.arange(fmt.qmin, fmt.qmax + 1).astype(dtype).reshape(1, -1)


def agree(case: OneOp, x: Any, modes: tuple[str, ...] = tuple(MODES)) -> dict[str, np.ndarray]:
    """The golden equals LiteRT in the modes; its answers."""
    found = {}
    for mode in modes:
        found[mode] = golden(case, x, PROFILE[mode])
        wanted = litert(case, x, mode)
        assert found[mode].dtype == wanted.dtype
        assert found[mode].shape == wanted.shape
        assert wanted.size > 0
        wrong = np.flatnonzero((found[mode] != wanted).ravel())
        at = wrong[:1]
        assert wrong.size == 0, (
            f"{case} {mode}: {wrong.size} differ, x={x.flat[at]}: {found[mode].flat[at]}, {wanted.flat[at]}"
        )
    return found
