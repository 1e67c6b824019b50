"""The bytes of an .onnx file to records; nothing of it is believed before it is checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.importers.limits import (
    MOST_NAME,
    MOST_NODES,
    MOST_OPERANDS,
    MOST_TENSORS,
    ModelRejectedError,
    at_most,
    checked_shape,
    read_bytes,
)
from refq.importers.onnx_order import check_order
from refq.importers.onnx_records import OnnxModel, OnnxNode, OnnxValue, reject, title
from refq.importers.onnx_tensors import DTYPES, FOUR_BITS, constant, constants_of

DEFAULTS_SINCE = 4
"""The version of the format since which a constant that is an input too is a default."""
REWRITTEN = ("QuantizeLinear", "DequantizeLinear", "Conv", "MatMul", "Gemm", "Add", "Sub", "Mul", "Clip", "Transpose")
MOST_ATTRIBUTES = 64
"""Of one node."""
OPSETS = range(10, 27)
"""Opsets whose ops these readers know: QuantizeLinear came with 10."""
FLOAT, INT, STRING, TENSOR, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 6, 7, 8


def onnx_package() -> Any:
    """The package that knows the format; ImportError names what installs it."""
    try:
        import onnx
    except ImportError:
        raise ImportError("read_onnx: .onnx files need the package onnx; pip install 'refq[onnx]'") from None
    return onnx


def parse(source: Any, name: str) -> tuple[str, Any]:
    """The name of a file and its ModelProto. source: a path, bytes, or a ModelProto."""
    onnx = onnx_package()
    if isinstance(source, onnx.ModelProto):
        return name, source
    file, content = read_bytes(source, name)
    try:
        return file, onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own error class has no public home
        raise ModelRejectedError(file, "", f"not a protobuf of a model ({type(error).__name__})") from None


def read_model(source: Any, name: str) -> OnnxModel:
    """Every record of a file, checked on its own and against the others."""
    file, proto = parse(source, name)
    graph, opset = proto.graph, _opset(file, proto)
    _plain(file, proto)
    at_most(file, "", "nodes", len(graph.node), MOST_NODES)
    at_most(file, "", "constants", len(graph.initializer), MOST_TENSORS)
    for what, listed in (("inputs", graph.input), ("outputs", graph.output), ("opsets", proto.opset_import)):
        at_most(file, "", what, len(listed), MOST_OPERANDS)
    constants, packed = constants_of(file, graph.initializer)
    names: set[str] = set()
    nodes = tuple(_node(file, node, place, names) for place, node in enumerate(graph.node))
    kept = _constant_nodes(file, nodes, constants, packed)
    inputs = tuple(_value(file, v) for v in graph.input if v.name not in constants)
    outputs = tuple(_value(file, v) for v in graph.output)
    model = OnnxModel(file, kept, constants, inputs, outputs, opset, {}, frozenset(packed))
    check_order(model)
    if proto.ir_version >= DEFAULTS_SINCE:
        _no_defaults(model, {v.name for v in graph.input} & constants.keys())
    return model


def _opset(file: str, proto: Any) -> int:
    if not proto.HasField("graph") or not proto.graph.output:
        raise ModelRejectedError(file, "", "no graph with outputs; the file is cut off or no ONNX model")
    found = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if len(found) != 1:
        raise ModelRejectedError(file, "", f"{len(found)} opsets of domain ''; the file is cut off or no ONNX model")
    if found[0] not in OPSETS:
        legal = f"{OPSETS.start}..{OPSETS.stop - 1}"
        raise ModelRejectedError(file, "", f"opset {found[0]} is outside {legal}; convert with onnx.version_converter")
    return int(found[0])


def _no_defaults(model: OnnxModel, defaults: set[str]) -> None:
    """Nothing that a rewrite needs as a constant may be replaced by whoever runs the model."""
    for node in model.nodes:
        named = [name for name in node.inputs if name in defaults]
        if named and node.op in REWRITTEN:
            reason = f"{named[0]} is a constant and an input too, a default that rewrites may not use; drop the input"
            reject(model.file, node, reason)


def _plain(file: str, proto: Any) -> None:
    """No functions, no training graphs, no sparse constants."""
    for what in (proto.functions, proto.training_info, proto.graph.sparse_initializer):
        if len(what):
            kind = type(what[0]).__name__
            raise ModelRejectedError(file, "", f"{kind} is not supported; inline functions and store tensors densely")


def _text(file: str, name: Any) -> str:
    if not isinstance(name, str):
        raise ModelRejectedError(file, repr(name)[:40], "is no UTF-8 text")
    at_most(file, name[:40], "characters in a name", len(name), MOST_NAME)
    return str(name)


def _node(file: str, node: Any, place: int, names: set[str]) -> OnnxNode:
    op, domain = _text(file, node.op_type), _text(file, node.domain)
    at_most(file, op[:40], "inputs", len(node.input), MOST_OPERANDS)
    at_most(file, op[:40], "outputs", len(node.output), MOST_OPERANDS)
    at_most(file, op[:40], "attributes", len(node.attribute), MOST_ATTRIBUTES)
    given = _text(file, node.name)
    name = given if given and given not in names else f"{given or op}_{place}"
    while name in names:
        name += "_"
    names.add(name)
    domain = "" if domain == "ai.onnx" else domain
    inputs, outputs = (tuple(_text(file, n) for n in side) for side in (node.input, node.output))
    made = OnnxNode(name, op, domain, inputs, outputs, {})
    read = {_text(file, a.name): _attribute(file, made, a) for a in node.attribute}
    if len(read) < len(node.attribute):
        raise ModelRejectedError(file, title(made), "an attribute is there twice")
    return OnnxNode(name, op, domain, inputs, outputs, read)


def _attribute(file: str, node: OnnxNode, a: Any) -> Any:
    place = f"{node.op} {node.name}"
    single = {FLOAT: "f", INT: "i"}
    several = {FLOATS: "floats", INTS: "ints"}
    if a.type in single:
        return getattr(a, single[a.type])
    if a.type in several:
        return tuple(getattr(a, several[a.type])[: MOST_OPERANDS + 1])
    if a.type == STRING:
        return a.s.decode("utf-8", "replace")
    if a.type == TENSOR:
        return (constant(file, node.name, a.t), DTYPES[a.t.data_type])
    raise ModelRejectedError(file, place, f"attribute {a.name} holds a graph, strings or a sparse tensor: unsupported")


def _constant_nodes(
    file: str, nodes: tuple[OnnxNode, ...], constants: dict[str, NDArray[Any]], packed: set[str]
) -> tuple[OnnxNode, ...]:
    """The nodes that are not constants; those that are join the stored constants."""
    for node in nodes:
        if node.op != "Constant" or node.domain:
            continue
        if len(node.outputs) != 1 or node.outputs[0] in constants or len(node.attributes) != 1:
            raise ModelRejectedError(file, f"Constant {node.name}", "needs one new output and one value")
        constants[node.outputs[0]] = _constant_value(file, node, packed)
    return tuple(node for node in nodes if node.op != "Constant" or node.domain)


def _constant_value(file: str, node: OnnxNode, packed: set[str]) -> NDArray[Any]:
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    ((key, value),) = node.attributes.items()
    if key == "value":
        array, dtype = value
        if dtype in FOUR_BITS:
            packed.add(node.outputs[0])
        return np.asarray(array)
    if key not in kinds:
        raise ModelRejectedError(
            file, f"Constant {node.name}", f"{key} is not supported; legal: value, {', '.join(kinds)}"
        )
    return np.asarray(value, kinds[key])


def _value(file: str, v: Any) -> OnnxValue:
    place = f"tensor {v.name[:40]}"
    kind = v.type.WhichOneof("value")
    if kind is None:
        return OnnxValue(_text(file, v.name), "", None)
    if kind != "tensor_type":
        raise ModelRejectedError(file, place, "is no tensor; sequences, maps and optionals are not supported")
    number = v.type.tensor_type.elem_type
    if number not in DTYPES and number:
        raise ModelRejectedError(file, place, f"element type {number}; legal: {', '.join(DTYPES.values())}")
    if not v.type.tensor_type.HasField("shape"):
        return OnnxValue(_text(file, v.name), DTYPES.get(number, ""), None)
    dims = tuple(d.dim_value if d.HasField("dim_value") else None for d in v.type.tensor_type.shape.dim)
    checked_shape(file, place, tuple(1 if d is None else d for d in dims))
    return OnnxValue(_text(file, v.name), DTYPES.get(number, ""), dims)
