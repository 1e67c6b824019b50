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

from refq.products.vectors import I1, I8, I32, I64, call, pointer, splat, target_features

SLICE = ir.VectorType(I64, 8)
WORDS = 8
"""Words of 64 columns in a slice."""
GROUPS = [(first, min(3, 64 - first)) for first in range(0, 64, 3)]
TABLE_WORDS = len(GROUPS) * 16 * WORDS
LOW_SLICES = 7
"""Slices that hold the count of a word, 0..64."""
MOST_SLICES = 16
HIGH_SLICES = MOST_SLICES - LOW_SLICES
MOST_WORDS = (1 << MOST_SLICES - 6) - 1
"""Words of the depth that the counters hold."""


def _full_adder(builder: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """(sum, carry) of three slices.

    The carry is the majority with a = sum ^ b ^ c put in: VPTERNLOG overwrites an operand, and this needs no copy;
    `a`, used once, may come from memory.
    """
    if "avx512f" in target_features():
        total = _by_table(builder, 0b10010110, a, b, c)
        return total, _by_table(builder, 0b11010100, b, c, total)
    odd = builder.xor(a, b)
    return builder.xor(odd, c), builder.or_(builder.and_(a, b), builder.and_(odd, c))


def _by_table(builder: Any, table: int, a: Any, b: Any, c: Any) -> Any:
    """Bit 4 a + 2 b + c of the table, for each bit."""
    return call(builder, "llvm.x86.avx512.pternlog.q.512", SLICE, [a, b, c, I32(table)])


def _half_adder(builder: Any, a: Any, b: Any) -> tuple[Any, Any]:
    return builder.xor(a, b), builder.and_(a, b)


def _add_slice(builder: Any, waiting: dict[int, list[Any]], level: int, bits: Any) -> None:
    """One more slice of weight 2**level; three that wait become a sum and a carry."""
    queue = waiting.setdefault(level, [])
    queue.append(bits)
    if len(queue) == 3:
        total, carry = _full_adder(builder, queue[2], queue[0], queue[1])
        queue[:] = [total]
        _add_slice(builder, waiting, level + 1, carry)


def _settled(builder: Any, waiting: dict[int, list[Any]], levels: int) -> tuple[list[Any], Any]:
    """One slice a level, and the one carry out."""
    for level in range(levels):
        if len(waiting[level]) == 2:
            total, carry = _half_adder(builder, *waiting[level])
            waiting[level] = [total]
            _add_slice(builder, waiting, level + 1, carry)
    (carry,) = waiting[levels]
    return [waiting[level][0] for level in range(levels)], carry


def _subset_sums(builder: Any, rows: list[Any]) -> list[tuple[Any, Any]]:
    """(ones, twos) of the sum of every subset of at most three rows; bit d of the index takes rows[d]."""
    zero = ir.Constant(SLICE, None)
    sums = [(zero, zero)]
    for bits in rows:
        added = []
        for ones, twos in sums:
            total, carry = _half_adder(builder, ones, bits)
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
        at = _slices(context, builder, signature, arguments, 2)
        waiting: dict[int, list[Any]] = {}
        for level in range(LOW_SLICES):
            _add_slice(builder, waiting, level, builder.load(at(low, level), align=64))
        for group, (first, count) in enumerate(GROUPS):
            entry = _chosen(builder, table, word, group, first, count)
            _add_slice(builder, waiting, 0, builder.load(entry, align=64))
            if count > 1:
                _add_slice(builder, waiting, 1, builder.load(builder.gep(entry, [I64(1)]), align=64))
        slices, out = _settled(builder, waiting, LOW_SLICES)
        for level, bits in enumerate(slices):
            builder.store(bits, at(low, level), align=64)
        builder.store(out, at(carry, 0), align=64)
        return context.get_dummy_value()

    return types.void(types.uint64, table, counters, types.int64, types.int64), code


def _slices(context: Any, builder: Any, signature: Any, arguments: Any, array: int) -> Any:
    """at(place in words, number): a pointer to that slice of a flat array of words."""
    words = pointer(context, builder, signature.args[array], arguments[array], I64)

    def at(place: Any, number: int) -> Any:
        return builder.gep(builder.bitcast(builder.gep(words, [place]), SLICE.as_pointer()), [I64(number)])

    return at


@intrinsic
def add_carry(typing_context: Any, counters: Any, total: Any, waiting: Any, carry: Any, out: Any) -> Any:
    """A full adder in memory: total + waiting + carry becomes a sum at `total` and a carry at `out`; places in words."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, total, waiting, carry, out = arguments
        at = _slices(context, builder, signature, arguments, 0)
        bits, following = _full_adder(builder, *(builder.load(at(i, 0), align=64) for i in (total, waiting, carry)))
        builder.store(bits, at(total, 0), align=64)
        builder.store(following, at(out, 0), align=64)
        return context.get_dummy_value()

    return types.void(counters, types.int64, types.int64, types.int64, types.int64), code


def _settled_levels(builder: Any, at: Any, high: Any, stride: Any, words: Any) -> list[Any]:
    """The high slices with every carry that still waits: at level i where bit i of the number of words is set."""
    slices, carry = [], ir.Constant(SLICE, None)
    for i in range(HIGH_SLICES):
        there = splat(builder, builder.neg(builder.and_(builder.lshr(words, I64(i)), I64(1))), WORDS)
        total, waiting = (builder.add(high, builder.mul(stride, I64(2 * i + k))) for k in (0, 1))
        wait = builder.and_(there, builder.load(at(waiting, 0), align=64))
        bits, carry = _full_adder(builder, builder.load(at(total, 0), align=64), wait, carry)
        slices.append(bits)
    return slices


def _octets(builder: Any, slices: list[Any], word: int) -> Any:
    """64 bytes from one word of each of at most eight slices, whose bits are the weights."""
    total = ir.Constant(ir.VectorType(I8, 64), None)
    for p, bits in enumerate(slices):
        chosen = builder.bitcast(builder.extract_element(bits, I32(word)), ir.VectorType(I1, 64))
        added = builder.add(total, ir.Constant(total.type, [1 << p] * 64))
        total = builder.select(chosen, added, total)
    return total


@intrinsic
def read_counters(typing_context: Any, counters: Any, low: Any, high: Any, stride: Any, words: Any, out: Any) -> Any:
    """The 512 counts of a row after `words` words, into 512 int32.

    low: place of its LOW_SLICES counters. high: place of its first high slice; level i has its sum 2 i strides further
    and the carry that waits 2 i + 1. counters: flat uint64, 64-byte aligned; places and stride in words.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, low, high, stride, words, _ = arguments
        at = _slices(context, builder, signature, arguments, 0)
        slices = [builder.load(at(low, level), align=64) for level in range(LOW_SLICES)]
        slices += _settled_levels(builder, at, high, stride, words)
        numbers = ir.VectorType(I32, 64)
        target = pointer(context, builder, signature.args[5], arguments[5], numbers)
        for word in range(WORDS):
            ones, many = (builder.zext(_octets(builder, part, word), numbers) for part in (slices[:8], slices[8:]))
            total = builder.or_(ones, builder.shl(many, ir.Constant(numbers, [8] * 64)))
            builder.store(total, builder.gep(target, [I64(word)]), align=8)
        return context.get_dummy_value()

    place = types.int64
    return types.void(counters, place, place, place, place, out), code
