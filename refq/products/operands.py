"""The two operands of a product: what their values may be, and what has been made of them once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import in_range, integer_array
from refq.channels import ACC_LIMIT
from refq.encodings import Encoding, Kind, parse_encoding
from refq.formats import IntFormat
from refq.products.bitplanes import BitPlanes, packed, refuse, some_illegal, unpack_planes
from refq.products.bitplanes import row_sums as planes_sums
from refq.products.sums import row_sums


@dataclass(frozen=True)
class Span:
    """What the values of an operand may be: an interval, and their encoding if it has at most 16 bits."""

    low: int
    high: int
    encoding: Encoding | None = None

    @property
    def largest(self) -> int:
        """Largest magnitude."""
        return self.reach(0, 0)

    def reach(self, lowest: int, highest: int) -> int:
        """Largest magnitude of a value less a zero point of lowest..highest."""
        return max(highest - self.low, self.high - lowest)


@cache
def _whole(encoding: Encoding) -> Span:
    return Span(encoding.minimum, encoding.maximum, encoding)


BY_DTYPE = {
    np.dtype(f"{prefix}int{bits}"): _whole(Encoding(bits, kind))
    for prefix, kind in (("u", Kind.UNSIGNED), ("", Kind.SIGNED))
    for bits in (8, 16)
}


@dataclass(eq=False, slots=True)
class Operand:
    """Rows of values along the depth, as numbers or as bit planes; `memo` keeps what was derived from them."""

    function: str
    name: str
    given: NDArray[Any] | BitPlanes
    shape: tuple[int, int]
    span: Span
    transposed: bool = False
    checked: bool = False
    """Whether the caller has looked at the values already."""
    memo: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """make(), the first time."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    def values(self) -> NDArray[Any]:
        """(rows, depth) numbers."""
        if isinstance(self.given, BitPlanes):
            planes = self.given
            numbers: NDArray[Any] = self.once("values", lambda: unpack_planes(planes))
            return numbers
        return self.given

    def planes(self) -> BitPlanes:
        """Bit planes along the depth; refused with the place of the first value outside the encoding."""
        if isinstance(self.given, BitPlanes):
            return self.given
        numbers, encoding = self.given, self.span.encoding
        assert encoding is not None, "the path was not proved"
        found: BitPlanes = self.once("planes", lambda: packed(self.function, self.name, numbers, encoding))
        return found

    def row_sums(self) -> NDArray[np.int64]:
        """The sum of each row modulo 2**64."""
        given = self.given
        sums: NDArray[np.int64] = self.once(
            "row sums", lambda: planes_sums(given) if isinstance(given, BitPlanes) else row_sums(given)
        )
        return sums

    def check(self) -> None:
        """Refuse the first value outside the format, at its place in the argument; `planes` does so by itself."""
        if self.checked or isinstance(self.given, BitPlanes) or self.span is BY_DTYPE.get(self.given.dtype):
            return
        array = self.given.T if self.transposed else self.given
        if self.span.encoding is None:
            in_range(self.function, self.name, array, self.span.low, self.span.high)
        elif some_illegal(array, self.span.encoding):
            refuse(self.function, self.name, array, self.span.encoding)


def _span(function: str, name: str, array: NDArray[Any], fmt: object) -> Span:
    """The declared format; else the dtype up to 16 bits, the smallest and largest value of wider ones."""
    whole = BY_DTYPE.get(array.dtype)
    if fmt is None and whole is not None:
        return whole
    if isinstance(fmt, IntFormat) and (fmt.bits > 16 or fmt.narrow_range):
        return Span(fmt.qmin, fmt.qmax)
    if fmt is not None:
        return _whole(parse_encoding(fmt, f"{function}: {name}_format"))
    in_range(function, name, array, -ACC_LIMIT, ACC_LIMIT)
    return Span(int(array.min()), int(array.max())) if array.size else Span(0, 0)


def operand(function: str, name: str, given: Any, fmt: object, transposed: bool = False) -> Operand:
    """A checked operand; `transposed`: given as (depth, rows), and so kept, bit planes as (rows, depth) always."""
    if isinstance(given, BitPlanes):
        return _planes_operand(function, name, given, fmt)
    array = integer_array(function, name, given)
    if array.ndim != 2:
        raise ValueError(f"{function}: {name} has shape {array.shape}; pass two axes")
    array = np.ascontiguousarray(array)
    span = _span(function, name, array, fmt)
    if transposed:
        array = array.T
    return Operand(function, name, array, array.shape, span, transposed)


def _planes_operand(function: str, name: str, given: BitPlanes, fmt: object) -> Operand:
    declared = given.encoding if fmt is None else parse_encoding(fmt, f"{function}: {name}_format")
    if len(given.lead) != 1 or declared != given.encoding:
        raise ValueError(
            f"{function}: {name} is {given.encoding.name} planes of shape {(*given.lead, given.depth)}; "
            "pass two axes, and no other format"
        )
    return Operand(function, name, given, (given.lead[0], given.depth), _whole(given.encoding))
