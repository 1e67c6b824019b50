"""One-op .tflite models, built in memory with the schema classes that LiteRT's package carries."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_TYPES = {"int8": "INT8", "uint8": "UINT8", "int16": "INT16", "int32": "INT32", "float32": "FLOAT32"}


def _buffer(array: Any = None) -> Any:
    buffer = schema.BufferT()
    if array is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    return buffer


def _tensor(name: str, array: Any, buffer: int, scale: Any = None, zero_point: int = 0, axis: int = 0) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.buffer = name.encode(), buffer
    tensor.shape = np.asarray(np.shape(array), np.int32)
    tensor.type = getattr(schema.TensorType, _TYPES[np.asarray(array).dtype.name])
    if scale is not None:
        scales = np.atleast_1d(np.asarray(scale, np.float32))
        quantization = schema.QuantizationParametersT()
        quantization.scale = scales
        quantization.zeroPoint = np.full(scales.shape, zero_point, np.int64)
        quantization.quantizedDimension = axis
        tensor.quantization = quantization
    return tensor


def _options(op: str) -> tuple[int, Any]:
    kind = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}.get(op, "FullyConnectedOptions")
    options = getattr(schema, kind + "T")()
    if op != "FULLY_CONNECTED":
        options.strideW = options.strideH = 1
        options.padding = schema.Padding.VALID
    if op == "DEPTHWISE_CONV_2D":
        options.depthMultiplier = 1
    return getattr(schema.BuiltinOptions, kind), options


def _pack(op: str, version: int, tensors: list[Any], buffers: list[Any], options: tuple[int, Any] | None) -> bytes:
    """A model whose one operator reads all tensors but the last and writes the last."""
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = list(range(len(tensors) - 1)), [len(tensors) - 1]
    if options:
        operator.builtinOptionsType, operator.builtinOptions = options
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], operator.outputs, [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, op)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], buffers, [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _output_like(op: str, x: Any, w: Any) -> tuple[int, ...]:
    channels = w.shape[-1] if op == "DEPTHWISE_CONV_2D" else w.shape[0]
    return (*x.shape[:-1], channels)


def _product(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> bytes:
    x, w, bias = inputs["x"], inputs["w"], inputs["bias"]
    y = np.empty(_output_like(op, x, w), parameters["dtype"])
    weight_scale = np.asarray(parameters["weight_scale"], np.float32)
    tensors = [
        _tensor("x", x, 0, parameters["input_scale"], parameters["input_zero_point"]),
        _tensor("w", w, 1, weight_scale, 0, 3 if op == "DEPTHWISE_CONV_2D" else 0),
        _tensor("bias", bias, 2, np.float32(parameters["input_scale"]) * weight_scale),
        _tensor("y", y, 0, parameters["output_scale"], parameters["output_zero_point"]),
    ]
    return _pack(op, 4, tensors, [_buffer(), _buffer(w), _buffer(bias)], _options(op))


def _quantize(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> bytes:
    x = inputs["x"]
    y = np.empty(x.shape, parameters["dtype"])
    out = _tensor("y", y, 0, parameters["output_scale"], parameters["output_zero_point"])
    return _pack(op, 1, [_tensor("x", x, 0), out], [_buffer()], None)


def build(op: str, parameters: dict[str, Any], inputs: dict[str, Any]) -> bytes:
    """The model file of one operator."""
    name = op.partition(":")[0]
    return (_quantize if name == "QUANTIZE" else _product)(name, parameters, inputs)
