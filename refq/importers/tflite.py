"""A .tflite file to a graph: every op of it converted or refused by name, nothing in the file believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from refq.graphs.checks import GraphError, check_graph
from refq.graphs.records import Graph, Node, Tensor
from refq.importers import tflite_elementwise as elementwise
from refq.importers import tflite_products as products
from refq.importers import tflite_shaping as shaping
from refq.importers import tflite_slices as slices
from refq.importers.limits import MOST_TENSORS, ModelRejectedError, at_most, checked_shape, read_bytes
from refq.importers.tflite_calls import Call, Converted
from refq.importers.tflite_file import FileModel, FileOperator, read_tables
from refq.importers.tflite_shapes import FOLDS, folded
from refq.importers.tflite_tensors import graph_tensors

CONVERTERS: Mapping[str, Callable[[Call], Converted]] = {
    "CONV_2D": products.conv,
    "DEPTHWISE_CONV_2D": products.depthwise,
    "TRANSPOSE_CONV": products.transpose_conv,
    "FULLY_CONNECTED": products.fully_connected,
    "BATCH_MATMUL": products.batch_matmul,
    "ADD": elementwise.binary("add"),
    "SUB": elementwise.binary("sub"),
    "MUL": elementwise.binary("mul"),
    "AVERAGE_POOL_2D": elementwise.pool("average_pool"),
    "MAX_POOL_2D": elementwise.pool("max_pool"),
    "MEAN": elementwise.mean,
    "PAD": shaping.pad,
    "PADV2": shaping.pad,
    "CONCATENATION": shaping.concatenation,
    "RESHAPE": shaping.reshape,
    "SQUEEZE": shaping.reshape,
    "EXPAND_DIMS": shaping.reshape,
    "TRANSPOSE": shaping.transpose,
    "SPLIT": shaping.split,
    "SPLIT_V": shaping.split,
    "SLICE": slices.slice_of,
    "STRIDED_SLICE": slices.strided_slice,
    "SPACE_TO_BATCH_ND": shaping.blocks,
    "BATCH_TO_SPACE_ND": shaping.blocks,
    "PACK": shaping.pack,
    "UNPACK": shaping.unpack,
    "QUANTIZE": elementwise.quantize,
    "DEQUANTIZE": elementwise.dequantize,
    "RELU": elementwise.unary("relu"),
    "RELU6": elementwise.unary("relu6"),
    "RELU_N1_TO_1": elementwise.unary("relu_n1_to_1"),
    "LEAKY_RELU": elementwise.leaky_relu,
    "HARD_SWISH": elementwise.unary("hard_swish"),
    "LOGISTIC": elementwise.unary("logistic"),
    "TANH": elementwise.unary("tanh"),
    "SOFTMAX": elementwise.softmax,
    "ARG_MAX": elementwise.argmax,
}
"""Builtin operator -> its conversion."""

NEAREST: Mapping[str, str] = {
    "PRELU": "LEAKY_RELU",
    "ELU": "LEAKY_RELU",
    "GELU": "HARD_SWISH",
    "RELU_0_TO_1": "RELU6",
    "LOG_SOFTMAX": "SOFTMAX",
    "ARG_MIN": "ARG_MAX",
    "MIRROR_PAD": "PAD",
    "CONV_3D": "CONV_2D",
    "SUM": "MEAN",
    "REDUCE_MAX": "MAX_POOL_2D",
    "L2_POOL_2D": "AVERAGE_POOL_2D",
    "DIV": "MUL by the reciprocal",
    "SQUARE": "MUL by itself",
    "SQUARED_DIFFERENCE": "SUB and MUL",
    "MAXIMUM": "RELU",
    "MINIMUM": "RELU6",
    "NEG": "SUB from 0",
    "ADD_N": "ADD",
    "CAST": "QUANTIZE or DEQUANTIZE",
    "FAKE_QUANT": "QUANTIZE and DEQUANTIZE",
    "GATHER": "SLICE",
    "GATHER_ND": "SLICE",
    "REVERSE_V2": "STRIDED_SLICE with stride -1",
    "TILE": "CONCATENATION",
    "BROADCAST_TO": "CONCATENATION",
    "DEPTH_TO_SPACE": "RESHAPE and TRANSPOSE",
    "SPACE_TO_DEPTH": "RESHAPE and TRANSPOSE",
    "FILL": "a constant",
    "RESIZE_BILINEAR": "TRANSPOSE_CONV",
    "RESIZE_NEAREST_NEIGHBOR": "TRANSPOSE_CONV",
    "SVDF": "FULLY_CONNECTED with the state as an input and an output",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "FULLY_CONNECTED, LOGISTIC, TANH and MUL, unrolled",
    "LSTM": "FULLY_CONNECTED, LOGISTIC, TANH and MUL, unrolled",
    "VAR_HANDLE": "the state as an input and an output of the model",
    "READ_VARIABLE": "the state as an input and an output of the model",
    "ASSIGN_VARIABLE": "the state as an input and an output of the model",
    "CALL_ONCE": "the state as an input and an output of the model",
    "WHILE": "the loop unrolled",
}
"""What to write instead of an operator that is refused; for others the name that looks most like theirs."""


def read_tflite(source: Any, *, name: str = "model") -> Graph:
    """The graph of a .tflite file: its tensors in the order of the file, its operators as nodes.

    source: a path, or the bytes of a file, which `name` then stands for in errors. The i-th tensor of the graph is
    tensor i of the file (names that are empty or repeated have #i added); tensors between the nodes of one operator
    follow. Padding is in numbers, codes of 4 bits stand one a byte, a leading open dimension has its declared size.
    Raises ModelRejectedError with file, place and reason for whatever is wrong with the file or not supported,
    OSError where it cannot be read, ImportError without the package ai-edge-litert. Takes no more memory than the
    file and `limits.MOST_CONSTANT_BYTES`.
    """
    file, content = read_bytes(source, name)
    model = read_tables(file, content)
    tensors = graph_tensors(file, model.tensors)
    names = tuple(tensors)
    nodes: list[Node] = []
    found = dict(tensors)
    for place, operator in enumerate(model.operators):
        call = _call(file, place, operator, model, tensors)
        constant = folded(call)
        if constant is not None:
            tensors[constant.name] = found[constant.name] = constant
            continue
        made = CONVERTERS[operator.code](call)
        nodes += made.nodes
        for tensor in made.between:
            _add(file, made.nodes[0].name, found, tensor)
    inputs, outputs = (_named(file, "model", names, ends) for ends in (model.inputs, model.outputs))
    graph = Graph(tuple(nodes), found, inputs, outputs, "tflite", dict(model.record))
    return _checked(file, graph)


def _checked(file: str, graph: Graph) -> Graph:
    """A graph that holds together, its shapes those that its ops compute."""
    from refq.graphs.catalogue import OPS

    try:
        check_graph(graph, OPS)
    except GraphError as error:
        raise ModelRejectedError(file, error.place, error.reason) from None
    return graph


def _add(file: str, place: str, found: dict[str, Tensor], tensor: Tensor) -> None:
    """A tensor between the nodes of one operator."""
    checked_shape(file, place, tensor.shape)
    at_most(file, place, "tensors", len(found) + 1, 2 * MOST_TENSORS)
    if tensor.name in found:
        raise ModelRejectedError(file, place, f"the name {tensor.name} is taken; rename the tensor in the file")
    found[tensor.name] = tensor


def _named(file: str, where: str, names: tuple[str, ...], places: tuple[int, ...]) -> tuple[str, ...]:
    """Tensors by name that must all be there."""
    for place in places:
        if not 0 <= place < len(names):
            raise ModelRejectedError(file, where, f"tensor {place} of {len(names)}")
    return tuple(names[place] for place in places)


def _call(file: str, place: int, operator: FileOperator, model: FileModel, tensors: Mapping[str, Tensor]) -> Call:
    """One operator, which there is a converter for, with its tensors."""
    where = f"{operator.code}:{place}"
    if operator.code not in CONVERTERS and operator.code not in FOLDS:
        raise ModelRejectedError(file, where, f"{operator.code} is not supported; use {_nearest(operator.code)}")
    names, places = tuple(tensors), tuple(0 if p == -1 else p for p in operator.inputs)
    read = _named(file, where, names, places)
    inputs = tuple(None if p == -1 else tensors[n] for p, n in zip(operator.inputs, read, strict=True))
    outputs = tuple(tensors[n] for n in _named(file, where, names, operator.outputs))
    axes = tuple(model.tensors[p].axis for p in places)
    return Call(file, where, operator.code, inputs, outputs, operator.options, axes)


def _nearest(code: str) -> str:
    """What to use instead."""
    if code in NEAREST:
        return NEAREST[code]
    near = get_close_matches(code, CONVERTERS, 1, 0.0)
    return near[0] if not code.startswith(("CUSTOM", "operator")) else f"one of {', '.join(CONVERTERS)}"
