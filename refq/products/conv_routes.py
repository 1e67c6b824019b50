"""The ways a convolution is computed, each as a step from a range of output pixels to their sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.accumulation import Accumulator
from refq.encodings import Encoding
from refq.products.accumulators import finish
from refq.products.bitplanes import BitPlanes
from refq.products.choice import Choice, choose, in_order
from refq.products.conv_bounds import kernel_codes, shifted_weights
from refq.products.conv_operands import Operands
from refq.products.conv_sources import Source, code_patches, codes_as_they_lie, plane_patches
from refq.products.depthwise import depthwise_rows
from refq.products.direct import direct_rows
from refq.products.gemm import gemm, prepare
from refq.products.geometry import Geometry
from refq.products.operands import Operand, Span, operand
from refq.products.prepared import exact_product
from refq.products.problem import PLANE_PATHS, Problem
from refq.products.threads import most_parts

Step = Callable[[int, NDArray[np.int64]], Any]
"""step(start, out): the sums of output pixels start .. start + len(out) into out (rows, filters), C order."""

# A chunk of patches stays in the second-level cache; fewer than 32 rows do not fill the tile.
CHUNK_BYTES = 512 << 10
FEWEST_ROWS = 32
# Bytes of a code in the copy that a path makes of its left operand.
WIDENED = {"int16": 2, "float32": 4, "float64": 8, "int64": 8, "accumulate": 8}
# Products a second on one core, to decide whether a second thread pays.
STEPS_SPEED, DEPTHWISE_SPEED, DIRECT_SPEED = 1e9, 2e9, 5e8


@dataclass(frozen=True)
class Route:
    """A way to compute: `rows` output pixels a chunk, about `seconds` on one core."""

    rows: int
    seconds: float
    exact: bool
    """Whether the accumulator is exact, so that no step refuses a sum."""
    new_step: Callable[[], Step]
    """A step with buffers of its own, one a thread."""
    choice: Choice


def _rows(g: Geometry, row_bytes: int) -> int:
    """Output pixels of a chunk: as many chunks for each thread, all about equal."""
    most = max(CHUNK_BYTES // max(row_bytes, 1), FEWEST_ROWS)
    if g.pixels <= most:
        return max(g.pixels, 1)
    threads = most_parts()
    return max(-(-g.pixels // (-(-g.pixels // (most * threads)) * threads)), 1)


def _seconds(g: Geometry, speed: float) -> float:
    return g.pixels * g.filters * g.depth / speed


def _of_filters(value: Any, part: slice) -> Any:
    """The part of what may be one number, one a filter, or None."""
    return value[part] if isinstance(value, np.ndarray) else value


def _chosen(task: Operands, right: Operand, span: Span, path: str, rule: Accumulator) -> Choice:
    """The path that gemm proves exact, and would take for all pixels of a group."""
    if not rule.only_end:
        return in_order(rule)
    g = task.geometry
    return choose(Problem(g.pixels, g.depth, right.shape[0], span, right.span), path)


def _source(task: Operands, path: str, encoding: Encoding | None) -> tuple[int, Callable[[], Source]]:
    """The rows of a chunk and where they come from."""
    g = task.geometry
    rows = _rows(g, g.depth * max(task.codes.itemsize, WIDENED.get(path, 1)))
    if g.pointwise and g.groups == 1:
        return rows, codes_as_they_lie(task)
    if path in PLANE_PATHS and encoding and not g.channels // g.groups % 64:
        rows = _rows(g, g.depth * encoding.bits // 8)
        return rows, plane_patches(task, rows, encoding)
    return rows, code_patches(task, rows)


def product_route(task: Operands, path: str, rule: Accumulator) -> Route:
    """Patches times weights, group by group, on the path that gemm would choose or the one named."""
    g, each = task.geometry, task.geometry.filters // task.geometry.groups
    parts = [slice(k * each, (k + 1) * each) for k in range(g.groups)]
    right = [
        prepare(
            task.weights[part].reshape(each, g.depth).T,
            rhs_format=task.weight_format,
            rhs_zero_point=_of_filters(task.weight_zero_point, part),
        )
        for part in parts
    ]
    span = _span(task)
    choice = _chosen(task, right[0].operand, span, path, rule)
    rows, new_source = _source(task, choice.path, span.encoding)
    biases = [_of_filters(task.bias, part) for part in parts]

    def multiply(left: Any, k: int, out: NDArray[np.int64]) -> None:
        if not rule.only_end:
            zero, fmt = task.input_zero_point, task.input_format
            out[:] = gemm(left, right[k], lhs_format=fmt, lhs_zero_point=zero, bias=biases[k], accumulator=rule)
            return
        if isinstance(left, BitPlanes):
            given = operand("conv", "input", left, None)
        else:
            given = Operand("conv", "input", left, left.shape, span, checked=True)
        exact_product(given, right[k], task.input_zero_point, biases[k], choice.path, out)

    def new_step() -> Step:
        source, sums = new_source(), np.empty((rows if g.groups > 1 else 0, each), np.int64)

        def step(start: int, out: NDArray[np.int64]) -> None:
            for k, part in enumerate(parts):
                # the columns of one group among others are not C-contiguous
                into = out if g.groups == 1 else sums[: len(out)]
                multiply(source(k, start, len(out)), k, into)
                if g.groups > 1:
                    out[:, part] = into

        return _narrowed(step, rule) if rule.only_end else step

    seconds = choice.seconds * g.groups or _seconds(g, STEPS_SPEED)
    return Route(rows, seconds, rule.keeps_sums, new_step, choice)


def _span(task: Operands) -> Span:
    """What a value of any patch may be: the padding lies outside the codes if these were measured."""
    span = operand("conv", "input", task.codes, task.input_format).span
    if span.encoding or not task.geometry.padded:
        return span
    return Span(min(span.low, task.pad), max(span.high, task.pad))


def _narrowed(kernel: Step, rule: Accumulator) -> Step:
    """Exact sums, then what a rule that looks at the end only makes of them."""
    if rule.keeps_sums:
        return kernel

    def step(start: int, out: NDArray[np.int64]) -> None:
        kernel(start, out)
        out[:] = finish("conv", out, rule)

    return step


def depthwise_route(task: Operands, rule: Accumulator) -> Route:
    """One kernel along the channels; groups == channels."""
    g = task.geometry
    v, bound = shifted_weights(task)
    dtype = np.dtype(np.int32 if bound < 1 << 31 else np.int64)
    # (channels, multiplier, taps) to vectors along the channels
    taps = (
        v.reshape(g.channels, g.filters // g.channels, g.depth).transpose(1, 2, 0).astype(dtype, order="C").reshape(-1)
    )
    codes, zero = kernel_codes(task), task.input_zero_point
    bias = np.zeros(g.filters, np.int64) if task.bias is None else task.bias
    fixed = (codes, tuple(g.height), tuple(g.width), zero, task.pad - zero, taps, bias)

    def new_step() -> Step:
        acc = np.empty(g.channels, dtype)
        return _narrowed(lambda start, out: depthwise_rows(*fixed, start, acc, out), rule)

    reason = f"every filter sees one channel; |sums| <= {bound} are kept in {dtype}"
    choice = Choice("depthwise", reason, _seconds(g, DEPTHWISE_SPEED))
    return Route(_rows(g, g.filters * 8), choice.seconds, rule.keeps_sums, new_step, choice)


def direct_route(task: Operands, rule: Accumulator) -> Route:
    """The sums as they are written, in int64."""
    g = task.geometry
    v, bound = shifted_weights(task)
    codes, zero = kernel_codes(task), task.input_zero_point
    bias = np.zeros(g.filters, np.int64) if task.bias is None else task.bias
    fixed = (codes, tuple(g.height), tuple(g.width), g.channels, g.groups, zero, task.pad - zero, v, bias)
    step = _narrowed(lambda start, out: direct_rows(*fixed, start, out), rule)
    reason = f"asked for; one product at a time, |sums| <= {bound} are kept in int64"
    choice = Choice("direct", reason, _seconds(g, DIRECT_SPEED))
    return Route(_rows(g, g.filters * 8), choice.seconds, rule.keeps_sums, lambda: step, choice)
