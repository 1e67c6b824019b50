"""The ONNX project's own evaluator, written in NumPy."""

from __future__ import annotations

from typing import Any

from onnx.reference import ReferenceEvaluator

from verify.backends.onnx_model import build


def run(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """The op's output array."""
    return ReferenceEvaluator(build(op, parameters, inputs)).run(None, {"x": inputs["x"]})[0]
