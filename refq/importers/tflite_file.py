"""The tables of a .tflite file as plain records; no offset or length of the file is believed.

Reads through the accessors of the generated schema, which are lazy: a vector is a view of the file, and its length is
held against the caps before anything walks along it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.importers import limits
from refq.importers.limits import ModelRejectedError, at_most
from refq.importers.tflite_access import count_of, inside, quick, text, vector
from refq.importers.tflite_options import OPTIONS

IDENTIFIER = b"TFL3"
VERSION = 3


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor as the file has it. data: its stored bytes, empty where it has none; arrays are views of the file."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    data: NDArray[np.uint8]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int
    peculiar: str
    """What makes it one that is refused: "a variable", "sparse"; "" for ordinary ones."""


@dataclass(frozen=True, eq=False)
class FileOperator:
    """An operator as the file has it: places of tensors, -1 for absent, and the fields of its options."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class FileModel:
    """The one subgraph of a file."""

    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    record: Mapping[str, str]


def read_tables(file: str, content: bytes) -> FileModel:
    """What the file holds; ModelRejectedError where it is not a whole .tflite file of one subgraph."""
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ModelRejectedError(file, "", "not a .tflite file: no identifier TFL3 at byte 4")
    schema = _schema()
    with inside(file, "model"):
        model = quick(schema.Model.GetRootAs(content, 0))
        _check_model(file, model)
        buffers = _buffers(file, model)
        graph = quick(model.Subgraphs(0))
        tensors = _tensors(file, schema, graph, buffers)
        operators = _operators(file, schema, graph, _codes(file, schema, model))
        record = {"version": str(model.Version()), "description": text(file, "description", model, 10)}
        inputs, outputs = (_places(file, "model", graph, field) for field in ("Inputs", "Outputs"))
        return FileModel(tensors, operators, inputs, outputs, record)


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ImportError(f"read_tflite: {error}; install the extra refq[litert]") from error
    return schema_py_generated


def _check_model(file: str, model: Any) -> None:
    if model.Version() != VERSION:
        raise ModelRejectedError(file, "", f"schema version {model.Version()}; {VERSION} is supported")
    if model.SubgraphsLength() != 1:
        raise ModelRejectedError(file, "", f"{model.SubgraphsLength()} subgraphs; pass a model of one")


def _buffers(file: str, model: Any) -> list[NDArray[np.uint8]]:
    """The stored bytes of every buffer, views of the file."""
    count = count_of(file, model, "Buffers", 2 * limits.MOST_TENSORS)
    found = []
    for place in range(count):
        with inside(file, f"buffer {place}"):
            buffer = quick(model.Buffers(place))
            if getattr(buffer, "Offset", int)() > 1 or getattr(buffer, "Size", int)() > 1:
                raise ModelRejectedError(file, f"buffer {place}", "is stored outside the tables; not supported")
            found.append(vector(buffer, "Data", np.uint8))
    return found


def _tensors(file: str, schema: Any, graph: Any, buffers: list[NDArray[np.uint8]]) -> tuple[FileTensor, ...]:
    count = count_of(file, graph, "Tensors", limits.MOST_TENSORS)
    names = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
    found = []
    for place in range(count):
        with inside(file, f"tensor {place}"):
            found.append(_tensor(file, f"tensor {place}", quick(graph.Tensors(place)), names, buffers))
    at_most(file, "", "characters of names", sum(len(tensor.name) for tensor in found), limits.MOST_NAMES)
    return tuple(found)


def _tensor(file: str, place: str, tensor: Any, names: dict[int, str], buffers: list[NDArray[np.uint8]]) -> FileTensor:
    name = text(file, place, tensor, 10)
    place = f"{place} ({name})"
    if not 0 <= tensor.Buffer() < max(len(buffers), 1):
        raise ModelRejectedError(file, place, f"buffer {tensor.Buffer()} of {len(buffers)}")
    data = buffers[tensor.Buffer()] if buffers else np.empty(0, np.uint8)
    dtype = names.get(tensor.Type(), f"type {tensor.Type()}").lower()
    shape, signature = (_sizes(file, place, tensor, field) for field in ("Shape", "ShapeSignature"))
    scale, zeros, axis, peculiar = _quantization(tensor)
    return FileTensor(name, shape, signature, dtype, data, scale, zeros, axis, peculiar)


def _sizes(file: str, place: str, tensor: Any, field: str) -> tuple[int, ...]:
    found = vector(tensor, field, np.int32)
    at_most(file, place, "dimensions", found.size, limits.MOST_RANK)
    return tuple(int(n) for n in found)


def _quantization(tensor: Any) -> tuple[NDArray[np.float32], NDArray[np.int64], int, str]:
    """Scales and zero points (views of the file), axis, and what is peculiar about the tensor."""
    found = tensor.Quantization()
    peculiar = _peculiar(tensor, found)
    if found is None:
        return np.empty(0, np.float32), np.empty(0, np.int64), 0, peculiar
    quick(found)
    scale, zeros = vector(found, "Scale", np.float32), vector(found, "ZeroPoint", np.int64)
    return scale, zeros, found.QuantizedDimension(), peculiar


def _peculiar(tensor: Any, quantization: Any) -> str:
    """Why the tensor cannot be taken as an array of codes; "" where it can."""
    marks = {
        "a variable that keeps state between calls; make the state an input and an output": tensor.IsVariable(),
        "sparse; store it dense": tensor.Sparsity() is not None,
        "stored in an external buffer": getattr(tensor, "ExternalBuffer", int)() != 0,
        "quantized by custom details": quantization is not None and quantization.DetailsType() != 0,
    }
    return next((words for words, holds in marks.items() if holds), "")


def _codes(file: str, schema: Any, model: Any) -> list[str]:
    """The name of every operator code of the file."""
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    found = []
    for place in range(count_of(file, model, "OperatorCodes", limits.MOST_NODES)):
        code = model.OperatorCodes(place)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = f"CUSTOM {text(file, f'operator code {place}', code, 6)}"
        found.append(custom if names.get(number) == "CUSTOM" else names.get(number, f"operator number {number}"))
    return found


def _operators(file: str, schema: Any, graph: Any, codes: list[str]) -> tuple[FileOperator, ...]:
    found: list[FileOperator] = []
    links = 0
    for place in range(count_of(file, graph, "Operators", limits.MOST_NODES)):
        with inside(file, f"operator {place}"):
            found.append(_operator(file, f"operator {place}", schema, quick(graph.Operators(place)), codes))
        links += len(found[-1].inputs) + len(found[-1].outputs)
        at_most(file, "", "connections", links, limits.MOST_LINKS)
    return tuple(found)


def _operator(file: str, place: str, schema: Any, operator: Any, codes: list[str]) -> FileOperator:
    if operator.OpcodeIndex() >= len(codes):
        raise ModelRejectedError(file, place, f"operator code {operator.OpcodeIndex()} of {len(codes)}")
    code = codes[operator.OpcodeIndex()]
    place = f"{code} ({place})"
    inputs, outputs = (_places(file, place, operator, field) for field in ("Inputs", "Outputs"))
    return FileOperator(code, inputs, outputs, _options(file, place, schema, operator, code))


def _places(file: str, place: str, table: Any, field: str) -> tuple[int, ...]:
    found = vector(table, field, np.int32)
    at_most(file, place, field.lower(), found.size, limits.MOST_OPERANDS)
    return tuple(int(n) for n in found)


def _options(file: str, place: str, schema: Any, operator: Any, code: str) -> dict[str, Any]:
    """The fields of the operator's options that its op reads; {} where it reads none."""
    kind, fields = OPTIONS.get(code, ("", ()))
    if operator.BuiltinOptionsType() not in _kinds(schema) or operator.BuiltinOptions2Type() != 0:
        raise ModelRejectedError(file, place, f"options of unknown kind {operator.BuiltinOptionsType()}")
    if not kind:
        return {}
    if operator.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind):
        raise ModelRejectedError(file, place, f"options of kind {operator.BuiltinOptionsType()}; {kind} belong here")
    table, options = operator.BuiltinOptions(), getattr(schema, kind)()
    if table is None:
        raise ModelRejectedError(file, place, f"{kind} are missing")
    options.Init(table.Bytes, table.Pos)
    quick(options)
    return {field: getattr(options, field)() for field in fields}


@cache
def _kinds(schema: Any) -> frozenset[int]:
    """The numbers of all kinds of options."""
    return frozenset(number for number in vars(schema.BuiltinOptions).values() if isinstance(number, int))
