"""An .onnx file to a graph: QOperator ops as they stand, QDQ groups fused as is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from refq.graphs.catalogue import OPS
from refq.graphs.checks import GraphError, check_graph
from refq.graphs.records import Graph, Quantization, Tensor
from refq.importers.limits import ModelRejectedError
from refq.importers.onnx_floats import FLOATS
from refq.importers.onnx_folding import folded
from refq.importers.onnx_fusion import FUSIONS, fused
from refq.importers.onnx_making import Making, plain
from refq.importers.onnx_moving import MOVING
from refq.importers.onnx_ops import check_ops
from refq.importers.onnx_pointwise import POINTWISE
from refq.importers.onnx_products import PRODUCTS
from refq.importers.onnx_protobuf import read_model
from refq.importers.onnx_records import OnnxModel, OnnxNode, OnnxValue, reject
from refq.importers.onnx_scales import check_scales, meanings

CONVERTERS: Mapping[tuple[str, str], Callable[[Making, OnnxNode], None]] = {
    **PRODUCTS, **POINTWISE, **MOVING, **FLOATS,
}  # fmt: skip
BROKEN = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, MemoryError)
"""What arithmetic and the ops raise at attributes of the wrong kind."""


def read_onnx(source: Any, *, fusion: str = "onnxruntime", name: str = "model") -> Graph:
    """The graph of an .onnx file.

    source: a path, the bytes of a file, or an onnx.ModelProto. name: what errors call bytes.
    fusion: which groups DequantizeLinear, op, QuantizeLinear become one op on codes: "none" (every node as it stands:
    ONNX Runtime's level off), "onnxruntime-basic" (none, but what its level basic rewrites is rewritten), "onnxruntime"
    (those that it fuses on x86-64 at levels extended and all) or "integer" (every group that has an op on codes).
    Ops of QOperator files are the same under all.
    A first dimension that the file leaves open is 1: the batch.

    Raises ModelRejectedError (a ValueError) that names node and reason for whatever is wrong with a file or not
    supported; ImportError where the package onnx is missing; TypeError and ValueError for the arguments.
    """
    if fusion not in FUSIONS:
        raise ValueError(f"read_onnx: fusion={fusion!r} is unknown; legal: {', '.join(FUSIONS)}")
    stored = read_model(source, name)
    check_ops(stored)
    with np.errstate(all="ignore"):
        return _graph(stored, fusion)


def _graph(stored: OnnxModel, fusion: str) -> Graph:
    model = folded(stored)
    as_it_stands = _converted(model, {})
    # level off folds nothing; all others make constants of what hangs on constants only
    computed = model.constants.keys() - stored.constants.keys() if fusion == "none" else ()
    model = replace(model, dims=_dims(as_it_stands), computed=frozenset(computed))
    check_scales(model)
    model = fused(model, fusion)
    return _finished(_converted(model, meanings(model)), fusion)


def _dims(making: Making) -> dict[str, tuple[int | None, ...]]:
    """Shapes of all tensors; where the file leaves its batch open, so is the first dimension of what it computes."""
    is_open = any(value.shape and value.shape[0] is None for value in making.model.inputs)
    return {
        name: (None, *t.shape[1:]) if is_open and t.shape and t.data is None else t.shape
        for name, t in making.tensors.items()
    }


def _converted(model: OnnxModel, known: Mapping[str, Quantization]) -> Making:
    """Every node as nodes of a graph. known: what tensors of codes mean; {} where only the shapes are asked for."""
    making = Making(model, known)
    for value in model.inputs:
        making.tensors[value.name] = _input(model.file, making, value)
    for node in model.nodes:
        _convert(making, node)
    return making


def _input(file: str, making: Making, value: OnnxValue) -> Tensor:
    if not value.dtype or value.shape is None:
        raise ModelRejectedError(file, f"input {value.name}", "has no type or no shape")
    if None in value.shape[1:]:
        reason = f"dimensions {value.shape} are open; only the first, the batch, may be"
        raise ModelRejectedError(file, f"input {value.name}", reason)
    shape = tuple(1 if d is None else d for d in value.shape)
    return Tensor(value.name, shape, value.dtype, making.meanings.get(value.name))


def _convert(making: Making, node: OnnxNode) -> None:
    """Add what a node becomes; errors of the ops below name the node."""
    try:
        CONVERTERS[node.domain, node.op](making, node)
    except ModelRejectedError:
        raise
    except BROKEN as error:
        reject(making.model.file, node, f"{type(error).__name__}: {error}".partition("\n")[0])


def _finished(making: Making, fusion: str) -> Graph:
    model = making.model
    for made in making.nodes:
        if made.op not in OPS:
            reason = f"{made.source} of floats is not supported; fusion='integer' has it on codes"
            raise ModelRejectedError(model.file, made.name, reason)
    for value in model.outputs:
        node = OnnxNode("output", value.name, "", (), (), {})
        found = plain(making, node, value.name)
        _agrees(model.file, value, found)
    record = {"file": model.file, "opset": str(model.opset), "fusion": fusion}
    inputs, outputs = (tuple(v.name for v in values) for values in (model.inputs, model.outputs))
    graph = Graph(tuple(making.nodes), making.tensors, inputs, outputs, "onnx", record)
    try:
        check_graph(graph, OPS)
    except GraphError as error:
        raise ModelRejectedError(model.file, error.place, error.reason) from None
    return graph


def _agrees(file: str, value: OnnxValue, found: Tensor) -> None:
    """What the file says of an output is what was worked out."""
    shape = value.shape
    wrong = shape is not None and (
        len(shape) != len(found.shape)
        or any(d not in (None, n) for d, n in list(zip(shape, found.shape, strict=True))[1:])
        or (shape[:1] not in ((), (None,)) and shape[0] != found.shape[0])
    )
    if wrong or value.dtype not in ("", found.dtype):
        reason = f"is declared {value.dtype} {shape}; the nodes make {found.dtype} {found.shape}"
        raise ModelRejectedError(file, f"output {value.name}", reason)
