"""A graph in the making: tensors and nodes that are added one by one, shapes from the catalogue of ops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.catalogue import OPS
from refq.graphs.records import EMPTY, Node, Quantization, Tensor
from refq.importers.limits import ModelRejectedError, checked_shape
from refq.importers.onnx_records import OnnxModel, OnnxNode, reject, title
from refq.importers.onnx_scales import Operand, quantization_of, same


@dataclass(eq=False)
class Making:
    """What is there of a graph.

    meanings: the quantization that each tensor of codes has there; {} where only the shapes are asked for.
    """

    model: OnnxModel
    meanings: Mapping[str, Quantization]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def plain(making: Making, node: OnnxNode, name: str) -> Tensor:
    """A tensor that is read as it is."""
    constants = making.model.constants
    if name not in making.tensors and name in constants:
        data, meaning = constants[name], making.meanings.get(name)
        dtype = data.dtype.name if name not in making.model.packed else data.dtype.name.replace("8", "4")
        _fits(making, node, name, data.shape, meaning)
        making.tensors[name] = Tensor(name, data.shape, dtype, meaning, data)
    if name not in making.tensors:
        reject(making.model.file, node, f"tensor {name!r} is missing")
    return making.tensors[name]


def _fits(making: Making, node: OnnxNode, name: str, shape: tuple[int, ...], meaning: Quantization | None) -> None:
    """Channels: as many scales as the tensor has places along the axis."""
    if meaning is None or meaning.axis is None:
        return
    if meaning.axis >= len(shape) or shape[meaning.axis] != meaning.scale.size:
        reason = f"{name} of shape {shape} has {meaning.scale.size} scales along axis {meaning.axis}"
        reject(making.model.file, node, reason)


def codes(making: Making, node: OnnxNode, operand: Operand) -> Tensor:
    """A tensor of codes under the scale of the op that reads it.

    Where the tensor already has another scale, it is its codes that are read: of a constant a copy under a new name,
    of any other tensor through a node `reshape` that changes nothing but the scale.
    """
    found = plain(making, node, operand.tensor)
    wanted = quantization_of(making.model, node, operand, len(found.shape))
    _fits(making, node, operand.tensor, found.shape, wanted)
    alike = same(found.quantization, wanted) or (not operand.scale and _zeros_alike(found.quantization, wanted))
    if alike or not making.meanings:
        return found
    return rescaled(making, node, found, wanted)


def rescaled(making: Making, node: OnnxNode, found: Tensor, wanted: Quantization | None) -> Tensor:
    """The codes of a tensor under another scale, and a name of their own."""
    name = f"{found.name}/read_by/{node.name}"
    while name in making.tensors and not same(making.tensors[name].quantization, wanted):
        name += "/again"
    if name not in making.tensors and found.data is None:
        making.nodes.append(Node(name, "reshape", (found.name,), (name,), EMPTY, "same codes, another scale"))
    return making.tensors.setdefault(name, Tensor(name, found.shape, found.dtype, wanted, found.data))


def _zeros_alike(one: Quantization | None, other: Quantization) -> bool:
    return one is not None and one.axis == other.axis and np.array_equal(one.zero_point, other.zero_point)


def emit(
    making: Making, node: OnnxNode, op: str, inputs: list[Tensor | None], attributes: Mapping[str, Any], dtype: str,
    shapes: tuple[tuple[int, ...], ...] | None = None,
) -> None:  # fmt: skip
    """Add the node that a node of the file becomes. shapes: of its outputs, where the op does not give them."""
    file = making.model.file
    if shapes is None:
        shapes = computed_shapes(making, node, op, inputs, attributes)
    outputs = tuple(name for name in node.outputs if name)
    if len(outputs) != len(shapes):
        reject(file, node, f"{len(node.outputs)} outputs; {op} has {len(shapes)}")
    for name, shape in zip(outputs, shapes, strict=True):
        checked_shape(file, title(node), shape)
        if name in making.tensors:
            reject(file, node, f"tensor {name!r} is there twice")
        meaning = making.meanings.get(name) if dtype != "float32" else None
        _fits(making, node, name, shape, meaning)
        making.tensors[name] = Tensor(name, shape, dtype, meaning)
    names = tuple(None if tensor is None else tensor.name for tensor in inputs)
    making.nodes.append(Node(node.name, op, names, outputs, dict(attributes), node.op))


def computed_shapes(
    making: Making, node: OnnxNode, op: str, inputs: list[Tensor | None], attributes: Mapping[str, Any]
) -> tuple[tuple[int, ...], ...]:
    """The shapes of outputs by the catalogue's own rule."""
    if op not in OPS:
        reject(making.model.file, node, f"becomes {op}, which graphs do not have")
    try:
        return OPS[op].shapes(title(node), attributes, tuple(inputs))
    except (ValueError, TypeError) as error:
        text = str(error)
        for repeated in (f"{op} {title(node)}: ", f"node {title(node)}: ", f"{title(node)}: "):
            text = text.removeprefix(repeated)
        raise ModelRejectedError(making.model.file, title(node), text) from None


def known(making: Making, node: OnnxNode, place: int, what: str) -> NDArray[Any] | None:
    """The values of an input that must be a constant, None where the node has none there."""
    name = node.input(place)
    if not name:
        return None
    if name not in making.model.constants:
        reject(making.model.file, node, f"{what} ({name}) must be a constant of the file")
    return making.model.constants[name]


def integers(making: Making, node: OnnxNode, place: int, attribute: str, what: str) -> tuple[int, ...] | None:
    """A list of integers that stands in a constant input, or in old opsets in an attribute."""
    found = known(making, node, place, what)
    if found is None:
        listed = node.attributes.get(attribute)
        return None if listed is None else tuple(int(v) for v in np.atleast_1d(listed))
    if found.dtype.kind not in "iu" or found.ndim > 1 or found.size > 64:
        reject(making.model.file, node, f"{what} is {found.dtype} of shape {found.shape}; pass a row of integers")
    return tuple(int(v) for v in found.ravel())


def axis_of(making: Making, node: OnnxNode, axis: int, rank: int) -> int:
    """An axis counted from the start."""
    if not -rank <= axis < rank:
        reject(making.model.file, node, f"axis={axis} is outside {-rank}..{rank - 1}")
    return axis % rank


def written_dtype(making: Making, node: OnnxNode, zero_point: str, default: str) -> str:
    """The type of the codes that a node writes: that of its zero point."""
    data = making.model.constants.get(zero_point)
    if data is None:
        return default
    return data.dtype.name if zero_point not in making.model.packed else data.dtype.name.replace("8", "4")
