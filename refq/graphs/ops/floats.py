"""Graph ops on float32: what stands between DequantizeLinear and QuantizeLinear where a runtime fuses nothing."""

from __future__ import annotations

from refq.graphs.ops import floats_elementwise, floats_pools, floats_products
from refq.graphs.ops.records import Op

OPS: tuple[Op, ...] = (*floats_products.OPS, *floats_pools.OPS, *floats_elementwise.OPS)
"""All float32 ops."""
