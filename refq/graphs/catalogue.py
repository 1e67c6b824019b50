"""Every op a graph can hold."""

from __future__ import annotations

from collections.abc import Mapping

from refq.graphs.ops import (
    elementwise,
    floats,
    matmuls,
    pools,
    products,
    quantizing,
    shapes,
    softmax,
    tables,
    transposed,
)
from refq.graphs.ops.records import Op, catalogue

OPS: Mapping[str, Op] = catalogue(
    products.OPS, transposed.OPS, matmuls.OPS, elementwise.OPS, pools.OPS, shapes.OPS, tables.OPS, softmax.OPS,
    quantizing.OPS, floats.OPS,
)  # fmt: skip
"""The ops of graphs, by name."""
