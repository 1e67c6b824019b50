"""An .onnx file as it stands, after every claim of it was checked: nodes, constants, inputs, outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from numpy.typing import NDArray

from refq.importers.limits import ModelRejectedError

MICROSOFT = "com.microsoft"
OWN = "refq"
"""Domain of ops on codes that no file has: what groups become that ONNX and ONNX Runtime have no form for."""


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A node of the file. inputs: "" where an optional one is absent. attributes: numbers, strings, lists, arrays."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def input(self, place: int) -> str:
        """The name of an input, "" where it is absent."""
        return self.inputs[place] if place < len(self.inputs) else ""


@dataclass(frozen=True)
class OnnxValue:
    """A declared input or output: None for a dimension (or a whole shape) that the file leaves open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A file. nodes: each after what it reads.

    dims: shapes of tensors, worked out by the ops of graphs; the file's own claims are not used. None: an open batch.
    packed: constants of 4 bits, which stand in int8 or uint8. computed: constants here that a runtime computes anew
    by a node of its graph, such as DequantizeLinear, at every run.
    """

    file: str
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    opset: int
    dims: Mapping[str, tuple[int | None, ...]]
    packed: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()


def title(node: OnnxNode) -> str:
    """How errors name a node."""
    return f"{node.op} {node.name}"


def reject(file: str, node: OnnxNode, reason: str) -> NoReturn:
    """Refuse a file for one of its nodes."""
    raise ModelRejectedError(file, title(node), reason)
