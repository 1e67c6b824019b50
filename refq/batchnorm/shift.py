"""Shift-based batch norm over arrays: clamp(((sign * acc - bias) >> shift) + zero_point), one form a channel.

Guo et al. 2021, arXiv 2106.00127, read from the authors' code (IntegerNet). Equations: docs/shift_batchnorm.md.
Twin of `refq.spec.batchnorm.shift_batchnorm`; the forms come from `refq.batchnorm.shift_forms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.arguments import in_range, integer_array
from refq.batchnorm.layout import checked_forms, extent, grid, smallest_dtype
from refq.channels import ACC_LIMIT, ShiftForm

_SUM_LIMIT = (1 << 62) - 1
_LIMITS = {"bias": _SUM_LIMIT, "shift": _SUM_LIMIT, **dict.fromkeys(("qmin", "qmax", "zero_point"), 1 << 61)}


def _column(c: int, form: ShiftForm) -> list[int]:
    """The kernel's integers for one channel, all below 2**63 in magnitude."""
    for name, bound in _LIMITS.items():
        value = getattr(form, name)
        if not -bound <= value <= bound:
            raise ValueError(f"shift_batchnorm: forms[{c}].{name}={value} is outside -{bound}..{bound}")
    shift, flip = form.shift, -(form.sign < 0)
    low, high = form.qmin - form.zero_point, form.qmax - form.zero_point
    left, right = min(max(-shift, 0), 62), min(max(shift, 0), 63)
    # A left shift of what is held to the range rounded outwards stays below 2**62 + 2**left.
    least, most = (low >> left, -(-high >> left)) if left else (-ACC_LIMIT, ACC_LIMIT)
    return [flip, form.bias + flip, least, most, left, right, low, high, form.zero_point]


def _table(forms: Sequence[ShiftForm]) -> NDArray[np.int64]:
    """(9, channels): the integers of every form."""
    checked_forms("shift_batchnorm", forms, ShiftForm)
    return np.array([_column(c, form) for c, form in enumerate(forms)], np.int64).T.copy()


@njit
def _code(x, flip, bias, least, most, left, right, low, high, zero_point):
    """Twin of spec.batchnorm.shift_batchnorm; (x ^ -1) + 1 is -x. |x| + |bias| < 2**62."""
    distance = min(max((x ^ flip) - bias, least), most)
    return min(max((distance << left) >> right, low), high) + zero_point


@njit
def _planes(acc, residual, table, out):
    """acc, out: (outer, channels, inner), residual too or None; one channel's integers are loop invariants."""
    for o in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            f, b, m, n, s, t, u, v, z = table[:, c]
            for i in range(acc.shape[2]):
                x = np.int64(acc[o, c, i])
                if residual is not None:
                    x += np.int64(residual[o, c, i])
                out[o, c, i] = _code(x, f, b, m, n, s, t, u, v, z)


@njit
def _rows(acc, residual, t, out):
    """acc, out: (rows, channels), residual too or None: the channels themselves are the vector.

    The table stays one array: nine row views would each need an alias check, too many for LLVM to vectorize.
    """
    for o in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            x = np.int64(acc[o, c])
            if residual is not None:
                x += np.int64(residual[o, c])
            out[o, c] = _code(x, t[0, c], t[1, c], t[2, c], t[3, c], t[4, c], t[5, c], t[6, c], t[7, c], t[8, c])


def shift_batchnorm(acc: Any, forms: Sequence[ShiftForm], *, residual: Any = None, axis: int = -1) -> NDArray[Any]:
    """clamp(((sign * (acc + residual) - bias) >> shift) + zero_point): eq. S4; equals `spec.batchnorm.shift_batchnorm`.

    acc: any shape, integer dtype. forms: one a channel along `axis`, or one for the whole array. residual: integers
    of acc's shape, added exactly before the one shift (eq. S5). Returns acc's shape in the smallest integer dtype
    that holds every qmin..qmax. TypeError for kinds; ValueError for shapes, axis, forms, and unless |acc| + |residual|
    + |bias| < 2**62, where a residual of at most int32 counts as 2**31. Source: the authors' inference code.

    >>> form = ShiftForm(bias=3, shift=2, qmin=-7, qmax=7)
    >>> shift_batchnorm([2, 3, 6, 7, -99], [form]), shift_batchnorm([2, 3], [form], residual=[0, 4])
    (array([-1,  0,  0,  1, -7], dtype=int8), array([-1,  1], dtype=int8))
    """
    array, table = integer_array("shift_batchnorm", "acc", acc), _table(forms)
    room = _SUM_LIMIT - max(abs(int(form.bias)) for form in forms)
    if residual is not None:
        residual = integer_array("shift_batchnorm", "residual", residual)
        if residual.shape != array.shape:
            raise ValueError(
                f"shift_batchnorm: residual has shape {residual.shape}, acc has {array.shape}; pass the same"
            )
        in_range("shift_batchnorm", "residual", residual, -room, room, "; |acc| + |residual| + |bias| < 2**62")
        room -= min(extent(residual), room)
    in_range("shift_batchnorm", "acc", array, -room, room, "; |acc| + |residual| + |bias| < 2**62")
    cells = grid("shift_batchnorm", array, axis, len(forms))
    beside = None if residual is None else grid("shift_batchnorm", residual, axis, len(forms))
    out = np.empty(cells.shape, smallest_dtype((form.qmin, form.qmax) for form in forms))
    (_rows if cells.ndim == 2 else _planes)(cells, beside, table, out)
    return out.reshape(array.shape)
