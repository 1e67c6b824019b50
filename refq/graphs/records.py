"""A model as data: tensors with their quantization, nodes that name the tensors they read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.table import text

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Quantization:
    """value = scale * (code - zero_point).

    scale: float32 (channels,), finite and > 0; zero_point: int64 (channels,). axis: the dimension of the tensor that
    the channels run along; None where there is one scale for all of it.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int | None = None


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a model.

    dtype: "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "int64", "float32" or "bool".
    quantization: None for floats and plain integers. data: the values of a constant, else None; codes of 4 bits stand
    one a byte, in int8 or uint8.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    data: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. inputs: names of tensors, None for an optional one that is absent.

    op: a name of `OPS`; attributes: those of the op. source: what the file calls the operation ("CONV_2D").
    """

    name: str
    op: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    source: str = ""


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole model: every tensor by name, nodes in an order in which each follows what it reads.

    inputs, outputs: names of tensors. format: "tflite" or "onnx". record: what is worth knowing of the file, strings,
    which nothing computes with.
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    format: str
    record: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    def __str__(self) -> str:
        """A table, one line a node."""
        return text(self)
