"""Operands into the order in which the register tile reads them: panels of rows or columns, cell by cell."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from refq.products.memory import empty
from refq.products.vectors import I64, joined, lanes_of, pointer, splat


def _interleaver(bits: int, rows: int) -> Any:
    """An intrinsic `interleave(words, at, stride, flip, out, place)`: a vector of words of each row, in turn.

    out[place + c * rows + r] = words[at + r * stride + c] ^ flip for every c below the lanes of 512 bits; flat arrays.
    """
    lane, lanes = ir.IntType(bits), 512 // bits
    vector = ir.VectorType(lane, lanes)
    order = [(i % rows) * lanes + i // rows for i in range(rows * lanes)]
    missing = [ir.Constant(vector, ir.Undefined)] * ((1 << (rows - 1).bit_length()) - rows)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, out = (pointer(context, builder, signature.args[i], arguments[i], lane) for i in (0, 4))
        _, at, stride, flip, _, place = arguments
        flips = splat(builder, flip, lanes)
        starts = [builder.gep(words, [builder.add(at, builder.mul(stride, I64(r)))]) for r in range(rows)]
        loaded = [builder.load(builder.bitcast(start, vector.as_pointer()), align=4) for start in starts]
        all_of_them = joined(builder, [builder.xor(flips, v) for v in loaded] + missing)
        target = builder.bitcast(builder.gep(out, [place]), vector.as_pointer())
        for i in range(rows):
            mixed = lanes_of(builder, all_of_them, order[i * lanes : (i + 1) * lanes])
            builder.store(mixed, builder.gep(target, [I64(i)]), align=4)
        return context.get_dummy_value()

    @intrinsic
    def interleave(typing_context: Any, words: Any, at: Any, stride: Any, flip: Any, out: Any, place: Any) -> Any:
        word = types.uint32 if bits == 32 else types.uint64
        return types.void(words, types.int64, types.int64, word, out, types.int64), code

    return interleave


@njit(nogil=True)
def _scatter(words, at, flip, out, place, rows, count):
    for c in range(count):
        out[place + c * rows] = words[at + c] ^ flip


@cache
def row_panels(bits: int, rows: int) -> Any:
    """A kernel `fill(words, flip, out, first, last)`: panels first..last - 1 of a left operand, in tile order.

    words (planes, count, cells), uint32 or uint64, C-contiguous; out, flat: (planes, last - first, cells, rows) words
    ^ flip, 0 past the end. Whole vectors of whole panels are interleaved; what is left over goes word by word.
    """
    interleave, lanes = _interleaver(bits, rows), 512 // bits

    @njit(nogil=True)
    def fill(words, flip, target, first, last):
        """The kernel."""
        planes, count, cells = words.shape
        source, place = words.reshape(-1), 0
        for p in range(planes):
            for panel in range(first, last):
                at = (p * count + panel * rows) * cells
                there = min(rows, count - panel * rows)
                whole = cells - cells % lanes if there == rows else 0
                for c in range(0, whole, lanes):
                    interleave(source, at + c, cells, flip, target, place + c * rows)
                for r in range(there):
                    start = at + r * cells + whole
                    _scatter(source, start, flip, target, place + whole * rows + r, rows, cells - whole)
                for r in range(there, rows):
                    for c in range(cells):
                        target[place + c * rows + r] = 0
                place += cells * rows

    return fill


def word_panels(words: NDArray[Any], columns: int) -> NDArray[Any]:
    """Words (planes, count, cells) of a right operand as (planes, panels, cells, columns), 0 past the end."""
    planes, count, cells = words.shape
    out = empty((planes, -(-count // columns), cells, columns), words.dtype)
    out[:] = 0
    for panel in range(out.shape[1]):
        part = words[:, panel * columns : (panel + 1) * columns]
        out[:, panel, :, : part.shape[1]] = part.transpose(0, 2, 1)
    return out


@njit(nogil=True)
def _fill_columns(values, flip, out):
    """out[panel, cell, c]: values[cell * depth + d, panel * columns + c] ^ flip, lowest bytes first, d in turn."""
    bits = 8 * values.itemsize
    depth, columns = 32 // bits, out.shape[2]
    for panel in range(out.shape[0]):
        start, stop = panel * columns, min((panel + 1) * columns, values.shape[1])
        for k in range(values.shape[0]):
            _or_row(out[panel, k // depth, : stop - start], values[k, start:stop], flip, np.uint32(bits * (k % depth)))


@njit(nogil=True)
def _or_row(target, source, flip, shift):
    for c in range(target.size):
        target[c] |= np.uint32(source[c] ^ flip) << shift


def column_panels(values: NDArray[Any], columns: int, flip: int) -> NDArray[np.uint32]:
    """Values (depth, count), uint8 or uint16, as cells of 4 bytes in tile order: (1, panels, cells, columns)."""
    depth, count = values.shape
    out = empty((-(-count // columns), -(-depth * values.itemsize // 4), columns), np.uint32)
    out[:] = 0
    _fill_columns(values, values.dtype.type(flip), out)
    return out[None]
