"""Add, subtract and multiply two quantized tensors, under a rule given by name.

The rules of sums are SUMS, those of products are labels of `refq.parse_semantics` and the ones in PRODUCTS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from refq.fixedpoint import effective_scale
from refq.formats import IntFormat
from refq.labels import parse_semantics
from refq.layers.rescaling import bind_rescaling
from refq.rules import Scaling

Ints = NDArray[np.int64]
Codes = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Affine:
    """value = scale * (code - zero_point), codes in fmt."""

    scale: np.float32
    zero_point: int
    fmt: IntFormat


@dataclass(frozen=True, eq=False)
class Operands:
    """Two inputs and the result of an elementwise operation.

    sign: -1 where the second is subtracted. swapped: ONNX Runtime hands the two to its kernel in the other order
    (see `refq.layers.elementwise_places.first_is_scalar`).
    """

    first: Affine
    second: Affine
    output: Affine
    sign: int = 1
    swapped: bool = False


def clamp(values: Codes, output: Affine, limits: tuple[int, int] | None = None) -> Codes:
    """Values, zero point included, as codes of the output inside limits."""
    low, high = limits or (output.fmt.qmin, output.fmt.qmax)
    return np.clip(values, low, high).astype(output.fmt.name)


def product_factors(operands: Operands) -> Callable[[Scaling], list[Fraction]]:
    """The factor of a product of codes: first * second / output, rounded as a scaling says."""
    scales = (operands.first.scale, operands.second.scale, operands.output.scale)
    return lambda scaling: [effective_scale(*scales, scaling)]


def bind_product(
    label: str, operands: Operands, limits: tuple[int, int] | None = None
) -> Callable[[Codes, Codes], Codes]:
    """A function of two arrays of codes -> their product's codes, the rule a label of `refq.parse_semantics`."""
    parse_semantics(label)
    output = operands.output
    rescale = bind_rescaling(label, product_factors(operands), output.zero_point, output.fmt, -1, limits)
    zeros = operands.first.zero_point, operands.second.zero_point
    return lambda a, b: rescale((a.astype(np.int64) - zeros[0]) * (b.astype(np.int64) - zeros[1]))


def table_of(rule: Callable[[Codes, Codes], Codes], first: IntFormat, second: IntFormat) -> NDArray[np.uint8]:
    """What a rule makes of every pair of 8-bit codes: (256, 256), by the bytes of the codes, themselves as bytes."""
    a, b = (np.arange(256, dtype=np.uint8).view(fmt.name) for fmt in (first, second))
    found = rule(np.repeat(a, 256), np.tile(b, 256))
    return np.ascontiguousarray(found).view(np.uint8).reshape(256, 256)


@njit(nogil=True)
def _look_up(table, a, b, out):
    """out[i] = table[a[i], b[i]]; all of them bytes, a, b and out of one size."""
    for i in range(out.size):
        out[i] = table[a[i], b[i]]


def look_up(table: NDArray[np.uint8], a: Codes, b: Codes, fmt: IntFormat) -> Codes:
    """The codes of a table for two arrays of 8-bit codes of one shape, in the 8-bit format of the table."""
    out = np.empty(a.shape, np.uint8)
    left, right = (np.ascontiguousarray(x).view(np.uint8).reshape(-1) for x in (a, b))
    _look_up(table, left, right, out.reshape(-1))
    return out.view(fmt.name)
