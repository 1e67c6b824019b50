"""LiteRT's interpreter in its three modes: default delegate, builtin kernels, reference kernels; one thread."""

from __future__ import annotations

from functools import partial
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from verify.backends.litert_model import build


def _run(resolver: Any, op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> Any:
    model = build(op, parameters, inputs)
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs["x"])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


run_default = partial(_run, OpResolverType.AUTO)
run_builtin = partial(_run, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
run_reference = partial(_run, OpResolverType.BUILTIN_REF)
