"""Shared by the tests of float32 ops: values like dequantized codes, single ops in ONNX Runtime and the evaluator."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_features__
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import session
from refq_cases import assert_same

from refq.graphs.ops.floats import OPS
from refq.graphs.ops.records import Bound
from refq.graphs.records import Node, Tensor
from refq.graphs.sites import Site

BY_NAME = {op.name: op for op in OPS}
MEASURED = pytest.mark.skipif(
    not __cpu_features__.get("AVX512F", False),
    reason="the orders of ONNX Runtime are known on x86-64 with AVX-512 only",
)
X_SCALE, W_SCALE = np.float32(0.0173), np.float32(0.00291)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def dequantized(rng: np.random.Generator, shape: Any, scale: Any = X_SCALE, zero_point: int = 3) -> np.ndarray:
    """scale * (code - zero point) of int8 codes, the extremes among them."""
    codes = rng.integers(-128, 128, shape)
    return (codes.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def biases(rng: np.random.Generator, shape: Any) -> np.ndarray:
    return rng.integers(-9000, 9000, shape).astype(np.float32) * (X_SCALE * W_SCALE)


def same_bits(got: np.ndarray, expected: np.ndarray) -> int:
    """Equal to the last bit, signs of zeros included; returns how many were compared."""
    assert got.dtype == expected.dtype == np.float32
    return assert_same(got=as_bits(got), expected=as_bits(expected))


def as_bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint32).reshape(np.shape(values))


def single(
    op: str, inputs: dict[str, np.ndarray], constants: dict[str, np.ndarray], opset: int, **attributes: Any
) -> Any:
    """A model of one float op; its inputs are named in order, "" where one is absent."""
    names = [name for name in ("a", "b", "c") if name in inputs or name in constants]
    node = helper.make_node(op, names, ["y"], **attributes)
    free = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in inputs.items()]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", free, [result], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10)


def in_runtime(op: str, inputs: dict[str, Any], constants: dict[str, Any] | None = None, opset: int = 21,
               level: str = "off", **attributes: Any) -> np.ndarray:  # fmt: skip
    """What ONNX Runtime computes on one thread."""
    content = single(op, inputs, constants or {}, opset, **attributes).SerializeToString()
    return np.asarray(session(content, level).run(None, inputs)[0])


def in_evaluator(op: str, inputs: dict[str, Any], opset: int = 21, **attributes: Any) -> np.ndarray:
    """What the ONNX reference evaluator computes."""
    return np.asarray(ReferenceEvaluator(single(op, inputs, {}, opset, **attributes)).run(None, inputs)[0])


def fractions(values: Any) -> list[Fraction]:
    return [Fraction(float(v)) for v in np.ravel(values)]


def site(
    op: str, shapes: list[Any], attributes: dict[str, Any] | None = None, data: dict[int, Any] | None = None
) -> Site:
    """A node of float32 tensors of these shapes, None for an absent one; data: values of constants by place."""
    stored, given = data or {}, attributes or {}
    inputs = tuple(
        None if shape is None else Tensor(f"t{i}", tuple(shape), "float32", None, stored.get(i))
        for i, shape in enumerate(shapes)
    )
    (shape,) = BY_NAME[op].shapes("node", given, inputs)
    node = Node("node", op, tuple(None if t is None else t.name for t in inputs), ("out",), given)
    return Site(node, inputs, (Tensor("out", shape, "float32"),), "onnx")


def bound(made: Site) -> Bound:
    from refq.formats import Rounding

    return BY_NAME[made.node.op].bind(made, Rounding.TIES_EVEN)


def result(made: Site, arrays: Any, rule: str = "exact") -> np.ndarray:
    ready = bound(made)
    return ready.finish(ready.gather(tuple(arrays)), rule)[0]


def onnx_window(window: Any, groups: int) -> dict[str, Any]:
    """The attributes of a window as ONNX has them."""
    pads = [window.padding[0][0], window.padding[1][0], window.padding[0][1], window.padding[1][1]]
    return {"strides": window.stride, "dilations": window.dilation, "pads": pads, "group": groups}
