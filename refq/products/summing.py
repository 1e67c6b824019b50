"""The loops that add products up as an accumulator rule says: term by term, all columns of a row at once.

    for each row i:                        total[:] = bias                     outer registers, one a column
        for each chunk of the depth:       part[:] = 0                         inner registers
            for each term t of it:         part[:] += lhs[i, t] * rhs[t, :]    clamped after each step
            part[:] narrowed,              total[:] += part                    clamped after each step
        total[:] narrowed                  is row i of the result

A clamp to the whole of int64 changes nothing, so the same loops serve every rule. A wrap waits for the end: it is a
map mod 2**bits. The caller has bounded every sum inside int64 (`refq.products.accumulators`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.accumulation import Accumulator, Register
from refq.formats import INT64, Overflow


@njit(nogil=True)
def _add(terms, factor, total, low, high):
    """total = clamp(total + factor * terms); nonzero if a clamp changed a sum."""
    changed = np.int64(0)
    for j in range(total.size):
        exact = total[j] + factor * terms[j]
        total[j] = min(max(exact, low), high)
        changed |= total[j] ^ exact
    return changed


@njit(nogil=True)
def narrow_all(total, base, mask, low, high):
    """total = clamp(base + the low bits, by the mask, of total - base); nonzero if that changed a sum."""
    changed = np.int64(0)
    for j in range(total.size):
        exact = total[j]
        total[j] = min(max(((exact - base) & mask) + base, low), high)
        changed |= total[j] ^ exact
    return changed


@njit(nogil=True)
def _in_one(lhs, rhs, outer, out, changed):
    """Every term added to the outer register itself. out: the bias, then the result. changed: one a row."""
    for i in range(lhs.shape[0]):
        for t in range(lhs.shape[1]):
            changed[i] |= _add(rhs[t], lhs[i, t], out[i], outer[4], outer[5])
        changed[i] |= narrow_all(out[i], outer[0], outer[1], outer[2], outer[3])


@njit(nogil=True)
def _in_chunks(lhs, rhs, chunk, inner, outer, out, changed):
    """As `_in_one`, with chunks; changed: (2, rows), by the inner and by the outer register."""
    part = np.empty(rhs.shape[1], np.int64)
    for i in range(lhs.shape[0]):
        for start in range(0, lhs.shape[1], chunk):
            part[:] = 0
            for t in range(start, min(start + chunk, lhs.shape[1])):
                changed[0, i] |= _add(rhs[t], lhs[i, t], part, inner[4], inner[5])
            changed[0, i] |= narrow_all(part, inner[0], inner[1], inner[2], inner[3])
            changed[1, i] |= _add(part, 1, out[i], outer[4], outer[5])
        changed[1, i] |= narrow_all(out[i], outer[0], outer[1], outer[2], outer[3])


def register_numbers(register: Register | None) -> NDArray[np.int64]:
    """base, mask, low, high of the last narrowing; low, high of each step. None changes nothing."""
    none = (INT64.qmin, -1, INT64.qmin, INT64.qmax)
    if register is None:
        return np.array(none + none[2:], np.int64)
    fmt = register.fmt
    wraps = register.overflow == Overflow.WRAP and fmt.bits < 64
    last = (fmt.qmin, (1 << fmt.bits) - 1, INT64.qmin, INT64.qmax) if wraps else (*none[:2], fmt.qmin, fmt.qmax)
    return np.array(last + ((fmt.qmin, fmt.qmax) if register.each_step else none[2:]), np.int64)


def chunk_order(depth: int, rule: Accumulator) -> NDArray[np.intp]:
    """The terms in the order in which the rule adds them, whole blocks; `depth` stands for a term beyond the depth.

    >>> from refq.accumulation import ACCUMULATORS
    >>> chunk_order(9, ACCUMULATORS["pairs8_wrap16"]).tolist()
    [0, 8, 1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 6, 9, 7, 9]
    """
    terms, stride = rule.chunk_terms(depth), min(rule.stride, max(depth, 1))
    blocks = -(-depth // (terms * stride))
    order = np.arange(blocks * terms * stride).reshape(blocks, terms, stride)
    return np.minimum(order.swapaxes(1, 2).reshape(-1), depth)


def add_up(lhs: NDArray[Any], rhs: NDArray[Any], rule: Accumulator, out: NDArray[np.int64]) -> NDArray[np.int64]:
    """out = the sums; returns what the inner and the outer register changed, (2, rows). lhs, rhs: int64, in C order."""
    depth = lhs.shape[1]
    if rule.stride > 1:
        order = chunk_order(depth, rule)
        lhs = np.ascontiguousarray(np.pad(lhs, ((0, 0), (0, 1)))[:, order])
        rhs = np.ascontiguousarray(np.pad(rhs, ((0, 1), (0, 0)))[order])
    changed = np.zeros((2, lhs.shape[0]), np.int64)
    if rule.inner is None and rule.chunk == 1:
        _in_one(lhs, rhs, register_numbers(rule.outer), out, changed[1])
    else:
        _in_chunks(
            lhs, rhs, rule.chunk_terms(depth), register_numbers(rule.inner), register_numbers(rule.outer), out, changed
        )
    return changed
