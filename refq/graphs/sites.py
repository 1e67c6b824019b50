"""A node in its place: the tensors it reads and writes, and what every op asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import IntFormat
from refq.graphs.records import Graph, Node, Quantization, Tensor

INTEGERS = {
    "int4": IntFormat(4),
    "uint4": IntFormat(4, False),
    "int8": IntFormat(8),
    "uint8": IntFormat(8, False),
    "int16": IntFormat(16),
    "uint16": IntFormat(16, False),
    "int32": IntFormat(32),
    "int64": IntFormat(64),
}
"""The integer formats of tensors, by dtype name."""


@dataclass(frozen=True, eq=False)
class Site:
    """A node with its tensors; inputs are None where the node has none there."""

    node: Node
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    format: str

    def input(self, place: int) -> Tensor:
        """A tensor that must be there."""
        tensor = self.inputs[place] if place < len(self.inputs) else None
        if tensor is None:
            raise ValueError(f"{self.node.op} {self.node.name}: input {place} is missing")
        return tensor

    def optional(self, place: int) -> Tensor | None:
        """A tensor that may be absent."""
        return self.inputs[place] if place < len(self.inputs) else None

    def constant(self, place: int) -> NDArray[Any]:
        """The values of an input that must be stored in the model."""
        tensor = self.input(place)
        if tensor.data is None:
            raise ValueError(f"{self.node.op} {self.node.name}: input {place} ({tensor.name}) must be a constant")
        return tensor.data

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(name, default)


def site_of(graph: Graph, node: Node) -> Site:
    """A node of a graph with its tensors."""
    inputs = tuple(None if name is None else graph.tensors[name] for name in node.inputs)
    return Site(node, inputs, tuple(graph.tensors[name] for name in node.outputs), graph.format)


def quantization(site: Site, tensor: Tensor) -> Quantization:
    """Scale and zero point that a tensor must have."""
    if tensor.quantization is None:
        raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} ({tensor.dtype}) has no scale")
    return tensor.quantization


def scale_of(site: Site, tensor: Tensor) -> np.float32:
    """The one scale of a tensor."""
    scale = quantization(site, tensor).scale
    if scale.size != 1:
        raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} has {scale.size} scales; pass one")
    return np.float32(scale[0])


def zero_point_of(site: Site, tensor: Tensor) -> int:
    """The one zero point of a tensor."""
    zeros = quantization(site, tensor).zero_point
    if zeros.size != 1:
        raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} has {zeros.size} zero points; pass one")
    return int(zeros[0])


def format_of(site: Site, tensor: Tensor) -> IntFormat:
    """The integer format of a tensor's codes."""
    if tensor.dtype not in INTEGERS:
        raise ValueError(f"{site.node.op} {site.node.name}: {tensor.name} is {tensor.dtype}; pass integer codes")
    return INTEGERS[tensor.dtype]
