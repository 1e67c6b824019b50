"""What the matrix products of graphs share: shapes, exact sums, their ranges, the arithmetic of one element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.graphs.ops.records import Accumulators, Arrays, Element, Shapes
from refq.graphs.records import Tensor
from refq.graphs.sites import Site, format_of, quantization, zero_point_of
from refq.layers.matmuls import bind_matmul, matmul_sums, product_shape
from refq.layers.rescaling import Scales
from refq.products.ranges import accumulator_ranges

Adjoint = tuple[bool, bool]


def turned(array: NDArray[Any], adjoint: bool) -> NDArray[Any]:
    """The last two dimensions exchanged."""
    return array.swapaxes(-1, -2) if adjoint else array


def _turned_shape(shape: tuple[int, ...], adjoint: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if adjoint else shape


def adjoint_of(site: Site) -> Adjoint:
    """Whether the left and the right side are turned."""
    return bool(site.attribute("adj_x", False)), bool(site.attribute("adj_y", False))


def product_shapes(op: str, name: str, attributes: Mapping[str, Any], inputs: tuple[Tensor | None, ...]) -> Shapes:
    """The one result of a product; ValueError names op and node."""
    place, (a, b) = f"{op} {name}", inputs[:2]
    if a is None or b is None:
        raise ValueError(f"{place}: two inputs are needed")
    adjoint = bool(attributes.get("adj_x", False)), bool(attributes.get("adj_y", False))
    if (adjoint[0] and len(a.shape) < 2) or (adjoint[1] and len(b.shape) < 2):
        raise ValueError(f"{place}: adj_x and adj_y need inputs of two dimensions, not {a.shape} and {b.shape}")
    try:
        return (product_shape(_turned_shape(a.shape, adjoint[0]), _turned_shape(b.shape, adjoint[1])),)
    except ValueError as error:
        raise ValueError(f"{place}: {str(error).partition(': ')[2]}") from None


def batched(site: Site) -> bool:
    """Whether the first dimension of the result runs along that of every input that is no constant."""
    a, b = site.input(0), site.input(1)
    if a.quantization is not None and a.quantization.scale.size > 1:
        return False
    if b.data is not None:
        apart = len(b.shape) < len(a.shape) or (len(b.shape) == len(a.shape) and b.shape[0] == 1)
        rows = len(a.shape) == 2 and len(b.shape) < 3 and not adjoint_of(site)[0]
        return rows or (len(a.shape) > 2 and apart)
    if a.data is not None:
        return len(b.shape) > 2 and (len(a.shape) < len(b.shape) or a.shape[0] == 1)
    return len(a.shape) == len(b.shape) > 2 and a.shape[0] == b.shape[0]


def dtype_tags(site: Site) -> frozenset[str]:
    """The dtype of the left side; per_channel where an input has several scales."""
    several = any(t is not None and t.quantization and t.quantization.scale.size > 1 for t in site.inputs)
    return frozenset([site.input(0).dtype, *(["per_channel"] if several else [])])


def line_zeros(site: Site, tensor: Tensor, axis: int) -> NDArray[np.int64]:
    """One zero point, or one a line along an axis counted from the end; int32 results need no scales."""
    if tensor.quantization is None and site.outputs[0].dtype == "int32":
        return np.array(0, np.int64)
    found = quantization(site, tensor)
    count = max(found.scale.size, found.zero_point.size)
    if count == 1:
        return np.array(int(found.zero_point.ravel()[0]), np.int64)
    rank = len(tensor.shape)
    if rank + axis < 0 or found.axis is None or found.axis % rank != rank + axis or tensor.shape[axis] != count:
        raise ValueError(
            f"{site.node.op} {site.node.name}: {tensor.name} {tensor.shape} has {count} scales along axis {found.axis};"
            f" pass one, or one a line of axis {axis}"
        )
    return np.broadcast_to(found.zero_point.astype(np.int64), (count,))


def sums_of(site: Site) -> Callable[[Arrays], NDArray[np.int64]]:
    """Both inputs -> their exact sums; a constant matrix on the right is packed once."""
    a, b = site.input(0), site.input(1)
    adj_x, adj_y = adjoint_of(site)
    za, zb = line_zeros(site, a, -1 if adj_x else -2), line_zeros(site, b, -2 if adj_y else -1)
    for tensor in (a, b):
        format_of(site, tensor)
    if b.data is not None and b.data.ndim == 2 and not np.ndim(za):
        packed = bind_matmul(
            turned(b.data, adj_y), a_zero_point=int(za), b_zero_point=zb, a_format=a.dtype, b_format=b.dtype
        )
        return lambda arrays: packed(turned(given(arrays[0]), adj_x))
    return lambda arrays: matmul_sums(
        turned(given(arrays[0]), adj_x), turned(given(arrays[1]), adj_y), a_zero_point=za, b_zero_point=zb
    )


def given(array: NDArray[Any] | None) -> NDArray[Any]:
    """An input that must be there."""
    assert array is not None
    return array


def ranges_of(site: Site) -> Callable[[], Accumulators] | None:
    """For a constant right side: each column of each of its matrices, over all codes of the left one."""
    a, b = site.input(0), site.input(1)
    if b.data is None:
        return None
    adj_x, adj_y = adjoint_of(site)
    matrices = turned(b.data if b.data.ndim > 1 else b.data[:, None], adj_y)
    zeros = line_zeros(site, b, -2 if adj_y else -1)
    fmt, za = format_of(site, a), np.atleast_1d(line_zeros(site, a, -1 if adj_x else -2))

    def ranges() -> Accumulators:
        columns = np.moveaxis(matrices - zeros, -2, 0).reshape(matrices.shape[-2], -1)
        found = accumulator_ranges(columns, fmt.qmin - int(za.max()), fmt.qmax - int(za.min()))
        return Accumulators(found.lower.astype(np.int64), found.upper.astype(np.int64))

    return ranges


def reach_of(site: Site, depth: int) -> tuple[int, int]:
    """Ends that no sum of `depth` products of codes leaves."""
    most = depth
    for tensor in (site.input(0), site.input(1)):
        fmt, zeros = format_of(site, tensor), quantization(site, tensor).zero_point
        most *= max(int(zeros.max()) - fmt.qmin, fmt.qmax - int(zeros.min()))
    return -most, most


def _line(shape: tuple[int, ...], lead: tuple[int, ...], index: int, along_rows: bool) -> tuple[slice, ...]:
    """One row or one column of an input, of the matrix that the leading indices of the result broadcast to."""
    if len(shape) == 1:
        return (slice(0, shape[0]),)
    own = lead[len(lead) - (len(shape) - 2) :]
    places = [slice(i, i + 1) if n > 1 else slice(0, 1) for i, n in zip(own, shape[:-2], strict=True)]
    one = slice(index, index + 1)
    return (*places, one, slice(0, shape[-1])) if along_rows else (*places, slice(0, shape[-2]), one)


def element_of(site: Site, scales: Scales | None, arrays: Arrays, at: tuple[int, ...]) -> Element:
    """The row and the column of an element, and its exact sum; without scales its value is the sum."""
    a, b, (adj_x, adj_y) = given(arrays[0]), given(arrays[1]), adjoint_of(site)
    rest = list(at)
    column = rest.pop() if b.ndim > 1 else 0
    row = rest.pop() if a.ndim > 1 else 0
    left, right = _line(a.shape, tuple(rest), row, not adj_x), _line(b.shape, tuple(rest), column, adj_y)
    za, zb = line_zeros(site, site.input(0), -1 if adj_x else -2), line_zeros(site, site.input(1), -2 if adj_y else -1)
    xs, ys = a[left].ravel().astype(np.int64), b[right].ravel().astype(np.int64)
    total = int((xs - (za[row] if np.ndim(za) else za)) @ (ys - (zb[column] if np.ndim(zb) else zb)))
    fields = ((site.input(0).name, left), (site.input(1).name, right))
    words = f"{xs.size} products"
    if scales is None:
        return Element(fields, total, Fraction(1), Fraction(total), words=words)
    weight = scales.weight[column if scales.weight.size > 1 else 0]
    scale = Fraction(float(scales.input)) * Fraction(float(weight)) / Fraction(float(scales.output))
    return Element(fields, total, scale, total * scale + zero_point_of(site, site.outputs[0]), words=words)
