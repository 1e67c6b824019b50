"""One-bit products without popcount: sums of subsets looked up, and counters kept as bit slices.

For 64 steps of the depth at a time, the 512 columns of a block of the right operand are summed beforehand: for each
three of the steps, the sums of all eight subsets, as two bit slices (512 columns a vector). A row of the left operand
then takes one subset for each three of its bits and adds it to its counters by full adders:

    word of the left row     ... 110 001 101                three bits choose a subset
                                  |   |   |
    table, 22 groups x 8     [b2+b1] [b0] [b2+b0]           two slices each: ones and twos
                                  |   |   |
    full adders              ones -> twos -> fours -> ...   sum = a ^ b ^ c, carry = majority(a, b, c)
    counters of the row      slice p holds bit p of the count of each of the 512 columns

Above the seven slices of one word, a carry waits at its level until another comes: word w, counted from 0, adds at as
many levels as w ends in ones, one full adder a word on average.

Two loads and two full adders (four instructions with VPTERNLOG) do 3 x 512 products: 384 an instruction, where
and + popcount + add does 512 in three. Arlazarov, Dinic, Kronrod, Faradzev 1970 (subsets); Harley and Seal (adders).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refq.products.adders import LOW_SLICES, SLICE, WORDS, add_slice, half_adder, settled, slices_at
from refq.products.vectors import I8, I64, call, pointer

GROUPS = [(first, min(3, 64 - first)) for first in range(0, 64, 3)]
TABLE_WORDS = len(GROUPS) * 16 * WORDS


def _subset_sums(builder: Any, rows: list[Any]) -> list[tuple[Any, Any]]:
    """(ones, twos) of the sum of every subset of at most three rows; bit d of the index takes rows[d]."""
    zero = ir.Constant(SLICE, None)
    sums = [(zero, zero)]
    for bits in rows:
        added = []
        for ones, twos in sums:
            total, carry = half_adder(builder, ones, bits)
            added.append((total, builder.or_(twos, carry)))
        sums += added
    return sums


@intrinsic
def subset_table(typing_context: Any, right: Any, at: Any, stride: Any, table: Any) -> Any:
    """Fill table (TABLE_WORDS uint64) from the 64 rows right[at + d * stride : + 8]; right: flat uint64."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = pointer(context, builder, signature.args[0], arguments[0], I64)
        entries = pointer(context, builder, signature.args[3], arguments[3], SLICE)
        for group, (first, count) in enumerate(GROUPS):
            places = [builder.add(arguments[1], builder.mul(arguments[2], I64(first + d))) for d in range(count)]
            rows = [builder.bitcast(builder.gep(words, [place]), SLICE.as_pointer()) for place in places]
            sums = _subset_sums(builder, [builder.load(row, align=8) for row in rows])
            for i, bits in enumerate(bits for pair in sums for bits in pair):
                builder.store(bits, builder.gep(entries, [I64(16 * group + i)]), align=64)
        return context.get_dummy_value()

    return types.void(right, types.int64, types.int64, table), code


def _chosen(builder: Any, table: Any, word: Any, group: int, first: int, count: int) -> Any:
    """Pointer to the two slices that `count` bits of the word from bit `first` choose: 128 bytes an entry."""
    moved = call(builder, "llvm.fshr.i64", I64, [word, word, I64((first - 7) % 64)])
    entry = builder.and_(moved, I64(((1 << count) - 1) << 7))
    return builder.bitcast(builder.gep(table, [builder.add(entry, I64(1024 * group))]), SLICE.as_pointer())


@intrinsic
def count_word(typing_context: Any, word: Any, table: Any, counters: Any, low: Any, carry: Any) -> Any:
    """Add the subsets that 64 bits of a left row choose to its LOW_SLICES counters at `low`; the carry goes to `carry`.

    counters: flat uint64, 64-byte aligned; low, carry: places in words.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, table, _, low, carry = arguments
        table = pointer(context, builder, signature.args[1], table, I8)
        at = slices_at(context, builder, signature, arguments, 2)
        waiting: dict[int, list[Any]] = {}
        for level in range(LOW_SLICES):
            add_slice(builder, waiting, level, builder.load(at(low, level), align=64))
        for group, (first, count) in enumerate(GROUPS):
            entry = _chosen(builder, table, word, group, first, count)
            add_slice(builder, waiting, 0, builder.load(entry, align=64))
            if count > 1:
                add_slice(builder, waiting, 1, builder.load(builder.gep(entry, [I64(1)]), align=64))
        slices, out = settled(builder, waiting, LOW_SLICES)
        for level, bits in enumerate(slices):
            builder.store(bits, at(low, level), align=64)
        builder.store(out, at(carry, 0), align=64)
        return context.get_dummy_value()

    return types.void(types.uint64, table, counters, types.int64, types.int64), code
