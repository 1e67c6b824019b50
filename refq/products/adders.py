"""Full adders on bit slices: a slice holds one bit of the counts of 512 columns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from refq.products.vectors import I32, I64, call, pointer, target_features

SLICE = ir.VectorType(I64, 8)
WORDS = 8
"""Words of 64 columns in a slice."""
LOW_SLICES = 7
"""Slices that hold the count of a word, 0..64."""
MOST_SLICES = 16
HIGH_SLICES = MOST_SLICES - LOW_SLICES


def full_adder(builder: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
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


def half_adder(builder: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """(sum, carry) of two slices."""
    return builder.xor(a, b), builder.and_(a, b)


def add_slice(builder: Any, waiting: dict[int, list[Any]], level: int, bits: Any) -> None:
    """One more slice of weight 2**level; three that wait become a sum and a carry."""
    queue = waiting.setdefault(level, [])
    queue.append(bits)
    if len(queue) == 3:
        total, carry = full_adder(builder, queue[2], queue[0], queue[1])
        queue[:] = [total]
        add_slice(builder, waiting, level + 1, carry)


def settled(builder: Any, waiting: dict[int, list[Any]], levels: int) -> tuple[list[Any], Any]:
    """One slice a level, and the one carry out."""
    for level in range(levels):
        if len(waiting[level]) == 2:
            total, carry = half_adder(builder, *waiting[level])
            waiting[level] = [total]
            add_slice(builder, waiting, level + 1, carry)
    (carry,) = waiting[levels]
    return [waiting[level][0] for level in range(levels)], carry


def slices_at(context: Any, builder: Any, signature: Any, arguments: Any, array: int) -> Any:
    """at(place in words, number): a pointer to that slice of a flat array of words."""
    words = pointer(context, builder, signature.args[array], arguments[array], I64)

    def at(place: Any, number: int) -> Any:
        return builder.gep(builder.bitcast(builder.gep(words, [place]), SLICE.as_pointer()), [I64(number)])

    return at
