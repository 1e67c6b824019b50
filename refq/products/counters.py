"""Counters of a row as bit slices: carries between words, and the counts as numbers.

The LOW_SLICES counters of a word's own count lie together; above them each level has a sum and a carry that waits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refq.products.adders import HIGH_SLICES, LOW_SLICES, MOST_SLICES, SLICE, WORDS, full_adder, slices_at
from refq.products.vectors import I1, I8, I32, I64, pointer, splat

MOST_WORDS = (1 << MOST_SLICES - 6) - 1
"""Words of the depth that the counters hold."""


@intrinsic
def add_carry(typing_context: Any, counters: Any, total: Any, waiting: Any, carry: Any, out: Any) -> Any:
    """A full adder in memory: total + waiting + carry becomes a sum at `total`, a carry at `out`; places in words."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, total, waiting, carry, out = arguments
        at = slices_at(context, builder, signature, arguments, 0)
        bits, following = full_adder(builder, *(builder.load(at(i, 0), align=64) for i in (total, waiting, carry)))
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
        bits, carry = full_adder(builder, builder.load(at(total, 0), align=64), wait, carry)
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
        at = slices_at(context, builder, signature, arguments, 0)
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
