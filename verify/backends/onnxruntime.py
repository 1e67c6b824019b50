"""ONNX Runtime on the CPU, one thread, graph rewrites off: the op itself is asked, not a fusion of it."""

from __future__ import annotations

from typing import Any

import onnxruntime

from verify.backends.onnx_model import build


def run(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """The op's output array."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    model = build(op, parameters, inputs).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs["x"]})[0]
