"""Kernels under refq.products.bitplanes: 64 integers tested for one bit at a time, and weighted popcounts.

    values[row, at .. at + 63]    v0   v1   v2  ...  v63      64 lanes of 8, 16 or 32 bits
    + add                         one vector addition, modulo the lane
    & mask, compared with 0       one vector test
    bit j of the word             v0 in bit 0 ... v63 in bit 63

With mask = 1 << b the word is plane b of 64 values. With the mask of all bits that no legal value sets, the word
says which of the 64 are illegal, so the check costs as much as one plane more and no second pass.
LLVM makes of it vpaddb, vptestmb, kmovq on AVX-512, vpmovmskb on SSE2 and AVX2, and legal code on any other target.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from refq.encodings import Encoding, Kind
from refq.products.vectors import I64, splat


class Lanes(NamedTuple):
    """How the lane of a value v gives its code: plane b says whether (v + add) & (first << b) is not 0.

    v is illegal if (v + shift) & illegal is not 0. Sums are modulo 2**width of the lane.
    """

    add: int
    first: int
    shift: int
    illegal: int


@intrinsic
def lanes_hit(typingctx, values, at, add, mask):
    """uint64 whose bit j is ((values[at + j] + add) & mask != 0); values must reach at + 64.

    values: 1-D C-contiguous uint8, uint16 or uint32; the other arguments int64.
    """

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        vector = ir.VectorType(ir.IntType(signature.args[0].dtype.bitwidth), 64)
        place = cgutils.get_item_pointer(context, builder, signature.args[0], array, arguments[1:2])
        lanes = builder.load(builder.bitcast(place, vector.as_pointer()), align=1)
        add, mask = (splat(builder, builder.trunc(scalar, vector.element), 64) for scalar in arguments[2:])
        kept = builder.and_(builder.add(lanes, add), mask)
        return builder.bitcast(builder.icmp_unsigned("!=", kept, ir.Constant(vector, None)), I64)

    return types.uint64(values, types.int64, types.int64, types.int64), codegen


@intrinsic
def popcount(typingctx, word):
    """Set bits of a uint64, as int64."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen


@njit
def _pack_run(values, at, words, valid, lanes, out, first):
    """The words of values[at], values[at + 1], ... into out[:, first:first + words]; the OR of their illegal lanes.

    The last word holds the lanes `valid` only. Its load, if it would leave the array, starts earlier and the
    word is shifted back; at least one lane is valid, so by 63 at most.
    """
    final = at + 64 * (words - 1)
    inside = min(final, values.size - 64)
    back = np.uint64(final - inside)
    hits = (lanes_hit(values, inside, lanes.shift, lanes.illegal) >> back) & valid
    for w in range(words - 1):
        hits |= lanes_hit(values, at + 64 * w, lanes.shift, lanes.illegal)
    for b in range(out.shape[0]):
        plane, mask = out[b, first : first + words], lanes.first << b
        for w in range(words - 1):
            plane[w] = lanes_hit(values, at + 64 * w, lanes.add, mask)
        plane[words - 1] = (lanes_hit(values, inside, lanes.add, mask) >> back) & valid
    return hits


@njit(nogil=True)
def pack_rows(values, depth, start, stop, lanes, out):
    """Fill the words of rows start..stop - 1 of out (bits, rows * words); True if a value of those rows is illegal.

    values: 1-D C-contiguous uint8, uint16 or uint32, at least 64, the rows one after another, depth >= 1 each.
    out: uint64, C-contiguous, words = ceil(depth / 64); padding bits become 0. Threads may share the rows.
    """
    words = (depth + 63) // 64
    hits = np.uint64(0)
    run, reach, valid = words, depth, (np.uint64(1) << np.uint64(depth % 64)) - np.uint64(1)
    if depth % 64 == 0:
        # no padding, so rows do not matter: runs that stay in the first cache while the planes are taken
        run, reach, valid = RUN, 64 * RUN, ~np.uint64(0)
    at = start * depth
    for first in range(start * words, stop * words, run):
        hits |= _pack_run(values, at, min(run, stop * words - first), valid, lanes, out, first)
        at += reach
    return hits != 0


@njit(nogil=True)
def weigh_rows(words, weights, out):
    """out[r] = sum over b of weights[b] * popcount(words[b, r]); |out| <= 2**17 * depth."""
    for r in range(words.shape[1]):
        total = 0
        for b in range(words.shape[0]):
            count = 0
            for w in range(words.shape[2]):
                count += popcount(words[b, r, w])
            total += weights[b] * count
        out[r] = total


@cache
def lanes_of(encoding: Encoding) -> Lanes:
    """Where the code of a value is in its lane, for a dtype that `holds` the encoding.

    unsigned: v is its code. signed: so is v modulo 2**bits, and v + 2**(bits - 1) is in 0..2**bits - 1.
    odd: v + 2**bits - 1 is twice the code, even and in 0..2**(bits + 1) - 2.
    """
    count = 1 << encoding.bits
    if encoding.kind is Kind.ODD:
        return Lanes(count - 1, 2, count - 1, ~(2 * count - 2))
    return Lanes(0, 1, count // 2 if encoding.kind is Kind.SIGNED else 0, ~(count - 1))


@cache
def holds(dtype: np.dtype[Any], encoding: Encoding) -> bool:
    """Whether the dtype holds every value, so that its lanes tell what is legal.

    A lane knows v modulo 2**width only. The dtype holds each residue once; if it holds all of the encoding, no
    illegal value of it has the residue of a legal one. (uint8 does not hold int8: 255 looks like -1.)
    """
    limits = np.iinfo(dtype)
    return bool(limits.min <= encoding.minimum and encoding.maximum <= limits.max)


RUN = 128
"""Words a run: 8 or 16 KiB of values."""
