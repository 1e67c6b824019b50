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

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from refq.products.inner import Inner
from refq.products.vectors import I8, I32, I64, call, pointer, resized, splat


class Operands(NamedTuple):
    """Pointers to the left panel, in lanes, and the right one, in vectors, and to what is fetched meanwhile of both."""

    inner: Inner
    left: Any
    next_left: Any
    right: Any
    next_right: Any


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


class Tiles(NamedTuple):
    """Two intrinsics that compute a tile; arrays are flat, places in lanes or elements.

    to_blocks(left, right, blocks, (i, next_i, j, next_j, cells, b, keep)): the rows x columns lanes at blocks[b:]
    become keep * themselves + the sums over `cells` >= 1 cells, keep 0 or 1.
    to_result(..., out, base, (at, N, column)): instead, they + base[column:] become rows x columns elements of out,
    int32 or int64, modulo their size: row r from out[at + r * N].

    The left panel starts at left[i], the right one at right[j], both in tile order; meanwhile the left panel at next_i
    is fetched, and a vector a cell from next_j of the right operand. Nothing is checked: the driver in blocks.py owns
    the shapes, and the bound under which lanes do not overflow.
    """

    to_blocks: Any
    to_result: Any


def _sums(inner: Inner, context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[list[Any], list[Any]]:
    """Where the lanes of the block lie, and their sums."""
    vector = ir.VectorType(inner.lane, 512 // inner.lane.width)
    bases = [pointer(context, builder, signature.args[a], arguments[a], inner.lane) for a in range(3)]
    i, next_i, j, next_j, cells, b, keep = cgutils.unpack_tuple(builder, arguments[3])

    def vectors(array: int, place: Any) -> Any:
        return builder.bitcast(builder.gep(bases[array], [place]), vector.as_pointer())

    left, next_left = (builder.gep(bases[0], [place]) for place in (i, next_i))
    operands = Operands(inner, left, next_left, vectors(1, j), vectors(1, next_j))
    kept = splat(builder, _lane_mask(builder, keep, inner.lane), vector.count)
    places = [builder.gep(vectors(2, b), [I64(n)]) for n in range(inner.rows * inner.vectors)]
    starts = [builder.and_(kept, builder.load(place, align=8)) for place in places]
    return places, _depth_loop(builder, operands, cells, starts)


def _to_result(inner: Inner, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    _, sums = _sums(inner, context, builder, signature, arguments)
    element, lanes = ir.IntType(signature.args[4].dtype.bitwidth), 512 // inner.lane.width
    out, base = (pointer(context, builder, signature.args[a], arguments[a], element) for a in (4, 5))
    place, stride, column = cgutils.unpack_tuple(builder, arguments[6])

    def vector(array: Any, at: Any, n: int) -> Any:
        start = builder.gep(array, [builder.add(at, I64(n % inner.vectors * lanes))])
        return builder.bitcast(start, ir.VectorType(element, lanes).as_pointer())

    for n, total in enumerate(sums):
        added = builder.add(resized(builder, total, element), builder.load(vector(base, column, n), align=4))
        row = builder.add(place, builder.mul(stride, I64(n // inner.vectors)))
        builder.store(added, vector(out, row, n), align=4)
    return context.get_dummy_value()


def register_tiles(inner: Inner) -> Tiles:
    """The tiles of an inner product."""

    def block_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for place, total in zip(*_sums(inner, context, builder, signature, arguments), strict=True):
            builder.store(total, place, align=8)
        return context.get_dummy_value()

    def result_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _to_result(inner, context, builder, signature, arguments)

    seven, three = (types.UniTuple(types.int64, count) for count in (7, 3))

    @intrinsic
    def to_blocks(typing_context: Any, left: Any, right: Any, blocks: Any, places: Any) -> Any:
        return types.void(left, right, blocks, seven), block_code

    @intrinsic
    def to_result(
        typing_context: Any, left: Any, right: Any, blocks: Any, places: Any, out: Any, base: Any, there: Any
    ) -> Any:
        return types.void(left, right, blocks, seven, out, base, three), result_code

    return Tiles(to_blocks, to_result)
