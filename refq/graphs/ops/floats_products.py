"""Graph ops: float32 convolution, matrix product and Gemm, in the orders of `refq.layers.floats_sums`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.formats import Rounding
from refq.graphs.ops.floats_sites import (
    WINDOW_ATTRIBUTES,
    absent_or,
    as_images,
    bind_float,
    check_window,
    exact,
    flat_layout,
    given,
    image_size,
    names_of,
    needed,
    point,
    reads_of,
    window_of,
)
from refq.graphs.ops.records import Arrays, Bound, Element, Op, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site
from refq.layers.floats_conv import CONV_RULES, float_conv
from refq.layers.floats_matmul import MATMUL_RULES, float_gemm, float_matmul

Attributes = Mapping[str, Any]
Inputs = tuple[Tensor | None, ...]


def _conv_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    x, weights = needed(name, inputs, 0).shape, needed(name, inputs, 1).shape
    window, flat = check_window(name, attributes, len(x)), flat_layout(attributes)
    groups = int(attributes.get("groups", 1))
    if groups < 1 or len(weights) != len(x) or weights[1] * groups != x[1] or weights[0] % groups:
        raise ValueError(f"node {name}: weights of shape {weights} do not fit input {x} with groups={groups}")
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is not None and bias.shape != (weights[0],):
        raise ValueError(f"node {name}: bias of shape {bias.shape}; pass ({weights[0]},)")
    rows, columns = window.places(image_size(x, flat), image_size(weights, flat))
    if rows < 1 or columns < 1:
        raise ValueError(f"node {name}: the kernel {weights[2:]} does not fit the padded image of {x}")
    return ((x[0], weights[0], columns) if flat else (x[0], weights[0], rows, columns),)


def _bind_conv(site: Site, bounds: Rounding) -> Bound:
    flat, window = flat_layout(site.node.attributes), window_of(site.node.attributes)
    groups = int(site.attribute("groups", 1))

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        x, weights = as_images(given(arrays, 0), flat), as_images(given(arrays, 1), flat)
        found = float_conv(x, weights, absent_or(arrays, 2), rule, window, groups)
        return found[:, :, 0] if flat else found

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        x, weights = as_images(given(arrays, 0), flat), as_images(given(arrays, 1), flat)
        place = index[2:] if not flat else (0, index[2])
        first = index[1] // (weights.shape[0] // groups) * weights.shape[1]
        read, reads = reads_of(window, place, image_size(weights.shape, False), image_size(x.shape, False))
        taps = [((i, j), (row, column)) for i, row in reads[0] for j, column in reads[1]]
        bias = absent_or(arrays, 2)
        total = exact(0) if bias is None else exact(bias[index[1]])
        for channel in range(weights.shape[1]):
            for (i, j), (row, column) in taps:
                total += exact(x[index[0], first + channel, row, column]) * exact(weights[index[1], channel, i, j])
        channels = slice(first, first + weights.shape[1])
        field = (slice(index[0], index[0] + 1), channels, *(read[1:] if flat else read))
        names = names_of(site)
        kernel = tuple(slice(0, size) for size in given(arrays, 1).shape[1:])
        fields = [(names[0], field), (names[1], (slice(index[1], index[1] + 1), *kernel))]
        if bias is not None:
            fields.append((names[2], point((index[1],))))
        return Element(tuple(fields), value=total, words=f"{len(taps) * weights.shape[1]} float32 products")

    return bind_float(site, compute, explain)


def _matmul_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    a, b = needed(name, inputs, 0).shape, needed(name, inputs, 1).shape
    if not a or not b or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise ValueError(f"node {name}: shapes {a} and {b} do not multiply")
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ValueError(f"node {name}: shapes {a} and {b} do not broadcast") from None
    rows = () if len(a) == 1 else (left[-2],)
    return ((*batch, *rows, *(() if len(b) == 1 else (right[-1],))),)


def _bind_matmul(site: Site, bounds: Rounding) -> Bound:
    names = names_of(site)

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        return float_matmul(given(arrays, 0), given(arrays, 1), rule)

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        a, b = given(arrays, 0), given(arrays, 1)
        left, right = _places(index, a.ndim, b.ndim)
        rows = (*_batch_place(left[0], a.shape[:-2]), *left[1])
        columns = _batch_place(right[0], b.shape[:-2])
        depth = range(a.shape[-1])
        total = sum((exact(a[(*rows, k)]) * exact(b[(*columns, k, *right[1])]) for k in depth), exact(0))
        every = slice(0, a.shape[-1])
        fields = ((names[0], (*point(rows), every)), (names[1], (*point(columns), every, *point(right[1]))))
        return Element(fields, value=total, words=f"{a.shape[-1]} float32 products")

    return bind_float(site, compute, explain)


Place = tuple[tuple[int, ...], tuple[int, ...]]


def _places(index: tuple[int, ...], left: int, right: int) -> tuple[Place, Place]:
    """The batch and the row of a, the batch and the column of b, for one element of a @ b."""
    column = index[-1:] if right > 1 else ()
    rest = index[: len(index) - len(column)]
    row = rest[-1:] if left > 1 else ()
    batch = rest[: len(rest) - len(row)]
    return (batch, row), (batch, column)


def _batch_place(batch: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    last = batch[len(batch) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(last, shape, strict=True))


def _gemm_shapes(name: str, attributes: Attributes, inputs: Inputs) -> Shapes:
    a, b = needed(name, inputs, 0).shape, needed(name, inputs, 1).shape
    left = a[::-1] if attributes.get("trans_a", False) else a
    right = b[::-1] if attributes.get("trans_b", False) else b
    if len(left) != 2 or len(right) != 2 or left[1] != right[0]:
        raise ValueError(f"node {name}: shapes {a} and {b} do not multiply")
    shape = (left[0], right[1])
    c = inputs[2] if len(inputs) > 2 else None
    if c is not None and not _spreads(c.shape, shape):
        raise ValueError(f"node {name}: c of shape {c.shape} does not broadcast to {shape}")
    return (shape,)


def _spreads(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to the target without widening it."""
    last = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, of) for n, of in zip(shape, last, strict=True))


def _bind_gemm(site: Site, bounds: Rounding) -> Bound:
    transposed = (bool(site.attribute("trans_a", False)), bool(site.attribute("trans_b", False)))
    alpha, beta = np.float32(site.attribute("alpha", 1)), np.float32(site.attribute("beta", 1))
    names = names_of(site)

    def compute(arrays: Arrays, rule: str) -> NDArray[Any]:
        c = absent_or(arrays, 2)
        return float_gemm(given(arrays, 0), given(arrays, 1), c, rule, transposed, float(alpha), float(beta))

    def explain(arrays: Arrays, index: tuple[int, ...]) -> Element:
        a, b, c = given(arrays, 0), given(arrays, 1), absent_or(arrays, 2)
        row = a[:, index[0]] if transposed[0] else a[index[0]]
        column = b[index[1]] if transposed[1] else b[:, index[1]]
        total = exact(alpha) * sum((exact(x) * exact(y) for x, y in zip(row, column, strict=True)), exact(0))
        every = slice(0, row.size)
        at, by = point(index[:1]), point(index[1:])
        fields = [(names[0], (every, *at) if transposed[0] else (*at, every))]
        fields.append((names[1], (*by, every) if transposed[1] else (every, *by)))
        if c is not None:
            place = _batch_place(index, c.shape)
            total += exact(beta) * exact(c[place])
            fields.append((names[2], point(place)))
        return Element(tuple(fields), value=total, words=f"{row.size} float32 products")

    return bind_float(site, compute, explain)


def _packed(site: Site) -> frozenset[str]:
    return frozenset({"packed"} if site.attribute("packed", False) else ())


PACKED = "whether b is a float32 constant of the file itself, which ONNX Runtime packs, not one that a node makes"

OPS: tuple[Op, ...] = (
    Op(
        "float_conv",
        "float32 convolution (x, weights OIHW, bias or none)",
        _conv_shapes,
        _bind_conv,
        lambda site: CONV_RULES,
        attributes={**WINDOW_ATTRIBUTES, "groups": "1 or more"},
    ),
    Op(
        "float_matmul",
        "float32 a @ b",
        _matmul_shapes,
        _bind_matmul,
        lambda site: MATMUL_RULES,
        _packed,
        attributes={"packed": PACKED},
    ),
    Op(
        "float_gemm",
        "float32 alpha * a @ b + beta * c (a, b, c or none)",
        _gemm_shapes,
        _bind_gemm,
        lambda site: MATMUL_RULES,
        _packed,
        attributes={
            "packed": PACKED,
            "trans_a": "whether a is transposed",
            "trans_b": "whether b is transposed",
            "alpha": "a float, rounded to float32",
            "beta": "a float, rounded to float32",
        },
    ),
)
