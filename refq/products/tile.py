"""The register tile: one generator of explicit vector code, with two inner products.

A block of the result, `rows` x `vectors` vectors of 512 bits, stays in registers while the depth runs by:

                      right: `vectors` vectors a cell, lane = column
                      +-----------+-----------+
                      |  b[k][0]  |  b[k][1]  |        64 bytes each
                      +-----------+-----------+
    left: a[k][0] ->  |  acc 0,0  |  acc 0,1  |        acc[r][v] += inner(splat(a[k][r]), b[k][v])
    one   a[k][1] ->  |  acc 1,0  |  acc 1,1  |
    cell  a[k][2] ->  |  acc 2,0  |  acc 2,1  |        rows * vectors accumulators, `vectors` operands and
    each  ...         |    ...    |    ...    |        one splat at a time, in at most 32 registers
                      +-----------+-----------+

A cell is what one lane multiplies in one step: 64 one-bit values for and + popcount (lanes of 64 bits), 4 bytes or
2 int16 for the dot product (lanes of 32 bits). Both operands lie in the order they are read, a[k][r] and b[k][v][lane].
Vectors of 512 bits are legal on every target; LLVM splits them where registers are narrower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refq.products.vectors import (
    I8,
    I16,
    I32,
    I64,
    call,
    joined,
    lanes_of,
    pointer,
    splat,
    target_features,
    vector_bits,
)

PAIR_PRODUCTS = {512: "llvm.x86.avx512.pmaddw.d.512", 256: "llvm.x86.avx2.pmadd.wd", 128: "llvm.x86.sse2.pmadd.wd"}


def and_popcount(builder: Any, acc: Any, left: Any, right: Any) -> Any:
    """64 products of bits a lane."""
    return builder.add(acc, call(builder, "llvm.ctpop.v8i64", acc.type, [builder.and_(left, right)]))


def dot_bytes(builder: Any, acc: Any, left: Any, right: Any) -> Any:
    """4 products uint8 x int8 a lane (VPDPBUSD); exact, for 4 * 255 * 128 < 2**31."""
    return call(builder, "llvm.x86.avx512.vpdpbusd.512", acc.type, [acc, left, right])


def dot_pairs(builder: Any, acc: Any, left: Any, right: Any) -> Any:
    """2 products int16 x int16 a lane (PMADDWD), in as many instructions as a vector needs on this x86."""
    lanes = vector_bits() // 32
    halves, sums = ir.VectorType(I16, 2 * lanes), ir.VectorType(I32, lanes)
    parts = []
    for first in range(0, 16, lanes):
        pair = [builder.bitcast(lanes_of(builder, v, range(first, first + lanes)), halves) for v in (left, right)]
        parts.append(call(builder, PAIR_PRODUCTS[vector_bits()], sums, pair))
    return builder.add(acc, joined(builder, parts))


def dot_pairs_anywhere(builder: Any, acc: Any, left: Any, right: Any) -> Any:
    """2 products int16 x int16 a lane, widened first; any target."""
    halves = ir.VectorType(I16, 32)
    pair = [builder.bitcast(v, halves) for v in (left, right)]
    for parity in (0, 1):
        wide = [builder.sext(lanes_of(builder, v, range(parity, 32, 2)), acc.type) for v in pair]
        acc = builder.add(acc, builder.mul(*wide))
    return acc


@dataclass(frozen=True)
class Inner:
    """An inner product: its code, the lane it sums in, values a cell holds, and rows x vectors of the block."""

    step: Callable[..., Any]
    lane: Any
    depth: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Columns of the block."""
        return self.vectors * 512 // int(self.lane.width)


class Operands(NamedTuple):
    """Pointers to the left panel, in lanes, and the right one, in vectors, and to what is fetched meanwhile of both."""

    inner: Inner
    left: Any
    next_left: Any
    right: Any
    next_right: Any


def popcount_inner() -> Inner:
    """And + popcount; without VPOPCNTDQ the count takes eight instructions and four registers of constants."""
    rows, vectors = {512: (8, 2) if "avx512vpopcntdq" in target_features() else (4, 3), 256: (3, 1), 128: (1, 1)}[
        vector_bits()
    ]
    return Inner(and_popcount, I64, 64, rows, vectors)


def bytes_inner() -> Inner | None:
    """uint8 x int8, four a lane, where the target has VNNI on 512 bits."""
    return Inner(dot_bytes, I32, 4, 6, 4) if {"avx512vnni", "avx512bw"} <= target_features() else None


def pairs_inner() -> Inner:
    """int16 x int16, two a lane, on any target."""
    rows, vectors = {512: (8, 3), 256: (5, 1), 128: (2, 1)}[vector_bits()]
    return Inner(dot_pairs if "x86" in target_features() else dot_pairs_anywhere, I32, 2, rows, vectors)


def _depth_loop(builder: Any, operands: Operands, cells: Any, starts: list[Any]) -> list[Any]:
    """The accumulators after `cells` >= 1 steps."""
    before, body, after = builder.block, builder.append_basic_block("depth"), builder.append_basic_block("done")
    builder.branch(body)
    builder.position_at_end(body)
    k, *accs = (builder.phi(start.type) for start in [I64(0), *starts])
    following = [builder.add(k, I64(1)), *_step(builder, operands, k, accs)]
    for phi, start, value in zip([k, *accs], [I64(0), *starts], following, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following[0], cells), body, after)
    builder.position_at_end(after)
    return following[1:]


def _prefetch(builder: Any, address: Any) -> None:
    """Ask for a line; an address out of bounds does nothing."""
    octets = builder.bitcast(address, I8.as_pointer())
    call(builder, "llvm.prefetch.p0i8", ir.VoidType(), [octets, I32(0), I32(3), I32(1)])


def _step(builder: Any, operands: Operands, k: Any, accs: list[Any]) -> list[Any]:
    """Every accumulator after cell k: each right vector loaded once, each left cell splat once."""
    inner = operands.inner

    def at(base: Any, count: int, i: int) -> Any:
        return builder.gep(base, [builder.add(builder.mul(k, I64(count)), I64(i))])

    _prefetch(builder, at(operands.next_left, inner.rows, 0))
    _prefetch(builder, at(operands.next_right, 1, 0))
    vectors = [builder.load(at(operands.right, inner.vectors, v), align=8) for v in range(inner.vectors)]
    sums: list[Any] = []
    for r in range(inner.rows):
        cell = splat(builder, builder.load(at(operands.left, inner.rows, r)), vectors[0].type.count)
        sums += [inner.step(builder, accs[len(sums) + v], cell, vector) for v, vector in enumerate(vectors)]
    return sums


def _lane_mask(builder: Any, flag: Any, lane: Any) -> Any:
    """All bits of a lane set where the flag, 0 or 1, is."""
    mask = builder.neg(flag)
    return mask if lane == I64 else builder.trunc(mask, lane)


def register_tile(inner: Inner) -> Any:
    """An intrinsic `tile(left, i, next_i, right, j, next_j, cells, blocks, b, keep)`: flat arrays, places in lanes.

    The rows x columns lanes at blocks[b:] become keep * themselves + the sums over `cells` >= 1 cells, keep 0 or 1.
    The left panel starts at left[i], the right one at right[j], both in tile order; meanwhile the left panel at next_i
    is fetched, and a vector a cell from next_j of the right operand. Nothing is checked: the driver in blocks.py owns
    the shapes, and the bound under which lanes do not overflow.
    """
    vector = ir.VectorType(inner.lane, 512 // inner.lane.width)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def at(array: int, place: Any, kind: Any) -> Any:
            lanes = pointer(context, builder, signature.args[array], arguments[array], inner.lane)
            return builder.bitcast(builder.gep(lanes, [place]), kind.as_pointer())

        _, i, next_i, _, j, next_j, cells, _, b, keep = arguments
        left = (at(0, place, inner.lane) for place in (i, next_i))
        operands = Operands(inner, *left, *(at(3, place, vector) for place in (j, next_j)))
        kept = splat(builder, _lane_mask(builder, keep, inner.lane), vector.count)
        places = [builder.gep(at(7, b, vector), [I64(n)]) for n in range(inner.rows * inner.vectors)]
        sums = [builder.and_(kept, builder.load(place, align=8)) for place in places]
        for place, total in zip(places, _depth_loop(builder, operands, cells, sums), strict=True):
            builder.store(total, place, align=8)
        return context.get_dummy_value()

    @intrinsic
    def tile(
        typing_context: Any,
        left: Any,
        i: Any,
        next_i: Any,
        right: Any,
        j: Any,
        next_j: Any,
        cells: Any,
        blocks: Any,
        b: Any,
        keep: Any,
    ) -> Any:
        n = types.int64
        return types.void(left, n, n, right, n, n, n, blocks, n, n), code

    return tile
