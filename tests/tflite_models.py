"""Models in .tflite files, built in memory for the tests with the schema classes of LiteRT's package."""

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

MODES = {
    "litert": OpResolverType.AUTO,
    "litert-builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "litert-reference": OpResolverType.BUILTIN_REF,
}


@dataclass
class T:
    """A tensor: shape and dtype, or the data of a constant; scale None for none, an array for one a channel."""

    name: str
    shape: tuple[int, ...] | None = None
    dtype: str = "int8"
    scale: Any = None
    zero_point: Any = 0
    axis: int = 0
    data: Any = None


@dataclass
class O:  # noqa: E742
    """An operator: its builtin name, names of tensors ("" for absent), name and fields of its options."""

    code: str
    inputs: list[str]
    outputs: list[str]
    options: str = ""
    fields: dict[str, Any] | None = None
    version: int = 1


def _tensor(t: T, buffers: list[Any]) -> Any:
    tensor, buffer = schema.TensorT(), 0
    dtype = t.dtype if t.data is None or t.dtype == "int4" else np.asarray(t.data).dtype.name
    if t.data is not None:
        stored, buffer = schema.BufferT(), len(buffers)
        stored.data = np.frombuffer(_stored(np.asarray(t.data), dtype), np.uint8)
        buffers.append(stored)
    tensor.name, tensor.buffer = t.name.encode(), buffer
    tensor.shape = np.asarray(np.shape(t.data) if t.shape is None else t.shape, np.int32)
    tensor.type = getattr(schema.TensorType, dtype.upper())
    if t.scale is not None:
        found = schema.QuantizationParametersT()
        found.scale = np.atleast_1d(np.asarray(t.scale, np.float32))
        found.zeroPoint = np.broadcast_to(np.asarray(t.zero_point, np.int64), found.scale.shape).copy()
        found.quantizedDimension = t.axis
        tensor.quantization = found
    return tensor


def _stored(data: Any, dtype: str) -> bytes:
    """int4: two codes a byte, the low half first."""
    if dtype != "int4":
        return np.ascontiguousarray(data).tobytes()
    codes = np.append(data.ravel(), np.zeros(data.size % 2, data.dtype)).astype(np.int64) & 15
    return (codes[::2] | codes[1::2] << 4).astype(np.uint8).tobytes()


def _operator(o: O, places: dict[str, int], codes: list[tuple[str, int]]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = codes.index((o.code, o.version))
    operator.inputs = np.asarray([places[n] if n else -1 for n in o.inputs], np.int32)
    operator.outputs = np.asarray([places[n] for n in o.outputs], np.int32)
    if o.options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, o.options)
        operator.builtinOptions = getattr(schema, o.options + "T")()
        for field, value in (o.fields or {}).items():
            assert hasattr(operator.builtinOptions, field), field
            setattr(operator.builtinOptions, field, value)
    return operator


def model(tensors: list[T], operators: list[O], inputs: list[str], outputs: list[str]) -> bytes:
    """The bytes of a file with one subgraph.

    `model([T("x", (1, 4), scale=0.5), T("y", (1, 4), scale=0.25)], [O("QUANTIZE", ["x"], ["y"])], ["x"], ["y"])`
    """
    places = {t.name: i for i, t in enumerate(tensors)}
    codes = list(dict.fromkeys((o.code, o.version) for o in operators))
    graph, whole = schema.SubGraphT(), schema.ModelT()
    whole.version, whole.subgraphs, whole.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors = [_tensor(t, whole.buffers) for t in tensors]
    graph.inputs = np.asarray([places[n] for n in inputs], np.int32)
    graph.outputs = np.asarray([places[n] for n in outputs], np.int32)
    graph.operators = [_operator(o, places, codes) for o in operators]
    whole.operatorCodes = []
    for name, version in codes:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        whole.operatorCodes.append(code)
    builder = flatbuffers.Builder(1024)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run_litert(content: bytes, mode: str, inputs: dict[str, Any]) -> list[Any]:
    """The outputs of a file under one of MODES, one thread; inputs by name."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=MODES[mode], num_threads=1,
        experimental_preserve_all_tensors=mode != "litert",
    )  # fmt: skip
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], inputs[detail["name"]])
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
