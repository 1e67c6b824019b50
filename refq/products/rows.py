"""A row of sums into a row of the result, a vector at a time; LLVM does not see that the arrays are apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from refq.products.vectors import I64, pointer, resized, splat


def _each(builder: Any, width: Any, many: int, step: Callable[[Any, int], None]) -> None:
    """step(first column, lanes) over 0..width - 1: `many` at a time, a power of two, then one."""
    whole = builder.and_(width, I64(-many))
    with cgutils.for_range(builder, builder.udiv(width, I64(many))) as loop:
        step(builder.mul(loop.index, I64(many)), many)
    with cgutils.for_range(builder, builder.sub(width, whole)) as loop:
        step(builder.add(loop.index, whole), 1)


def _place(builder: Any, base: Any, at: Any, lanes: int) -> Any:
    return builder.bitcast(builder.gep(base, [at]), ir.VectorType(base.type.pointee, lanes).as_pointer())


def _load(builder: Any, base: Any, at: Any, lanes: int, kind: Any) -> Any:
    """Lanes of int32 or int64 as `kind`, modulo its size."""
    return resized(builder, builder.load(_place(builder, base, at, lanes), align=4), kind)


def _data(context: Any, builder: Any, signature: Any, arguments: Any, i: int) -> Any:
    kind = signature.args[i]
    return pointer(context, builder, kind, arguments[i], ir.IntType(kind.dtype.bitwidth))


def _row(weighted: bool) -> Any:
    """Code of the two intrinsics below."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, base, sums = (_data(context, builder, signature, arguments, i) for i in (0, 3, 5))
        _, at, width, _, column, _, source, *weight = arguments
        lane = out.type.pointee

        def step(first: Any, lanes: int) -> None:
            terms = _load(builder, sums, builder.add(source, first), lanes, lane)
            if weighted:
                times = builder.trunc(weight[0], lane) if lane != I64 else weight[0]
                terms = builder.mul(terms, splat(builder, times, lanes))
            total = builder.add(_load(builder, base, builder.add(column, first), lanes, lane), terms)
            builder.store(total, _place(builder, out, builder.add(at, first), lanes), align=4)

        _each(builder, width, 512 // lane.width, step)
        return context.get_dummy_value()

    return code


@intrinsic
def add_row(typing_context: Any, out: Any, at: Any, width: Any, base: Any, column: Any, sums: Any, source: Any) -> Any:
    """out[at + c] = base[column + c] + sums[source + c] for c < width; flat, int32 or int64, modulo the size of out.

    base may be out itself.
    """
    row = types.void(out, types.int64, types.int64, base, types.int64, sums, types.int64)
    return row, _row(weighted=False)


@intrinsic
def add_weighted_row(
    typing_context: Any, out: Any, at: Any, width: Any, base: Any, column: Any, sums: Any, source: Any, weight: Any
) -> Any:
    """The same with weight * sums[source + c]."""
    row = types.void(out, types.int64, types.int64, base, types.int64, sums, types.int64, types.int64)
    return row, _row(weighted=True)
