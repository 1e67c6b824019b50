"""The integer operators of ONNX, made once with their weights: ONNX Runtime and the reference evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Action = Callable[[], object]


def _model(op: str, x: np.ndarray, weights: np.ndarray, **attributes: Any) -> onnx.ModelProto:
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], **attributes)],
        op,
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, None)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _session(model: onnx.ModelProto, x: np.ndarray) -> Action:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def matmul_integer(x: np.ndarray, weights: np.ndarray) -> Action:
    """ONNX Runtime's MatMulInteger with constant weights."""
    return _session(_model("MatMulInteger", x, weights), x)


def conv_integer(x: np.ndarray, weights: np.ndarray) -> Action:
    """ONNX Runtime's ConvInteger, padding 1."""
    return _session(_model("ConvInteger", x, weights, pads=[1, 1, 1, 1]), x)


def evaluator_conv(x: np.ndarray, weights: np.ndarray) -> Action:
    """The same by ONNX's reference evaluator."""
    evaluator = ReferenceEvaluator(_model("ConvInteger", x, weights, pads=[1, 1, 1, 1]))
    return lambda: evaluator.run(None, {"x": x})
