"""matmul (ONNX QLinearMatMul), batch_matmul (TFLite), and the int32 products, in graphs."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.integer_products import OPS as INTEGER_OPS
from refq.graphs.ops.matrix_products import (
    batched,
    dtype_tags,
    element_of,
    product_shapes,
    ranges_of,
    reach_of,
    sums_of,
)
from refq.graphs.ops.records import Arrays, Bound, Element, Op
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, quantization, scale_of, zero_point_of
from refq.layers.product_codes import Target, finisher
from refq.layers.product_rules import product_rules
from refq.layers.rescaling import Scales


def _is_wide(site: Site) -> bool:
    """BATCH_MATMUL of int16 adds up in 64 bits."""
    return site.node.op == "batch_matmul" and site.input(0).dtype == "int16"


def _rules(site: Site) -> tuple[str, ...]:
    return product_rules(format_of(site, site.outputs[0]).bits, wide=_is_wide(site))


def _tags(site: Site) -> frozenset[str]:
    """symmetric_right: XNNPACK takes a BATCH_MATMUL of int8 only where the right side has zero point 0."""
    zeros = quantization(site, site.input(1)).zero_point
    return dtype_tags(site) | (frozenset() if zeros.any() else {"symmetric_right"})


def _column_scales(site: Site, b: Tensor) -> NDArray[np.float32]:
    """One scale, or one a column; batch_matmul, whose kernels read one, takes one."""
    if site.node.op == "batch_matmul":
        return np.array([scale_of(site, b)], np.float32)
    return quantization(site, b).scale


def _target(site: Site, scales: Scales, rounding: Rounding) -> Target:
    result, a = site.outputs[0], site.input(0).shape
    depth = a[-2] if site.attribute("adj_x", False) else a[-1]
    if result.dtype not in ("int8", "uint8", "int16", "uint16"):
        raise ValueError(
            f"{site.node.op} {site.node.name}: the result {result.name} is {result.dtype}; it takes 8 or 16 bits,"
            " matmul_integer gives int32"
        )
    return Target(
        f"{site.node.op} {site.node.name}", scales.under, scales.output, zero_point_of(site, result),
        format_of(site, result), result.shape[-1] if result.shape else 1, bounds=rounding, wide=_is_wide(site),
        reach=reach_of(site, depth),
    )  # fmt: skip


def _bind(site: Site, rounding: Rounding) -> Bound:
    a, b, result = site.input(0), site.input(1), site.outputs[0]
    scales = Scales(scale_of(site, a), _column_scales(site, b), scale_of(site, result))
    finish = finisher(_target(site, scales, rounding))

    def element(arrays: Arrays, place: int, at: tuple[int, ...]) -> Element:
        return element_of(site, scales, arrays, at)

    return Bound(sums_of(site), lambda acc, rule: (finish(acc, rule),), element, ranges_of(site))


OPS = (
    Op(
        "matmul",
        "product of matrices in batches, shapes broadcast as numpy.matmul does",
        partial(product_shapes, "matmul"),
        _bind,
        _rules,
        _tags,
        batched,
    ),
    Op(
        "batch_matmul",
        "product of matrices in batches, either side turned",
        partial(product_shapes, "batch_matmul"),
        _bind,
        _rules,
        _tags,
        batched,
        attributes={"adj_x": "turn the left matrices; default False", "adj_y": "turn the right ones; default False"},
    ),
    *INTEGER_OPS,
)
