"""Integers of 1..16 bits as bit planes: one bit of each value, 64 values to a word, along the last axis.

Order, formulas and the argument about padding: docs/bitplanes.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refq.arguments import integer_array
from refq.encodings import Encoding, Kind, parse_encoding
from refq.products.filling import fill_planes, words_for
from refq.products.packing import holds, lanes_of, weigh_rows


@dataclass(frozen=True, eq=False)
class BitPlanes:
    """Packed integers: bit j of words[b, ..., w] is bit b of the code of value 64 w + j of its row.

    words: uint64, C-contiguous, (encoding.bits, *lead, ceil(depth / 64)). depth: values in a row, 0 or more.
    Bits past the depth are 0, which is checked. Raises TypeError for kinds, ValueError for shape and padding.

    >>> planes = BitPlanes(np.array([[5], [6]], np.uint64), 3, Encoding(2))
    >>> unpack_planes(planes)
    array([1, 2, 3], dtype=uint8)
    """

    words: NDArray[np.uint64]
    depth: int
    encoding: Encoding

    def __post_init__(self) -> None:
        if not isinstance(self.encoding, Encoding):
            raise TypeError(f"BitPlanes: encoding={self.encoding!r} is not an Encoding; pass parse_encoding('uint2')")
        if isinstance(self.depth, bool) or not isinstance(self.depth, int):
            raise TypeError(f"BitPlanes: depth={self.depth!r} is not an int; pass 0 or more")
        if not isinstance(self.words, np.ndarray) or self.words.dtype != np.uint64:
            kind = self.words.dtype if isinstance(self.words, np.ndarray) else type(self.words).__name__
            raise TypeError(f"BitPlanes: words is {kind}; pass a NumPy array of native uint64")
        self._check_layout()
        self._check_padding()

    def _check_layout(self) -> None:
        if self.depth < 0:
            raise ValueError(f"BitPlanes: depth={self.depth} is outside 0..; pass the number of values in a row")
        shape, bits, words = self.words.shape, self.encoding.bits, words_for(self.depth)
        if len(shape) < 2 or shape[0] != bits or shape[-1] != words:
            raise ValueError(
                f"BitPlanes: words has shape {shape}; depth {self.depth} of {self.encoding.name} needs "
                f"({bits}, ..., {words})"
            )
        if not self.words.flags.c_contiguous:
            raise ValueError("BitPlanes: words is not C-contiguous; pass np.ascontiguousarray(words)")

    def _check_padding(self) -> None:
        if not self.depth % 64 or not self.words.size:
            return
        stray = self.words[..., -1] >> np.uint64(self.depth % 64)
        if stray.any():
            at = (*np.unravel_index(int(np.argmax(stray != 0)), stray.shape), self.words.shape[-1] - 1)
            raise ValueError(f"BitPlanes: words{_place(at)} has bits set past depth={self.depth}; padding must be 0")

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape of the values without the depth."""
        return self.words.shape[1:-1]


def pack_planes(values: Any, encoding: object) -> BitPlanes:
    """Integers as bit planes along the last axis; equals `refq.spec.bitserial.pack` row by row.

    values: one axis or more, any integer dtype, last axis of any length. encoding: an `Encoding`, an `IntFormat`
    or a name such as 'uint2', 'int4', 'bipolar', 'odd3'. Raises TypeError for other dtypes and no encoding,
    ValueError with the place of the first value that the encoding does not have.

    >>> planes = pack_planes([-1, 2, -4], "int3")
    >>> [f"{int(word):03b}" for word in planes.words[:, 0]]
    ['001', '011', '101']
    """
    return packed("pack_planes", "values", values, parse_encoding(encoding, "pack_planes: encoding"))


def packed(function: str, name: str, values: Any, encoding: Encoding) -> BitPlanes:
    """`pack_planes` for an argument `name` of `function`."""
    array = integer_array(function, name, values)
    if not array.ndim:
        raise ValueError(f"{function}: {name} has no axis; pass at least one, the last is the depth")
    *lead, depth = array.shape
    out = np.empty((encoding.bits, prod(lead), words_for(depth)), np.uint64)
    if fill_planes(_cast(function, name, array, encoding), lanes_of(encoding), out):
        refuse(function, name, array, encoding)
    return BitPlanes(out.reshape(encoding.bits, *lead, words_for(depth)), depth, encoding)


def _cast(function: str, name: str, array: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    """The array itself if its lanes tell which values are legal; else, checked, in the smallest dtype."""
    if array.dtype.itemsize <= 2 and holds(array.dtype, encoding):
        return array
    if some_illegal(array, encoding):
        refuse(function, name, array, encoding)
    return array.astype(value_dtype(encoding))


def some_illegal(array: NDArray[Any], encoding: Encoding) -> bool:
    """Whether the encoding lacks a value of the array; any integer dtype."""
    if not array.size:
        return False
    some_even = encoding.kind is Kind.ODD and not int(np.bitwise_and.reduce(array, axis=None)) & 1
    return some_even or int(array.min()) < encoding.minimum or int(array.max()) > encoding.maximum


def refuse(function: str, name: str, array: NDArray[Any], encoding: Encoding) -> None:
    """Raise ValueError with the place of the first value that the encoding does not have."""
    illegal = (array < encoding.minimum) | (array > encoding.maximum)
    if encoding.kind is Kind.ODD:
        illegal |= array & 1 == 0
    at = np.unravel_index(int(np.argmax(illegal)), array.shape)
    only = ", odd numbers only" if encoding.kind is Kind.ODD else ""
    raise ValueError(
        f"{function}: {name}{_place(at)}={array[at]} is outside {encoding.name} {encoding.minimum}.."
        f"{encoding.maximum}{only}; pass an encoding that holds it or narrow {name} first"
    )


def _place(at: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in at)}]"


def _checked(function: str, planes: object) -> BitPlanes:
    if not isinstance(planes, BitPlanes):
        raise TypeError(
            f"{function}: planes={type(planes).__name__} is not BitPlanes; pass pack_planes(values, encoding)"
        )
    return planes


def unpack_planes(planes: BitPlanes) -> NDArray[Any]:
    """The values of bit planes, the inverse of `pack_planes`; equals `refq.spec.bitserial.value` one by one.

    Returns (*lead, depth) in the smallest dtype that holds every value of the encoding: bipolar and odd2..odd7 are
    int8, odd8..odd15 int16, odd16 int32. Raises TypeError for anything but BitPlanes.

    >>> unpack_planes(pack_planes([[-3, 1, 3]], "odd2"))
    array([[-3,  1,  3]], dtype=int8)
    """
    encoding = _checked("unpack_planes", planes).encoding
    octets = planes.words.astype("<u8", copy=False).view(np.uint8)
    total = np.full((*planes.lead, planes.depth), encoding.offset, np.int32)
    for weight, plane in zip(encoding.plane_weights, octets, strict=True):
        total += np.unpackbits(plane, axis=-1, count=planes.depth, bitorder="little") * np.int32(weight)
    return total.astype(value_dtype(encoding))


def value_dtype(encoding: Encoding) -> np.dtype[Any]:
    """The smallest integer dtype that holds every value, unsigned where none is negative."""
    names = ("uint8", "uint16") if encoding.minimum >= 0 else ("int8", "int16", "int32")
    wide = (np.iinfo(name) for name in names)
    return next(i.dtype for i in wide if i.min <= encoding.minimum and encoding.maximum <= i.max)


def popcounts(planes: BitPlanes) -> NDArray[np.int64]:
    """sum over b of weight[b] * popcount(plane b) of each row: the sum of its values less depth * offset.

    Returns int64 of shape lead; exact, its magnitude is at most 2**17 * depth. Raises TypeError for anything but
    BitPlanes.

    >>> popcounts(pack_planes([[1, -1, 1], [-1, -1, -1]], "bipolar"))
    array([4, 0])
    """
    encoding = _checked("popcounts", planes).encoding
    words = planes.words.reshape(encoding.bits, prod(planes.lead), planes.words.shape[-1])
    out = np.empty(words.shape[1], np.int64)
    weigh_rows(words, np.array(encoding.plane_weights, np.int64), out)
    return out.reshape(planes.lead)


def row_sums(planes: BitPlanes) -> NDArray[np.int64]:
    """The exact sum of the values of each row, int64 of shape lead. Raises TypeError for anything but BitPlanes.

    >>> row_sums(pack_planes([[1, -1, 1], [-1, -1, -1]], "bipolar"))
    array([ 1, -3])
    """
    return np.asarray(_checked("row_sums", planes).encoding.offset * planes.depth + popcounts(planes))
