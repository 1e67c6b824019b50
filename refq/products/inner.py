"""Inner products of the register tile: and + popcount on words, dot products of bytes and of 16-bit pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from refq.products.vectors import I16, I32, I64, call, joined, lanes_of, target_features, vector_bits

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
