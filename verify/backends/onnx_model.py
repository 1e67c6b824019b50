"""One-op ONNX models, built in memory: x is the input, everything else an initializer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 21


def _zero(value: int, dtype: str) -> Any:
    return np.array(value, dtype)


def _product_operands(parameters: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """x, its scale and zero point, w, ..., as QLinearConv and QLinearMatMul order them."""
    operands = {
        "x": inputs["x"],
        "x_scale": np.float32(parameters["input_scale"]),
        "x_zero": _zero(parameters["input_zero_point"], inputs["x"].dtype),
        "w": inputs["w"],
        "w_scale": np.asarray(parameters["weight_scale"], np.float32),
        "w_zero": np.zeros(np.shape(parameters["weight_scale"]), inputs["w"].dtype),
        "y_scale": np.float32(parameters["output_scale"]),
        "y_zero": _zero(parameters["output_zero_point"], parameters["dtype"]),
    }
    return operands | ({"bias": inputs["bias"]} if "bias" in inputs else {})


def _quantize_operands(parameters: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "x": inputs["x"],
        "y_scale": np.float32(parameters["output_scale"]),
        "y_zero": _zero(parameters["output_zero_point"], parameters["dtype"]),
    }


OPERANDS = {
    "QLinearConv": _product_operands,
    "QLinearMatMul": _product_operands,
    "QuantizeLinear": _quantize_operands,
}


def build(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """The ModelProto of one node."""
    operands = {k: np.asarray(v) for k, v in OPERANDS[op](parameters, inputs).items()}
    x = operands["x"]
    node = helper.make_node(op, list(operands), ["y"])
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(parameters["dtype"])), None)],
        [numpy_helper.from_array(v, k) for k, v in operands.items() if k != "x"],
    )
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
