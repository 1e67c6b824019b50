"""The definition of layers that move values: which place of an input each place of a result holds.

Places are tuples of one index a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import floor, prod

from refq.formats import IntFormat
from refq.spec.floats import FLOAT32, round_to_float

Place = tuple[int, ...]
Pairs = Sequence[tuple[int, int]]


def places(shape: Sequence[int]) -> Iterator[Place]:
    """Every place of a shape, the last dimension running fastest.

    >>> list(places((2, 1)))
    [(0, 0), (1, 0)]
    """
    for number in range(prod(shape)):
        yield place_of(number, shape)


def place_of(number: int, shape: Sequence[int]) -> Place:
    """The place at which counting arrives."""
    found: list[int] = []
    for size in reversed(shape):
        found.insert(0, number % size)
        number //= size
    return tuple(found)


def number_of(place: Place, shape: Sequence[int]) -> int:
    """How many places come before one."""
    number = 0
    for index, size in zip(place, shape, strict=True):
        number = number * size + index
    return number


def reshaped(place: Place, shape: Sequence[int], result: Sequence[int]) -> Place:
    """The place of the input of which as many come before."""
    return place_of(number_of(place, result), shape)


def transposed(place: Place, perm: Sequence[int]) -> Place:
    """Dimension perm[d] of the input is dimension d of the result."""
    return tuple(place[list(perm).index(axis)] for axis in range(len(perm)))


def padded(place: Place, shape: Sequence[int], pads: Pairs) -> Place | None:
    """None in the padding."""
    found = tuple(index - before for index, (before, _) in zip(place, pads, strict=True))
    return found if all(0 <= index < size for index, size in zip(found, shape, strict=True)) else None


def cut(place: Place, begin: Sequence[int], step: Sequence[int]) -> Place:
    """Place i of a dimension is begin + i * step of the input."""
    return tuple(b + i * s for i, b, s in zip(place, begin, step, strict=True))


def part(place: Place, axis: int, sizes: Sequence[int], which: int) -> Place:
    """The place of the whole that is a place of one of its parts."""
    return tuple(i + sum(sizes[:which]) * (d == axis) for d, i in enumerate(place))


def joined(place: Place, axis: int, sizes: Sequence[int]) -> tuple[int, Place]:
    """Which input holds the place, and where."""
    index, which = place[axis], 0
    while index >= sizes[which]:
        index, which = index - sizes[which], which + 1
    return which, tuple(index if d == axis else i for d, i in enumerate(place))


def in_blocks(place: Place, batch: int, block: Sequence[int], shape: Sequence[int], pads: Pairs) -> Place | None:
    """space_to_batch: the batch of the result says which place of a block it holds, and of which sample."""
    within = place_of(place[0] // batch, block)
    spatial = zip(place[1:], block, within, pads, strict=False)
    found = [index * size + offset - before for index, size, offset, (before, _) in spatial]
    whole = (place[0] % batch, *found, *place[1 + len(block) :])
    return whole if all(0 <= index < size for index, size in zip(whole, shape, strict=True)) else None


def out_of_blocks(place: Place, batch: int, block: Sequence[int], crops: Pairs) -> Place:
    """batch_to_space: the place within a block says which batch of the input holds it."""
    found = [index + before for index, (before, _) in zip(place[1:], crops, strict=False)]
    within = tuple(index % size for index, size in zip(found, block, strict=True))
    outer = (index // size for index, size in zip(found, block, strict=True))
    return (number_of(within, block) * batch + place[0], *outer, *place[1 + len(block) :])


def _float32(value: Fraction) -> Fraction:
    return round_to_float(value, FLOAT32)


def _clamped(value: Fraction, even: bool, zero: int, fmt: IntFormat) -> int:
    """The nearest integer, ties even or away, plus the zero point, inside the format."""
    below = floor(value)
    rest, up = value - below, below % 2 == 1 if even else value > 0
    nearest = below + (up if rest == Fraction(1, 2) else rest > Fraction(1, 2))
    return min(max(nearest + zero, fmt.qmin), fmt.qmax)


def rescale_affine(code: int, scales: tuple[Fraction, Fraction], zeros: tuple[int, int], fmt: IntFormat) -> int:
    """TFLite's uint8 CONCATENATION: float32(float32(code * s) + b), ties away, then the zero point.

    >>> rescale_affine(0, (Fraction(1, 2), Fraction(1)), (1, 7), IntFormat(8, False))
    6
    """
    scale = _float32(scales[0] * _float32(1 / scales[1]))
    bias = _float32(-zeros[0] * scale)
    return _clamped(_float32(_float32(code * scale) + bias), False, zeros[1], fmt)


def rescale_dequantized(
    code: int, scales: tuple[Fraction, Fraction], zeros: tuple[int, int], fmt: IntFormat, even: bool
) -> int:
    """ONNX Runtime's QLinearConcat: float32(float32((code - zero) * scale) / scale), rounded, then the zero point.

    >>> rescale_dequantized(0, (Fraction(1, 2), Fraction(1)), (1, 7), IntFormat(8, False), True)
    7
    """
    real = _float32((code - zeros[0]) * scales[0])
    return _clamped(_float32(real / scales[1]), even, zeros[1], fmt)
